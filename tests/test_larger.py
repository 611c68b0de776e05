"""The same questions on larger engines: the same answers, nothing written there, an incident's slice as a case."""

import http.server
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import exporter_tables
import otlp
import pytest
import sqlglot
from click.testing import CliRunner

import shadowlab as sl
from shadowlab import errors
from shadowlab.cli import main
from shadowlab.cli.inspection import ASKED
from shadowlab.records import Triage
from shadowlab.telemetry.larger import Engine, Scope, answer, connect, export, take_slice
from shadowlab.telemetry.larger.bigquery import BigQuery
from shadowlab.telemetry.larger.clickhouse import ClickHouse
from shadowlab.telemetry.larger.duck import Duck, of_case
from shadowlab.telemetry.larger.engine import compiled
from shadowlab.telemetry.questions import MINUTE_NS, named
from shadowlab.telemetry.questions import compiled as compiled_questions
from shadowlab.telemetry.questions.expressions import WINDOWS_S
from shadowlab.triage import burn

DATA = Path(__file__).parent.parent / "data" / "payments-decimal"
PERCENTILES = ("p50_ns", "p95_ns")


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> sl.Investigation:
    inv = sl.open(tmp_path_factory.mktemp("larger") / "case")
    inv.ingest(*(str(path) for path in sorted(DATA.glob("*.otlp.jsonl.gz"))))
    (newest,) = inv.sql("SELECT max(start_ns) AS ns FROM spans").rows()
    place = inv.case.path.parent / "calls.jsonl"
    place.write_text("\n".join(json.dumps(request) for request in calls(newest["ns"])))
    inv.ingest(place)
    return inv


def calls(newest_ns: int) -> list[dict[str, Any]]:
    """400 calls from one service to another within one minute, ten minutes before the newest span; two fail.

    Every fourth was kept of four: it stands for four calls, and both failures are among those.
    """
    minute = (newest_ns // MINUTE_NS - 10) * MINUTE_NS
    above, below = [], []
    for n in range(1, 401):
        at, trace = minute + n * 100_000_000, f"{n:032x}"
        above.append(otlp.span(2 * n, trace=trace, at=at, ms=1000, name="GET /cart"))
        called = otlp.span(2 * n + 1, trace=trace, parent=2 * n, at=at, ms=n, name="GET /stock", error=n % 200 == 0)
        if n % 4 == 0:
            called["traceState"] = "ot=th:c"
        else:  # no probability, which counts for nothing
            called["attributes"] += otlp.attributes({"sampling.probability": ("nan", "-1", "4")[n % 4 - 1]})
        below.append(called)
    return [otlp.traces(above, service="web"), otlp.traces(below, service="stock")]


@pytest.fixture(scope="module")
def layout(loaded: sl.Investigation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("layout") / "archive"
    loaded.export(parquet=folder)
    return folder


@pytest.fixture(scope="module")
def at_home(loaded: sl.Investigation) -> Iterator[Duck]:
    engine = of_case(loaded.case)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def exporter(at_home: Duck, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ClickHouse's data folder with the exporter's tables, made by a process of its own: chdb allows one a process."""
    folder = tmp_path_factory.mktemp("clickhouse")
    for table in exporter_tables.TABLES:
        exporter_tables.write(at_home.con, table, folder)
    done = subprocess.run(
        [sys.executable, exporter_tables.__file__, str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return folder / "data"


def last_half_hour(engine: Engine) -> Scope:
    """That ends at a whole microsecond, as triage's do."""
    last = (ask_one(engine, "SELECT max(start_ns) FROM main.spans") // 1000 + 1) * 1000
    return Scope(last + 1 - 1800 * 10**9, last + 1)


def ask_one(engine: Any, statement: str) -> int:
    return int(engine.run(statement).column(0)[0].as_py())


def answers(engine: Engine, scope: Scope, trace_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every question that is asked by name."""
    told = {}
    for name, question in named(scope.start_ns, scope.end_ns, ["payments-api"]).items():
        of = Scope(scope.start_ns, scope.end_ns, (), trace_id if name == "trace" else None)
        told[name] = [unified(row) for row in answer(engine, question, of).rows()]
    return told


def unified(row: dict[str, Any]) -> dict[str, Any]:
    """JSON as what it says."""
    for key in ("attributes", "resource_attributes"):
        if key in row:
            row[key] = json.loads(row[key])
    return row


def percentiles_agree(one: dict[str, list[dict[str, Any]]], other: dict[str, list[dict[str, Any]]]) -> int:
    """Where at least a hundred were counted, sketches lie within 2 % of each other; gives how many were compared."""
    compared = 0
    for name in ("rates", "edges"):
        for mine, theirs in zip(one[name], other[name], strict=True):
            for key in PERCENTILES:
                if key in mine and mine.get("requests", mine.get("calls")) >= 100:
                    assert mine[key] == pytest.approx(theirs[key], rel=0.02), (name, key)
                    compared += 1
    return compared


def without_percentiles(told: dict[str, list[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [{k: v for k, v in row.items() if k not in PERCENTILES} for row in rows] for name, rows in told.items()
    }


def failing_trace(engine: Duck) -> str:
    text = "SELECT trace_id FROM main.events WHERE name = 'exception' ORDER BY at_ns DESC LIMIT 1"
    return str(engine.run(text).column(0)[0].as_py())


def test_parquet_gives_the_answers_of_the_case(at_home: Duck, layout: Path):
    scope, trace_id = last_half_hour(at_home), failing_trace(at_home)
    here = answers(at_home, scope, trace_id)
    assert {name: bool(rows) for name, rows in here.items()} == dict.fromkeys(here, True)
    (edge,) = here["edges"]
    assert (edge["caller"], edge["callee"], edge["calls"], edge["errors"]) == ("web", "stock", 700, 8)
    assert edge["p95_ns"] == pytest.approx(380_000_000, rel=0.02)
    for url in (f"parquet://{layout}", f"parquet+file://{layout}"):
        engine = connect(url)
        there = answers(engine, scope, trace_id)
        assert without_percentiles(there) == without_percentiles(here)
        assert percentiles_agree(here, there) == 5
        engine.close()


def test_the_questions_are_those_that_the_views_answer(loaded: sl.Investigation, at_home: Duck):
    scope = last_half_hour(at_home)
    told = answers(at_home, scope, failing_trace(at_home))
    (counted,) = loaded.sql(
        f"SELECT count(*) AS n FROM errors WHERE exception_type = 'TypeError' AND at_ns >= {scope.start_ns}"
    ).rows()
    assert [row["errors"] for row in told["signatures"] if row["exception_type"] == "TypeError"] == [counted["n"]]
    for burnt in told["burn"]:
        of_it = [row["failed"] for row in told["rates"] if row["service"] == burnt["service"]]
        assert burnt["failed_30m"] == sum(of_it)


@pytest.fixture(scope="module")
def judged(loaded: sl.Investigation, at_home: Duck) -> Triage:
    """Triage of the case over the last half hour, which `last_half_hour` is too."""
    with sl.telemetry.store(loaded.case) as store:
        return sl.triage.triage(store, at=burn.moment(last_half_hour(at_home).end_ns))[0]


def triages_agree(found: Triage, told: dict[str, list[dict[str, Any]]]) -> None:
    """What triage says of objectives, calls and errors is what the questions answer."""
    burnt = {row["service"]: row for row in told["burn"]}
    assert {o.service for o in found.objectives} == set(burnt)
    for o in found.objectives:
        for name in WINDOWS_S:
            window = o.windows[name]
            row = burnt[o.service]
            assert (window.total, window.bad) == (row[f"requests_{name}"], row[f"failed_{name}"])
        per_minute = sum(row["requests"] for row in told["rates"] if row["service"] == o.service)
        assert per_minute == o.windows["30m"].total
    calls = ("caller", "callee", "calls", "errors")
    assert [asdict(edge) for edge in found.edges] == [{key: row[key] for key in calls} for row in told["edges"]]
    raised = [row["errors"] for row in told["signatures"] if row["exception_type"] == "TypeError"]
    assert [s.events for s in found.suspects if s.exception_type == "TypeError"] == raised


def test_triage_of_the_case_and_the_stores_give_the_same_answers(judged: Triage, at_home: Duck, layout: Path):
    scope, trace_id = last_half_hour(at_home), failing_trace(at_home)
    assert any(o.windows["30m"].bad for o in judged.objectives)
    assert [edge.calls for edge in judged.edges] == [700]
    engine = connect(f"parquet://{layout}")
    triages_agree(judged, answers(engine, scope, trace_id))
    engine.close()


def test_what_ships_compiled_is_what_the_expressions_say():
    shipped = Path(compiled_questions.__file__).with_name("duckdb.sql").read_text()
    assert shipped == compiled_questions.compiled(), "python -m shadowlab.telemetry.questions writes it anew"


def test_triage_needs_no_ibis(loaded: sl.Investigation):
    script = (
        "import sys; sys.modules['ibis'] = None\n"
        "from datetime import timedelta\n"
        "from shadowlab import telemetry, triage\n"
        "from shadowlab.case import open_case\n"
        f"with telemetry.store(open_case({str(loaded.case.path)!r})) as store:\n"
        "    assert triage.triage(store, window=timedelta(minutes=5))[0].objectives"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_without_a_larger_store_the_case_is_asked(loaded: sl.Investigation):
    told = {}
    for name in ASKED:
        more = {"contrast": ["--service", "payments-api"], "trace": ["--trace", "0" * 32]}.get(name, [])
        done = CliRunner().invoke(main, ["sql", str(loaded.case.path), "--format", "json", f"@{name}", *more])
        assert done.exit_code == 0, done.stderr
        told[name] = json.loads(done.stdout)
    assert told["signatures"][0]["exception_type"] == "TypeError"
    assert set(ASKED) == set(named(0, 1, []))


def test_only_the_days_and_services_asked_for_are_read(layout: Path):
    engine = connect(f"parquet://{layout}")
    elsewhere = Scope(0, 86_400 * 10**9, ("payments-api",))
    question = named(elsewhere.start_ns, elsewhere.end_ns, [])["rates"]
    plan = str(engine.run("EXPLAIN " + compiled(engine, question.text(), question.reads, elsewhere)).to_pylist())
    assert "Scanning Files: 0/" in plan or "EMPTY_RESULT" in plan
    engine.close()


def test_a_slice_is_the_traces_whole_with_their_logs(loaded: sl.Investigation, layout: Path, tmp_path: Path):
    inv = sl.open(tmp_path / "slice", telemetry=f"parquet://{layout}")
    told = inv.slice(services=["payments-api"], window="2m")
    assert told.spans
    mine = inv.sql("SELECT trace_id, count(*) AS n FROM spans GROUP BY ALL ORDER BY ALL").rows()
    theirs = loaded.sql("SELECT trace_id, count(*) AS n FROM spans GROUP BY ALL ORDER BY ALL").rows()
    pulled = {row["trace_id"] for row in mine}
    assert mine == [row for row in theirs if row["trace_id"] in pulled]
    same = (
        "SELECT * EXCLUDE (row_id, attribute_types, exceptions, flags) FROM spans ORDER BY start_ns, span_id LIMIT 20"
    )
    first = inv.sql(same).rows()
    wanted = f"SELECT * FROM ({same.removesuffix(' LIMIT 20')}) WHERE trace_id IN (SELECT unnest($ids)) LIMIT 20"
    with sl.telemetry.store(loaded.case) as store:
        assert first == store.sql(wanted, {"ids": [row["trace_id"] for row in mine]}).rows()
    assert inv.sql("SELECT count(*) AS n FROM logs").rows()[0]["n"] == told.logs > 0


def test_a_slice_twice_adds_nothing_and_stands_in_the_ledger(layout: Path, tmp_path: Path):
    inv = sl.open(tmp_path / "case")
    first, second = (inv.slice(f"parquet://{layout}", services=["payments-api"], window="1m") for _ in range(2))
    assert first.spans > 0
    assert second.spans == second.logs == second.metric_points == 0
    assert [entry["verb"] for entry in inv.ledger] == ["slice", "slice"]
    assert inv.verify().verdict.value == "pass"


def test_a_slice_leaves_out_what_the_case_has_from_files_of_its_own(
    loaded: sl.Investigation, layout: Path, tmp_path: Path
):
    inv = sl.open(tmp_path / "case")
    inv.ingest(*(str(path) for path in sorted(DATA.glob("*.otlp.jsonl.gz"))))  # types of attributes, too
    counted = "SELECT (SELECT count(*) FROM spans) AS spans, (SELECT count(*) FROM logs) AS logs"
    (before,) = inv.sql(counted).rows()
    told = inv.slice(f"parquet://{layout}", services=["payments-api"], window="2m")
    assert (told.spans, told.logs) == (0, 0)
    empty = sl.open(tmp_path / "empty")
    empty.slice(f"parquet://{layout}", services=["payments-api"], window="2m")
    moved = [each.ledger[-1]["arguments"]["bytes_moved"] for each in (inv, empty)]
    assert moved[0] == moved[1], "what is left out has been moved all the same"
    assert inv.sql(counted).rows() == [before]
    told = inv.slice(f"parquet://{layout}", window="20m")
    assert told.spans == 800, "the calls, which the case's own files lack"
    assert inv.sql(counted).rows()[0]["spans"] == before["spans"] + 800


def test_a_slice_leaves_out_what_the_case_redacted_and_the_store_holds_whole(tmp_path: Path):
    secret = "mail ann@example.org"
    number = {"attributes": otlp.attributes({"n": 7})}  # a store keeps it as a text
    span, log = {**otlp.span(1, name=secret), **number}, {**otlp.log(secret), **number}
    whole, inv = sl.open(tmp_path / "whole"), sl.open(tmp_path / "case")
    file = otlp.lines(tmp_path / "told.jsonl", otlp.traces([span]), otlp.logs([log]))
    whole.ingest(file, redact=None)
    whole.export(parquet=tmp_path / "archive")
    inv.ingest(file)
    told = inv.slice(f"parquet://{tmp_path}/archive", services=["shop"], window="1m")
    assert (told.spans, told.logs) == (0, 0)
    assert "ann@" not in str(inv.sql("SELECT name, body FROM spans, logs").rows())


def test_triage_pulls_what_it_looks_at_and_asks_for_the_rest(judged: Triage, layout: Path, tmp_path: Path):
    inv = sl.open(tmp_path / "case", telemetry=f"parquet://{layout}")
    found = inv.triage(window="10m", at=judged.at)
    assert found.suspects[0].title.startswith("TypeError")
    pulled = {o.service: o.windows for o in found.objectives}
    assert pulled == {o.service: o.windows for o in judged.objectives if o.service in pulled}
    assert any(o.windows["6h"].total > o.windows["30m"].total for o in found.objectives), "more than was pulled"
    assert any("objectives are measured in Parquet" in note for note in found.notes)


def test_a_slice_that_is_too_large_says_how_large(layout: Path, tmp_path: Path):
    with pytest.raises(errors.UsageError, match="more than 100") as told:
        sl.open(tmp_path / "case").slice(f"parquet://{layout}", services=["payments-api"], limit=100)
    assert "--limit" in told.value.hint


def test_an_export_of_odd_services_comes_back(tmp_path: Path):
    inv = sl.open(tmp_path / "case")
    names = ["a b/c", "déjà=vu", "123", "100%"]
    times = {"startTimeUnixNano": "1790000000000000000", "endTimeUnixNano": "1790000000000000009"}
    requests = [
        {"resourceSpans": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": name}}]},
          "scopeSpans": [{"spans": [{"traceId": f"{n + 1:032x}", "spanId": f"{n + 1:016x}", "name": "x", **times}]}]}]}
        for n, name in enumerate(names)
    ]  # fmt: skip
    place = tmp_path / "odd.jsonl"
    place.write_text("\n".join(json.dumps(request) for request in requests))
    inv.ingest(str(place))
    for file in export(inv.case, tmp_path / "out"):
        assert tmp_path / "out" in file.parents
    for url in (f"parquet://{tmp_path}/out", f"parquet+file://{tmp_path}/out"):
        engine = connect(url)
        for name in names:
            with take_slice(engine, Scope(0, 1 << 62, (name,)), tmp_path) as part:
                assert part.spans == 1
        engine.close()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nothing", "no telemetry URL"),
        ("mysql://host/db", "no engine"),
        ("parquet:///nowhere/at/all", "holds no spans"),
        ("clickhouse://who:hunter2@127.0.0.1:9/otel", "does not answer"),
        ("clickhouse:///otel", "names no host"),
        ("chdb:///nowhere/at/all", "no folder"),
        ("bigquery://project", "names no project and dataset"),
    ],
)
def test_what_cannot_be_asked_is_said_in_one_message(url: str, said: str, tmp_path: Path):
    command = [sys.executable, "-m", "shadowlab", "slice", url, "--service", "x", "--case", str(tmp_path / "case")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "hunter2" not in done.stderr
    assert not (tmp_path / "case").exists()


@pytest.mark.parametrize("host", ["h ost", "h:port", "[::1", "h\nost", "[::1]]:8123", "h:8123:9"])
def test_what_is_no_host_is_asked_for(host: str):
    with pytest.raises(errors.UsageError, match=r"no host|no telemetry URL"):
        connect(f"clickhouse://who:hunter2@{host}/otel")


def test_credentials_that_are_refused_are_asked_for_and_never_told(monkeypatch):
    class Refusing(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(403)
            self.end_headers()
            self.wfile.write(b"Code: 516. DB::Exception: who: Authentication failed: password is incorrect")

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    monkeypatch.setenv("SHADOWLAB_CLICKHOUSE_PASSWORD", "hunter2")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        engine = connect(f"clickhouse://who@127.0.0.1:{server.server_address[1]}/otel")
        with pytest.raises(errors.UsageError, match="refuses these credentials") as told:
            engine.run("SELECT 1")
        server.shutdown()
    assert "hunter2" not in f"{told.value} {told.value.hint}"
    assert "SHADOWLAB_CLICKHOUSE_PASSWORD" in told.value.hint


def test_another_schema_is_named(tmp_path: Path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "spans" / "day=2026-01-01" / "service=x"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"TraceId": ["a"]}), folder / "a.parquet")
    with pytest.raises(errors.UsageError, match="trace_id"):
        connect(f"parquet://{tmp_path}")


def test_a_service_called_like_sql_is_a_name(at_home: Duck):
    scope = last_half_hour(at_home)
    names = ("x') OR 1=1 --", "\\", "\\' OR 1=1 --")
    hostile = Scope(scope.start_ns, scope.end_ns, names)
    question = named(scope.start_ns, scope.end_ns, [])["rates"]
    assert answer(at_home, question, hostile).rows() == []
    for engine in (BigQuery("project", "set"), ClickHouse("host:1", "otel", secure=False, user=None, password=None)):
        told = sqlglot.parse_one(compiled(engine, question.text(), question.reads, hostile), read=engine.dialect)
        assert {*names} <= {literal.this for literal in told.find_all(sqlglot.exp.Literal)}


def test_bigquery_is_sent_its_own_sql():
    engine = BigQuery("my-project", "telemetry")
    scope = Scope(1_790_000_000_000_000_000, 1_790_000_600_000_000_000, ("web",))
    for name, question in named(scope.start_ns, scope.end_ns, ["web"]).items():
        text = compiled(engine, question.text(), question.reads, scope)
        assert "`my-project`.`telemetry`." in text
        assert "day >= DATE '2026-09-21'" in text, "partitions are pruned"
        sqlglot.parse_one(text, read="bigquery")
        if name == "rates":
            assert "APPROX_QUANTILES" in text


@pytest.mark.slow
def test_clickhouse_gives_the_answers_of_the_case(at_home: Duck, exporter: Path, tmp_path: Path):
    scope, trace_id = last_half_hour(at_home), failing_trace(at_home)
    asked = subprocess.run(
        [sys.executable, "-c", _IN_A_PROCESS.format(folder=str(exporter), scope=scope, trace_id=trace_id)],
        capture_output=True, text=True, cwd=Path(__file__).parent,
    )  # fmt: skip
    assert asked.returncode == 0, asked.stderr
    here = json.loads(json.dumps(answers(at_home, scope, trace_id)))
    there = json.loads(asked.stdout)
    for told in (here, there):
        for row in told["trace"]:
            row.pop("service_version")
    assert without_percentiles(there) == without_percentiles(here)
    assert percentiles_agree(here, there) == 5


_IN_A_PROCESS = """
import json
from test_larger import answers
from shadowlab.telemetry.larger import Scope, connect
engine = connect("chdb://{folder}?database=otel")
print(json.dumps(answers(engine, {scope!r}, "{trace_id}")))
"""


@pytest.mark.slow
def test_a_slice_of_a_clickhouse_server_is_the_slice_of_the_case(
    judged: Triage, exporter: Path, layout: Path, tmp_path: Path
):
    with served(exporter) as port:
        url = f"clickhouse://127.0.0.1:{port}/otel"
        from_server = sl.open(tmp_path / "server").slice(url, services=["payments-api"], window="2m")
        from_layout = sl.open(tmp_path / "layout").slice(f"parquet://{layout}", services=["payments-api"], window="2m")
        assert (from_server.spans, from_server.logs) == (from_layout.spans, from_layout.logs)
        found = sl.open(tmp_path / "judged", telemetry=url).triage(window="10m", at=judged.at)
        there = {o.service: o.windows for o in found.objectives}
        assert there == {o.service: o.windows for o in judged.objectives}
        with pytest.raises(errors.QueryError, match="otel_traces"):
            sl.open(tmp_path / "other").slice(f"clickhouse://127.0.0.1:{port}/default", services=["x"])


class _Interface(http.server.BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface, as far as a client needs it, answered by ClickHouse's engine."""

    engine: Any
    lock = threading.Lock()

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["Content-Length"])).decode()
        try:
            with self.lock:
                content, code = self.engine.run(text), 200
        except errors.QueryError as exc:
            content, code = str(exc).encode(), 404
        self.send_response(code)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class served:
    """A process that answers a data folder over HTTP."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __enter__(self) -> int:
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(self.folder)], stdout=subprocess.PIPE, text=True, env={**os.environ}
        )
        assert self.process.stdout
        return int(self.process.stdout.readline())

    def __exit__(self, *_: Any) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()


@pytest.mark.slow
def test_spark_gives_the_answers_of_the_case(at_home: Duck, layout: Path):
    scope, trace_id = last_half_hour(at_home), failing_trace(at_home)
    engine = connect(f"spark://local-cluster[2,1,1024]?parquet={layout}")
    try:
        here, there = answers(at_home, scope, trace_id), answers(engine, scope, trace_id)
        assert without_percentiles(there) == without_percentiles(here)
        assert percentiles_agree(here, there) == 5
    finally:
        engine.close()


if __name__ == "__main__":
    import pyarrow as pa

    class _Bytes:
        def __init__(self, folder: str) -> None:
            self.engine = connect(f"chdb://{folder}?database=otel")

        def run(self, text: str) -> bytes:
            table = self.engine.run(text)
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as writer:
                writer.write_table(table)
            return bytes(sink.getvalue())

    _Interface.engine = _Bytes(sys.argv[1])
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Interface)
    print(server.server_address[1], flush=True)
    server.serve_forever()
