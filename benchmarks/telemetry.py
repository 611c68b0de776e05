"""From OTLP to SQL, beside the floors under it and what people do today; one run, one machine, so ratios hold.

    python benchmarks/telemetry.py [--spans 1000000] [--write] [--chdb PYTHON]

Every line is a process of its own: seconds on the clock, seconds of processor, peak memory. `--write` puts the table in
`benchmarks/README.md`; `--chdb` names a Python that has chdb. Needs the development dependencies (orjson, pysimdjson).
What is asked of the case afterwards is in `questions.py`.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
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
ORJSON = """
import orjson, sqlite3
con = sqlite3.connect(sys.argv[2])
con.execute('CREATE TABLE spans(trace, span, parent, name, kind, start, end, status, service, attributes, events)')
def rows():
    for line in open(sys.argv[1], 'rb'):
        for block in orjson.loads(line)['resourceSpans']:
            resource = {a['key']: next(iter(a['value'].values())) for a in block['resource']['attributes']}
            for scope in block['scopeSpans']:
                for s in scope['spans']:
                    attributes = {a['key']: next(iter(a['value'].values())) for a in s['attributes']}
                    yield (s['traceId'], s['spanId'], s['parentSpanId'], s['name'], s['kind'],
                           int(s['startTimeUnixNano']), int(s['endTimeUnixNano']), s['status'].get('code', 0),
                           resource['service.name'], orjson.dumps({**resource, **attributes}),
                           orjson.dumps(s.get('events', [])))
con.executemany('INSERT INTO spans VALUES (?,?,?,?,?,?,?,?,?,?,?)', rows())
con.commit()
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


@dataclass(frozen=True)
class Run:
    """One process."""

    name: str
    seconds: float
    cpu_s: float
    peak_mb: int


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


def measured(folder: Path, spans: int, chdb: str | None) -> tuple[list[Run], int, int]:
    """Every process; how large the JSON is, and the case that it made."""
    lines, stream = telemetry_data.write(folder, spans)
    gz, zst = folder / "traces.jsonl.gz", folder / "traces.jsonl.zst"
    _pack(lines, gz, zst)
    ingest = [str(Path(sys.executable).with_name("shadowlab")), "ingest"]
    runs = [
        run("floor: simdjson parses the JSON", code(SIMDJSON, str(lines))),
        run("floor: upb parses the protobuf", code(UPB, str(stream))),
        run("shadowlab ingest, JSON", [*ingest, str(folder / "case"), str(lines)]),
        run("shadowlab ingest, gzip", [*ingest, str(folder / "gzip"), str(gz)]),
        run("shadowlab ingest, zstd", [*ingest, str(folder / "zstd"), str(zst)]),
        run("shadowlab ingest, protobuf", [*ingest, str(folder / "protobuf"), str(stream)]),
        run("DuckDB read_json and unnest", code(UNNEST, str(lines), str(folder / "unnest.duckdb"))),
        run("orjson and row inserts (SQLite)", code(ORJSON, str(lines), str(folder / "rows.sqlite"))),
    ]
    if chdb:
        runs.append(run("chdb", code(CHDB, str(lines), str(folder / "chdb"), python=chdb)))
    stored = sum(path.stat().st_size for path in (folder / "case" / "telemetry").glob("*.duckdb"))
    return runs, lines.stat().st_size, stored


def _pack(lines: Path, gz: Path, zst: Path) -> None:
    import pyarrow

    for place, codec in ((gz, "gzip"), (zst, "zstd")):
        with lines.open("rb") as told, pyarrow.CompressedOutputStream(str(place), codec) as out:
            while block := told.read(1 << 22):
                out.write(block)


def table(spans: int, runs: list[Run], size: int, stored: int) -> str:
    """The section of the README."""
    rows = ""
    for one in runs:
        floor = runs[1] if one.name.endswith("protobuf") else runs[0]
        ratios = f"{one.seconds / floor.seconds:.1f} | {one.cpu_s / floor.cpu_s:.1f}"
        rows += f"| {one.name} | {one.seconds:.2f} | {one.cpu_s:.2f} | {one.peak_mb:,} | {ratios} |\n"
    return f"""## telemetry

`python benchmarks/telemetry.py --spans {spans}`: {spans:,} spans, {size / 1e6:,.0f} MB of JSON, {stored / 1e6:,.0f} MB
in the case (1/{size / stored:.1f}), {os.cpu_count()} cores, Python {platform.python_version()}, load average
{os.getloadavg()[0]:.1f} at the end. Ratios are to the floor of the same bytes: on the clock, and in processor seconds,
which a busy machine changes less.

| process | seconds | processor s | peak MB | clock ratio | processor ratio |
| --- | --- | --- | --- | --- | --- |
{rows}"""


def keep(section: str) -> None:
    """Put the section in its place of the README."""
    text = PLACE.read_text() if PLACE.exists() else "# Figures\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PLACE.write_text(f"{before.rstrip()}\n\n{BEGIN}\n{section}{END}\n{after.lstrip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--chdb", metavar="PYTHON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadowlab-telemetry-") as folder:
        section = table(options.spans, *measured(Path(folder), options.spans, options.chdb))
    print(section)
    if options.write:
        keep(section)


if __name__ == "__main__":
    main()
