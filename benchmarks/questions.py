"""Questions to five million spans, warm, beside the same on chdb (ClickHouse in a process) over its own table.

    python benchmarks/questions.py [--spans 5000000] [--chdb PYTHON] [--write]

The spans are made and taken in first, which takes minutes; `--case` and `--lines` name ones that are there (the case,
and the JSON lines it was made from, which chdb loads), `--chdb-data` what chdb made of them. Each question is asked six
times in one process, three times of chdb; the table has the median without the first, and the slowest. `--write` puts
it into `benchmarks/README.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import telemetry as loading
import telemetry_data

PLACE = Path(__file__).with_name("README.md")
BEGIN, END = "<!-- questions: begin -->", "<!-- questions: end -->"
MINUTE = 60_000_000_000
NEWEST = "(SELECT max(start_ns) FROM spans)"
BURN = ", ".join(
    f"count_if(start_ns > {NEWEST} - {m} * {MINUTE} AND status = 'error') "
    f"/ count_if(start_ns > {NEWEST} - {m} * {MINUTE}) AS m{m}"
    for m in (5, 30, 60, 360)
)
QUESTIONS = {
    "dominant signatures, last 30 minutes": "@dominant_errors",
    "p95 per endpoint and minute": f"""SELECT service, http_route, start_ns // {MINUTE} AS minute, count(*),
        quantile_cont(duration_ns, 0.95) FROM spans WHERE kind = 'server' GROUP BY ALL""",
    "burn rates over 5 m, 30 m, 1 h, 6 h": f"SELECT service, {BURN} FROM spans WHERE kind = 'server' GROUP BY 1",
    "contrast of one service, 30 minutes": f"""WITH told AS (
            SELECT status = 'error' AS bad, unnest(map_entries(attributes)) AS e FROM spans
            WHERE service = 'cart' AND start_ns > {NEWEST} - 30 * {MINUTE})
        SELECT e.key, e.value, count_if(bad) AS failed, count(*) AS n FROM told GROUP BY ALL
        ORDER BY failed DESC LIMIT 20""",
    "service map": "SELECT * FROM edges",
}
LIMITS = {
    **dict.fromkeys(QUESTIONS, 300), "open a case and count its spans": 200, "one trace by its id": 20,
    "contrast over every span and key": 6000, "contrast, 2 percent sampled, with its error": 500,
}  # fmt: skip
"""Milliseconds that each may take."""
PEER = {
    "dominant signatures, last 30 minutes": """SELECT service, name, frame, count() AS n,
            groupUniqArray(5)(attributes['http.route']) AS paths FROM (
        SELECT service, name, attributes, arrayElement(extractAll(
            assumeNotNull(arrayFirst(a -> a.1 = 'exception.stacktrace', e.3).2.1),
            '(?m)^[ \\\\t]*(File "[^"\\\\n]+", line [0-9]+, in .+|at .+:[0-9]+)$'), -1) AS frame
        FROM d.spans ARRAY JOIN events AS e
        WHERE start > (SELECT max(start) FROM d.spans) - 1800000000000 AND status = 2)
        GROUP BY ALL ORDER BY n DESC LIMIT 20""",
    "p95 per endpoint and minute": """SELECT service, attributes['http.route'] AS route,
        intDiv(start, 60000000000) AS m, count(), quantileExact(0.95)(end - start)
        FROM d.spans WHERE kind = 2 GROUP BY ALL""",
    "burn rates over 5 m, 30 m, 1 h, 6 h": "WITH (SELECT max(start) FROM d.spans) AS t SELECT service, "
    + ", ".join(
        f"countIf(start > t - {m} * {MINUTE} AND status = 2) / countIf(start > t - {m} * {MINUTE})"
        for m in (5, 30, 60, 360)
    )
    + " FROM d.spans WHERE kind = 2 GROUP BY service",
    "contrast of one service, 30 minutes": """SELECT k, v, countIf(bad) AS f, count() AS n FROM (
        SELECT status = 2 AS bad, kv.1 AS k, kv.2 AS v FROM d.spans
        ARRAY JOIN CAST(attributes, 'Array(Tuple(String, String))') AS kv
        WHERE service = 'cart' AND start > (SELECT max(start) FROM d.spans) - 1800000000000)
        GROUP BY k, v ORDER BY f DESC LIMIT 20""",
    "service map": """SELECT p.service, c.service, count(), countIf(c.status = 2), quantile(0.95)(c.end - c.start)
        FROM d.spans c INNER JOIN d.spans p ON p.span = c.parent AND p.trace = c.trace
        WHERE p.service != c.service GROUP BY ALL""",
    "one trace by its id": "SELECT * FROM d.spans WHERE trace = '{trace}'",
    "contrast over every span and key": """SELECT k, v, countIf(bad) AS f, count() AS n FROM (
        SELECT status = 2 AS bad, kv.1 AS k, kv.2 AS v FROM d.spans
        ARRAY JOIN CAST(attributes, 'Array(Tuple(String, String))') AS kv)
        GROUP BY k, v ORDER BY f DESC LIMIT 50""",
    "open a case and count its spans": "SELECT count() FROM d.spans",
}
OPEN = """
import sys, time
import duckdb, pyarrow, pandas
from shadowlab import telemetry
from shadowlab.case import open_case
begin, work = time.perf_counter(), time.process_time()
with telemetry.store(open_case(sys.argv[1])) as store:
    store.sql('SELECT count(*) FROM spans').rows()
print(time.perf_counter() - begin, time.process_time() - work)
"""
ASK_CHDB = """
import json, sys, time
from chdb import session
s = session.Session(sys.argv[1])
told = {}
for name, question in json.load(sys.stdin).items():
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        s.query(question + ' SETTINGS max_threads = 2', 'Null' if 'SELECT *' not in question else 'JSON')
        times.append(time.perf_counter() - begin)
    told[name] = times
    print(name, times, file=sys.stderr)
print(json.dumps(told))
"""


def made(folder: Path, spans: int) -> tuple[Path, Path]:
    """The case and the JSON lines it was made from."""
    lines, stream = telemetry_data.write(folder, spans)
    stream.unlink()
    command = [str(Path(sys.executable).with_name("shadowlab")), "ingest", str(folder / "case"), str(lines)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder / "case", lines


Times = list[tuple[float, float]]
"""Seconds on the clock, and seconds of processor."""


def asked(place: Path) -> tuple[dict[str, Times], str, int]:
    """What each question took, asked six times; a trace's id; how many spans there are."""
    from shadowlab import telemetry
    from shadowlab.case import open_case

    case = open_case(place)
    answers = {"open a case and count its spans": [_opened(place) for _ in range(6)]}
    with telemetry.store(case) as store:
        count = store.sql("SELECT count(*) AS n FROM spans").rows()[0]["n"]
        trace = store.sql("SELECT trace_id FROM traces LIMIT 1 OFFSET 1000").rows()[0]["trace_id"]
        for name, question in QUESTIONS.items():
            text = telemetry.named(question)
            answers[name] = _times(lambda text=text: store.sql(text))
        answers["one trace by its id"] = _times(lambda: telemetry.trace(store, trace))
    answers["contrast over every span and key"] = _times(lambda: telemetry.contrast(case), 4)
    answers["contrast, 2 percent sampled, with its error"] = _times(lambda: telemetry.contrast(case, sample=0.02))
    return answers, trace, count


def _opened(case: Path) -> tuple[float, float]:
    done = subprocess.run([sys.executable, "-c", OPEN, str(case)], check=True, capture_output=True, text=True)
    clock, work = map(float, done.stdout.split())
    return clock, work


def _times(call: Callable[[], object], count: int = 6) -> Times:
    times = []
    for _ in range(count):
        begin, work = time.perf_counter(), time.process_time()
        call()
        times.append((time.perf_counter() - begin, time.process_time() - work))
    return times


def asked_of_chdb(python: str, data: Path, lines: Path, trace: str) -> dict[str, list[float]]:
    """The same on chdb; its table is loaded when `data` is not there yet."""
    if not data.exists():
        loading.run("chdb loads", loading.code(loading.CHDB, str(lines), str(data), python=python))
    questions = json.dumps({name: text.replace("{trace}", trace) for name, text in PEER.items()})
    command = [python, "-c", ASK_CHDB, str(data)]
    done = subprocess.run(command, check=True, input=questions, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def table(count: int, ours: dict[str, Times], theirs: dict[str, list[float]]) -> str:
    """The section of the README."""
    rows = ""
    for name, times in ours.items():
        warm = times[1:]
        peer = f"{statistics.median(theirs[name][1:]) * 1000:,.0f}" if name in theirs else ""
        median, slowest = statistics.median(clock for clock, _ in warm) * 1000, max(warm)[0] * 1000
        work = statistics.median(work for _, work in warm) * 1000
        rows += f"| {name} | {LIMITS[name]:,} | {median:,.0f} | {slowest:,.0f} | {work:,.0f} | {peer} |\n"
    return f"""## questions

`python benchmarks/questions.py`: {count:,} spans in one case, {os.cpu_count()} cores,
Python {platform.python_version()}, load average {os.getloadavg()[0]:.1f} at the end. Milliseconds, warm: the median of
five, and the slowest of them; *processor* is the median of all threads' time, which a busy machine changes less. *Open*
is a new process each time, libraries imported; for chdb it is the count alone.
chdb's table is sorted by service and time and has no index by trace; its service map is a join, ours was counted at
ingest; its contrasts are of spans' attributes alone, ours of their resources' too.

| question | limit | median | slowest | processor | chdb, median |
| --- | ---: | ---: | ---: | ---: | ---: |
{rows}"""


def keep(section: str) -> None:
    """Put the section in its place of the README."""
    before, _, rest = PLACE.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    PLACE.write_text(f"{before.rstrip()}\n\n{BEGIN}\n{section}{END}\n{after}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=5_000_000)
    parser.add_argument("--case", type=Path)
    parser.add_argument("--lines", type=Path)
    parser.add_argument("--chdb", metavar="PYTHON")
    parser.add_argument("--chdb-data", type=Path, metavar="FOLDER")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="shadowlab-questions-") as name:
        folder = Path(name)
        case, lines = (options.case, options.lines) if options.case else made(folder, options.spans)
        ours, trace, count = asked(case)
        data = options.chdb_data or folder / "chdb"
        theirs = asked_of_chdb(options.chdb, data, lines, trace) if options.chdb else {}
    section = table(count, ours, theirs)
    print(section)
    if options.write:
        keep(section)


if __name__ == "__main__":
    main()
