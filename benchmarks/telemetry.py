"""From OTLP to SQL, beside the floors under it and what people do today; one run, one machine, so ratios hold.

    python benchmarks/telemetry.py [--spans 1000000] [--data FOLDER] [--only LANES] [--runs 3] [--chdb PYTHON] [--write]

Every line is a process of its own, or the median of `--runs`: seconds on the clock, seconds of processor, peak memory.
The machine's speed moves, so shadowlab and the floor of the same bytes take turns, and each ingest is divided by the
mean of the floors right before and right after it. Files are read once before, so that all find them in memory. What
others do is run once. `--data` names a folder that has the `traces.jsonl` and `traces.pb` of `telemetry_data.write` and
is left as it is; `--only` measures some lanes beside the floors (shadowlab, packed, unnest, rows, chdb); `--chdb` names
a Python that has chdb. `--write` puts the table in `benchmarks/README.md`, a section for each number of spans. Needs
the development dependencies (orjson, pysimdjson). What is asked of the case afterwards is in `questions.py`.
"""

from __future__ import annotations

import argparse
import compileall
import itertools
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import telemetry_data

PLACE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- telemetry: begin -->", "<!-- telemetry: end -->"

SIMDJSON = """
import simdjson
parser = simdjson.Parser()
for line in open(sys.argv[1], 'rb'):
    parser.parse(line)
"""
UPB = """
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
told = open(sys.argv[1], 'rb')
while size := told.read(4):
    TracesData.FromString(told.read(int.from_bytes(size, 'big')))
"""
ROWS = """
import orjson
def rows(place):
    for line in open(place, 'rb'):
        for block in orjson.loads(line)['resourceSpans']:
            resource = {a['key']: next(iter(a['value'].values())) for a in block['resource']['attributes']}
            for scope in block['scopeSpans']:
                for s in scope['spans']:
                    attributes = {a['key']: next(iter(a['value'].values())) for a in s['attributes']}
                    yield (s['traceId'], s['spanId'], s['parentSpanId'], s['name'], s['kind'],
                           int(s['startTimeUnixNano']), int(s['endTimeUnixNano']), s['status'].get('code', 0),
                           resource['service.name'], orjson.dumps({**resource, **attributes}).decode(),
                           orjson.dumps(s.get('events', [])).decode())
INSERT = 'INSERT INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?)'
"""
IN_SQLITE = """
import sqlite3
con = sqlite3.connect(sys.argv[2])
con.execute('CREATE TABLE spans(trace, span, parent, name, kind, start, end, status, service, attributes, events)')
con.executemany(INSERT, rows(sys.argv[1]))
con.commit()
"""
IN_DUCKDB = """
import duckdb, itertools
con = duckdb.connect(sys.argv[2])
con.execute('CREATE TABLE spans(trace VARCHAR, span VARCHAR, parent VARCHAR, name VARCHAR, kind INTEGER, '
            '"start" BIGINT, "end" BIGINT, status INTEGER, service VARCHAR, attributes VARCHAR, events VARCHAR)')
con.execute('BEGIN')
con.executemany(INSERT, list(itertools.islice(rows(sys.argv[1]), int(sys.argv[3]))))
con.execute('COMMIT')
con.close()
"""
UNNEST = """
import duckdb
con = duckdb.connect(sys.argv[2])
con.execute('SET preserve_insertion_order = false')
con.execute('''CREATE TABLE spans AS
    WITH r AS (SELECT unnest(resourceSpans) AS r FROM read_json($f, format='newline_delimited')),
         s AS (SELECT r.resource AS resource, unnest(r.scopeSpans) AS s FROM r),
         p AS (SELECT resource, unnest(s.spans) AS p FROM s)
    SELECT p.*, resource FROM p''', {'f': sys.argv[1]})
con.close()
"""
CHDB = """
from chdb import session
value = "Tuple(stringValue Nullable(String), intValue Nullable(String), doubleValue Nullable(Float64), "
value += "boolValue Nullable(Bool))"
kv = f"Array(Tuple(key String, value {value}))"
span = "Tuple(traceId String, spanId String, parentSpanId String, name String, kind UInt8, startTimeUnixNano UInt64, "
span += f"endTimeUnixNano UInt64, attributes {kv}, status Tuple(code UInt8, message String), "
span += f"events Array(Tuple(timeUnixNano UInt64, name String, attributes {kv})))"
scope = f"Tuple(scope Tuple(name String), spans Array({span}))"
kind = f"resourceSpans Array(Tuple(resource Tuple(attributes {kv}), scopeSpans Array({scope})))"
text = "coalesce(a.2.1, a.2.2, toString(a.2.3), toString(a.2.4), '')"
s = session.Session(sys.argv[2])
s.query("CREATE DATABASE d ENGINE = Atomic")
s.query(f'''CREATE TABLE d.spans ENGINE = MergeTree ORDER BY (service, start) AS
    SELECT p.1 AS trace, p.2 AS span, p.3 AS parent, p.4 AS name, p.5 AS kind, p.6 AS start, p.7 AS end,
        mapFromArrays(arrayMap(a -> a.1, p.8), arrayMap(a -> {text}, p.8)) AS attributes, p.9.1 AS status,
        p.10 AS events, assumeNotNull(arrayFirst(a -> a.1 = 'service.name', resource.1).2.1) AS service
    FROM (SELECT resource, arrayJoin(scope.2) AS p FROM (SELECT r.1 AS resource, arrayJoin(r.2) AS scope FROM (
        SELECT arrayJoin(resourceSpans) AS r FROM file('{sys.argv[1]}', JSONEachRow, '{kind}'))))
    SETTINGS input_format_skip_unknown_fields = 1, input_format_import_nested_json = 1, max_threads = 2''')
print(s.query('SELECT count() FROM d.spans'))
"""


RECKONED = "orjson and row inserts, DuckDB (reckoned)"
JSON, PROTOBUF = "floor: simdjson parses the JSON", "floor: upb parses the protobuf"
LANES = ("floor", "shadowlab", "packed", "unnest", "rows", "chdb")
FEW, MORE = 10_000, 20_000
"""Rows that are inserted into DuckDB: all of a million take minutes, so these two tell what a row takes."""


@dataclass(frozen=True)
class Run:
    """One process."""

    name: str
    seconds: float
    cpu_s: float
    peak_mb: int


@dataclass(frozen=True)
class Line:
    """The processes of one name, each with the mean of the floors around it."""

    runs: Sequence[Run]
    floors: Sequence[tuple[float, float]]
    """Seconds on the clock, seconds of processor."""

    @property
    def name(self) -> str:
        return self.runs[0].name

    @property
    def seconds(self) -> float:
        return statistics.median(one.seconds for one in self.runs)

    @property
    def clock(self) -> list[float]:
        return [one.seconds / floor for one, (floor, _) in zip(self.runs, self.floors, strict=True)]

    @property
    def processor(self) -> list[float]:
        return [one.cpu_s / floor for one, (_, floor) in zip(self.runs, self.floors, strict=True)]

    def __str__(self) -> str:
        cells = [
            _spread([one.seconds for one in self.runs], ",.2f"), _spread([one.cpu_s for one in self.runs], ",.2f"),
            f"{max(one.peak_mb for one in self.runs):,}", _spread(self.clock, ".1f"), _spread(self.processor, ".1f"),
        ]  # fmt: skip
        return f"| {self.name} | {' | '.join(cells)} | {len(self.runs)} |\n"


def _spread(values: Sequence[float], form: str) -> str:
    """The median, and of several the least and the most."""
    middle, least, most = (f"{value:{form}}" for value in (statistics.median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def run(name: str, command: list[str]) -> Run:
    """Run a command to its end and measure it."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{name} failed: {command}")
    seconds = time.perf_counter() - begin
    done = Run(name, seconds, used.ru_utime + used.ru_stime, used.ru_maxrss // 1024)
    print(f"{name:44} {done.seconds:8.2f} s {done.cpu_s:8.2f} cpu-s {done.peak_mb:6} MB", file=sys.stderr)
    return done


def code(text: str, *words: str, python: str = sys.executable) -> list[str]:
    """A command that runs Python source."""
    return [python, "-c", "import sys" + text, *words]


def measured(
    folder: Path, given: Path | None, spans: int, lanes: Sequence[str], runs: int, chdb: str | None
) -> tuple[list[Line], int, int]:
    """Every process; how large the JSON is, and the case that it made (0 when none was)."""
    compileall.compile_dir(str(PLACE.parent.parent / "shadowlab"), quiet=1)  # as an installed package is
    lines, stream = (given / "traces.jsonl", given / "traces.pb") if given else telemetry_data.write(folder, spans)
    simdjson, upb = (JSON, code(SIMDJSON, str(lines))), (PROTOBUF, code(UPB, str(stream)))
    ours = "shadowlab" in lanes
    told = [
        *in_turns(simdjson, ("shadowlab ingest, JSON", lines) if ours else None, folder / "case", runs),
        *in_turns(upb, ("shadowlab ingest, protobuf", stream) if ours else None, folder / "protobuf", runs),
    ]
    if "packed" in lanes:
        for codec in ("gzip", "zstd"):
            packed = folder / f"traces.jsonl.{codec}"
            _pack(lines, packed, codec)
            told += in_turns(simdjson, (f"shadowlab ingest, {codec}", packed), folder / codec, 1)[1:]
    others: list[Run] = []
    if "unnest" in lanes:
        others.append(run("DuckDB read_json and unnest", code(UNNEST, str(lines), str(folder / "unnest.duckdb"))))
    if "rows" in lanes:
        into = code(ROWS + IN_SQLITE, str(lines), str(folder / "rows.sqlite"))
        others += [run("orjson and row inserts, SQLite", into), _rows_in_duckdb(folder, lines, spans)]
    if chdb and "chdb" in lanes:
        others.append(run("chdb", code(CHDB, str(lines), str(folder / "chdb"), python=chdb)))
    floor = told[0].floors[0]
    stored = sum(path.stat().st_size for path in (folder / "case" / "telemetry").glob("*.duckdb"))
    return [*told, *(Line([one], [floor]) for one in others)], lines.stat().st_size, stored


def in_turns(floor: tuple[str, list[str]], ours: tuple[str, Path] | None, case: Path, runs: int) -> list[Line]:
    """The floor, an ingest, the floor, an ingest ... and the floor again."""
    ingest = [str(Path(sys.executable).with_name("shadowlab")), "ingest", str(case)]
    _read(Path(floor[1][-1]))
    floors, ingests = [run(*floor)], []
    for _ in range(runs):
        if ours:
            shutil.rmtree(case, ignore_errors=True)
            ingests.append(run(ours[0], [*ingest, str(ours[1])]))
        floors.append(run(*floor))
    middle = (statistics.median(one.seconds for one in floors), statistics.median(one.cpu_s for one in floors))
    around = [_mean(before, after) for before, after in itertools.pairwise(floors)]
    lines = [Line(floors, [middle] * len(floors))]
    return [*lines, Line(ingests, around)] if ours else lines


def _read(file: Path) -> None:
    """Have a file in memory: the first to read it pays for that, twice what parsing it takes."""
    with file.open("rb") as told:
        while told.read(1 << 20):
            pass


def _mean(one: Run, other: Run) -> tuple[float, float]:
    return (one.seconds + other.seconds) / 2, (one.cpu_s + other.cpu_s) / 2


def _rows_in_duckdb(folder: Path, lines: Path, spans: int) -> Run:
    """What all rows would take: as many as two runs of some rows differ in, times what they differ by."""
    few, more = (
        run(f"row inserts, DuckDB, {n:,}", code(ROWS + IN_DUCKDB, str(lines), str(folder / f"{n}.duckdb"), str(n)))
        for n in (FEW, MORE)
    )
    times = (spans - MORE) / (MORE - FEW)
    seconds = more.seconds + times * (more.seconds - few.seconds)
    return Run(RECKONED, seconds, more.cpu_s + times * (more.cpu_s - few.cpu_s), more.peak_mb)


def _pack(lines: Path, place: Path, codec: str) -> None:
    import pyarrow

    with lines.open("rb") as told, pyarrow.CompressedOutputStream(str(place), codec) as out:
        while block := told.read(1 << 22):
            out.write(block)


def table(spans: int, lines: Sequence[Line], size: int, stored: int) -> str:
    """The section of the README."""
    kept = f", {stored / 1e6:,.0f} MB\nin the case (1/{size / stored:.1f})" if stored else ""
    return f"""## telemetry{"" if spans == 1_000_000 else f", {spans:,} spans"}

`python benchmarks/telemetry.py --spans {spans}`: {spans:,} spans, {size / 1e6:,.0f} MB of JSON{kept},
{os.cpu_count()} cores, Python {platform.python_version()}, load average
{os.getloadavg()[0]:.1f} at the end. Of several runs the median, the least and the most; of peaks the highest.
Ratios are to the floor of the same bytes, of an ingest to the mean of the floors right before and after it: on the
clock, and in processor seconds, which a busy machine changes less.

| process | seconds | processor s | peak MB | clock ratio | processor ratio | runs |
| --- | --- | --- | --- | --- | --- | --- |
{"".join(map(str, lines))}{_beside(lines)}"""


def _beside(lines: Sequence[Line]) -> str:
    """How much sooner the JSON is in than by rows, and what was not run to the end."""
    took = {one.name: one.seconds for one in lines}
    ours, sqlite, duckdb = (
        took.get(name) for name in ("shadowlab ingest, JSON", "orjson and row inserts, SQLite", RECKONED)
    )
    if not (ours and sqlite and duckdb):
        return ""
    return f"""
Row inserts take {sqlite / ours:.1f} times as long as shadowlab into SQLite, {duckdb / ours:.1f} times into DuckDB, the
kind of file that a case has. Into DuckDB only {FEW:,} and {MORE:,} rows were inserted, once each; the rest is reckoned
from the difference.
"""


def keep(section: str, spans: int) -> None:
    """Put the section in its place of the README: a million spans are the first, others follow that."""
    begin, end = (
        (BEGIN, END)
        if spans == 1_000_000
        else (f"<!-- telemetry-{spans}: begin -->", f"<!-- telemetry-{spans}: end -->")
    )
    text = PLACE.read_text() if PLACE.exists() else "# Figures\n"
    if begin not in text:
        before, marker, after = text.partition(END)
        text = f"{before}{marker}\n\n{begin}\n{end}\n{after}"
    before, _, rest = text.partition(begin)
    _, _, after = rest.partition(end)
    PLACE.write_text(f"{before.rstrip()}\n\n{begin}\n{section}{end}\n\n{after.lstrip()}")


def lanes(text: str) -> list[str]:
    """The lanes that are named, with the floors, which every ratio needs."""
    named = text.split(",")
    if strange := set(named) - set(LANES):
        raise argparse.ArgumentTypeError(f"no lane {', '.join(sorted(strange))}; there are {', '.join(LANES)}")
    return named


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000, help="how many there are in --data, too")
    parser.add_argument("--data", type=Path, metavar="FOLDER")
    parser.add_argument("--only", type=lanes, default=list(LANES), metavar="LANES")
    parser.add_argument("--runs", type=int, default=3, help="of what the bars name, in turns with its floor")
    parser.add_argument("--chdb", metavar="PYTHON")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadowlab-telemetry-") as folder:
        told = measured(Path(folder), options.data, options.spans, options.only, options.runs, options.chdb)
        section = table(options.spans, *told)
    print(section)
    if options.write:
        keep(section, options.spans)


if __name__ == "__main__":
    main()
