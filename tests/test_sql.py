"""Ask telemetry in SQL: read-only, bounded, from a notebook too."""

import contextlib
import os
import pty
import resource
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import duckdb
import otlp
import pandas
import pytest

import shadowlab
from shadowlab import errors, magic, telemetry
from shadowlab.case import Case, open_case
from shadowlab.report.run import OwnKernel
from shadowlab.telemetry import ask
from shadowlab.telemetry.growth import bounded


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("asked")
    made = open_case(folder / "case")
    spans = [otlp.raising(otlp.span(n, trace=f"{n:032x}", error=True, http__route="/orders")) for n in range(1, 41)]
    telemetry.ingest(made, [otlp.lines(folder / "a.jsonl", otlp.traces(spans))])
    return made


def test_rows_come_as_frames_tables_and_dictionaries(case):
    rows = telemetry.user_sql(case, "SELECT service, count(*) AS n, sum(duration_ns) AS s FROM spans GROUP BY 1")
    assert rows.rows() == [{"service": "shop", "n": 40, "s": 400_000_000}]
    assert rows.columns == ("service", "n", "s")
    assert rows.df()["n"].tolist() == [40]
    assert rows.arrow().num_rows == len(rows) == 1
    assert rows.digest == telemetry.user_sql(case, rows.query).digest
    assert rows.record.row_count == 1


def test_the_picture_of_many_rows_is_cut_and_says_so(case):
    page = telemetry.user_sql(case, "SELECT name, '<b>' AS b FROM spans")._repr_html_()
    assert page.count("<tr>") == 31
    assert "10 more rows are not shown" in page
    assert "<b>" not in page


def test_the_dominant_errors_have_their_columns(case):
    rows = telemetry.user_sql(case, "@dominant_errors")
    assert rows.columns == ("service_name", "span_name", "top_frame", "errors", "top_paths")
    assert rows.rows() == [{
        "service_name": "shop", "span_name": "POST /orders",
        "top_frame": 'File "/srv/shop/handlers/orders.py", line 12, in create', "errors": 40, "top_paths": ["/orders"],
    }]  # fmt: skip
    with pytest.raises(errors.QueryError, match=r"no query is called @nothing\nhint: there are: .*@dominant_errors"):
        telemetry.user_sql(case, "@nothing")


JAVA = """java.lang.IllegalStateException: no price
\tat com.shop.Web.handle(Web.java:9)
\tat java.base/java.lang.Thread.run(Thread.java:833)
Caused by: java.lang.NullPointerException
\tat java.base/java.util.Objects.requireNonNull(Objects.java:233)
\tat com.shop.Prices.of(Prices.java:41)
\tat com.shop.Web.handle(Web.java:7)"""
NODE = """Error: no price
    at process (/srv/shop/node_modules/lib/x.js:3:9)
    at price (/srv/shop/prices.js:12:7)
    at handle (/srv/shop/web.js:40:3)"""
GO = """goroutine 7 [running]:
main.price(0x0)
\t/srv/shop/prices.go:12 +0x1d
main.main()
\t/srv/shop/main.go:3 +0x5"""


@pytest.mark.parametrize(
    ("stack", "top"),
    [
        (JAVA, "at com.shop.Prices.of(Prices.java:41)"),
        (NODE, "at price (/srv/shop/prices.js:12:7)"),
        (GO, "main.price(0x0)\n\t/srv/shop/prices.go:12 +0x1d"),
        ("no stack at all", None),
    ],
)
def test_the_deepest_frame_of_a_dominant_error_is_found_however_it_is_printed(tmp_path, stack, top):
    made = open_case(tmp_path / "case")
    failed = otlp.raising(otlp.span(error=True), stack=stack)
    telemetry.ingest(made, [otlp.lines(tmp_path / "a.jsonl", otlp.traces([failed]))])
    assert [row["top_frame"] for row in telemetry.user_sql(made, "@dominant_errors").rows()] == [top]


@pytest.mark.parametrize(
    "query",
    [
        "CREATE TABLE x AS SELECT 1",
        "ATTACH '/tmp/x.duckdb'",
        "COPY (SELECT 1) TO '/tmp/x'",
        "SET threads = 1",
        "INSTALL x",
        "LOAD httpfs",
        "DELETE FROM spans",
        "DROP VIEW spans",
        "SELECT 1; SELECT 2",
        "PRAGMA enable_profiling",
        "CHECKPOINT",
        "UPDATE EXTENSIONS",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'",
        "SELECT getenv('HOME')",
        "SELECT * FROM read_duckdb('/tmp/x.duckdb')",
        "SELECT * FROM pandas_scan(140000::POINTER)",
        "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('FROM read_text(''/etc/hostname'')'))",
        "SELECT " + "(" * 3000 + "1" + ")" * 3000,
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM 'http://localhost/x.parquet'",
        "SELECT * FROM case",
        "nonsense",
        "",
    ],
)
def test_what_is_no_reading_of_the_views_is_refused(case, query):
    with pytest.raises(errors.QueryError):
        telemetry.user_sql(case, query)


def test_no_secret_that_somebody_keeps_is_seen(case, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with duckdb.connect() as con:
        con.execute("CREATE PERSISTENT SECRET mine (TYPE http, BEARER_TOKEN 'abcdef')")
    assert telemetry.user_sql(case, "SELECT * FROM duckdb_secrets()").rows() == []


def test_the_files_of_the_case_itself_are_no_tables(case):
    (file,) = telemetry.user_sql(case, "SELECT path FROM duckdb_databases() WHERE path IS NOT NULL").rows()
    for query in ("FROM read_blob({})", "FROM read_duckdb({}, table_name := 'spans')", "FROM glob({})"):
        with pytest.raises(errors.QueryError, match="has been disabled"):
            telemetry.user_sql(case, query.format(f"'{file['path']}'"))


def test_a_query_that_takes_too_long_is_stopped(case):
    query = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(100000) b"
    with pytest.raises(errors.QueryError, match=r"more than 0\.2 s"):
        telemetry.user_sql(case, query, timeout_s=0.2)


def test_a_query_that_takes_too_much_memory_is_stopped(case):
    query = "SELECT list(a.range ORDER BY hash(a.range)) FROM range(50000000) a"
    with pytest.raises(errors.QueryError, match="more than 100MB of memory"):
        telemetry.user_sql(case, query, memory="100MB")


@pytest.mark.parametrize("large", ["repeat('x', 1800000000)", "range(200000000)", "format('{:>1800000000}', 1)"])
def test_a_single_value_that_takes_too_much_memory_is_stopped(case, large):
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(errors.QueryError, match="more than 100MB of memory"):
        telemetry.user_sql(case, f"SELECT len({large})", memory="100MB")
    assert resource.getrlimit(resource.RLIMIT_DATA) == before
    assert telemetry.user_sql(case, "SELECT 1 AS one").rows() == [{"one": 1}]


def test_bounds_that_hold_at_once_add_up_and_leave_nothing_behind():
    def soft() -> int:
        return resource.getrlimit(resource.RLIMIT_DATA)[0]

    before = soft()
    with bounded(10**9):
        one = soft()
        with bounded(10**9):
            assert soft() - one == 10**9 + (512 << 20)
        assert soft() == one
    assert soft() == before


_ENDLESS = "SELECT sum(a.range * b.range) FROM range(1000000000) a, range(100000) b"


def test_a_long_query_tells_its_progress_to_the_end(case):
    seen: list[tuple[str, int, int]] = []
    with pytest.raises(errors.QueryError, match="more than 1 s"):
        telemetry.user_sql(case, _ENDLESS, timeout_s=1, progress=lambda *told: seen.append(told))
    assert seen[-1] == ("query, percent", 100, 100)
    assert all(0 <= done < total == 100 for _, done, total in seen[:-1])


def test_an_interrupt_stops_a_query_and_the_next_one_is_answered(case):
    def interrupt(*_told: object) -> None:
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        telemetry.user_sql(case, _ENDLESS, timeout_s=600, progress=interrupt)
    assert telemetry.user_sql(case, "SELECT 1 AS one").rows() == [{"one": 1}]


def test_an_interrupt_while_a_question_is_prepared_stops_it_too(case, monkeypatch):
    monkeypatch.setattr(ask, "_refuse_writes", lambda *_given: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        telemetry.user_sql(case, _ENDLESS, timeout_s=600)


def test_an_interrupt_while_the_thread_of_a_query_starts_stops_it_too(case, monkeypatch):
    class Interrupted(ThreadPoolExecutor):
        def submit(self, *given, **named):
            handed = super().submit(*given, **named)
            signal.raise_signal(signal.SIGINT)  # the thread works already, and nobody watches it yet
            return handed

    monkeypatch.setattr(ask, "ThreadPoolExecutor", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        telemetry.user_sql(case, _ENDLESS, timeout_s=600)


def test_a_query_in_a_terminal_shows_a_bar_and_ends_with_ctrl_c(case):
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "shadowlab", "sql", "--timeout", "600", str(case.path), _ENDLESS]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"percent" not in shown:
        shown += os.read(ours, 4096)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    with contextlib.suppress(OSError):  # a terminal whose other end is gone
        while more := os.read(ours, 4096):
            shown += more
    os.close(ours)
    assert (running.returncode, out) == (130, b"")
    assert b"interrupted" in shown


def test_limits_can_be_raised(case):
    query = "SELECT count(*) AS n FROM (SELECT range FROM range(3000000) ORDER BY hash(range) LIMIT 2500000)"
    with pytest.raises(errors.QueryError, match="raise --memory"):
        telemetry.user_sql(case, query, memory="20MB")
    assert telemetry.user_sql(case, query, memory="1GB", timeout_s=600).rows() == [{"n": 2_500_000}]
    assert telemetry.user_sql(case, "SELECT 1 AS n", memory="9999999TB").rows() == [{"n": 1}]


def test_dates_beyond_the_calendar_are_told_in_words(case):
    rows = telemetry.user_sql(case, "SELECT DATE 'infinity' AS far, [TIMESTAMP '290000-01-01'] AS listed, 1 AS n")
    assert rows.rows() == [{"far": "beyond the calendar", "listed": "beyond the calendar", "n": 1}]
    assert "beyond the calendar" in rows._repr_html_()


def test_a_question_without_end_is_stopped(case):
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT max(n) FROM t"
    with pytest.raises(errors.QueryError, match="took more than"):
        telemetry.user_sql(case, endless, timeout_s=0.3)


def test_parameters_are_bound(case):
    rows = telemetry.user_sql(case, "SELECT count(*) AS n FROM spans WHERE span_id = $id", {"id": f"{7:016x}"})
    assert rows.rows() == [{"n": 1}]


def test_tables_of_the_caller_are_seen_but_never_instead_of_a_view(case):
    mine = pandas.DataFrame({"service": ["shop"], "team": ["orders"]})
    query = "SELECT team, count(*) AS n FROM spans JOIN teams USING (service) GROUP BY 1"
    found = telemetry.user_sql(case, query, tables={"teams": mine, "spans": mine}).rows()
    assert found == [{"team": "orders", "n": 40}]


@pytest.fixture
def notebook(case: Case) -> dict[str, object]:
    return {"inv": shadowlab.open(case.path)}


def test_the_magic_answers_and_names_rows(notebook):
    assert magic.answer(notebook, "SELECT count(*) AS n FROM spans").rows() == [{"n": 40}]
    assert magic.answer(notebook, "found <<", "SELECT count(*) AS n FROM errors") is None
    assert notebook["found"].rows() == [{"n": 40}]
    assert magic.answer(notebook, "SELECT n + 1 AS m FROM found").rows() == [{"m": 41}]


def test_the_magic_sees_the_notebooks_frames(notebook):
    notebook["teams"] = pandas.DataFrame({"service": ["shop"], "team": ["orders"]})
    assert len(magic.answer(notebook, "", "SELECT * FROM spans JOIN teams USING (service)")) == 40


def test_the_magic_takes_a_case_by_path_and_limits(case: Case):
    line = f"--case '{case.path}' --timeout 5 --memory 1GB SELECT 1 AS one"
    assert magic.answer({}, line).rows() == [{"one": 1}]
    with pytest.raises(errors.UsageError, match="no case is open"):
        magic.answer({}, "SELECT 1")
    with pytest.raises(errors.UsageError, match="no option --cas"):
        magic.answer({}, "--cas x SELECT 1")
    with pytest.raises(errors.UsageError, match="no question"):
        magic.answer({}, "", "  ")


def test_the_extension_registers_the_magic_with_ipython(case: Case, tmp_path: Path):
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "shadowlab")
    rows = shell.run_cell_magic("sql", f"--case {case.path}", "SELECT count(*) AS n FROM spans")
    assert rows.rows() == [{"n": 40}]


ASKS = """
import shadowlab as sl
inv = sl.open({case!r})
%load_ext shadowlab
---
%sql SELECT nothing FROM spans
---
%%sql
SELECT 1; SELECT 2
---
def ask():
    return inv.replay("no such suspect")

ask()
---
inv.ingest()
---
sl.open({none!r}, create=False)
---
1 / 0
"""


def test_an_error_in_a_notebook_says_where_what_and_what_next_and_no_more(case: Case, tmp_path: Path, monkeypatch):
    import nbclient
    import nbformat

    cells = ASKS.format(case=str(case.path), none=str(tmp_path / "none")).split("---\n")
    shown = []
    for whole in ("", "1"):
        monkeypatch.setenv("SHADOWLAB_TRACEBACK", whole)
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell.strip()) for cell in cells])
        nbclient.NotebookClient(notebook, kernel_manager_class=OwnKernel, allow_errors=True, timeout=120).execute()
        shown.append([["\n".join(out.traceback) for out in cell.outputs if out.output_type == "error"]
                      for cell in notebook.cells])  # fmt: skip
    (opened, line, cell, called, plain, missing, other), full = shown
    assert opened == []
    assert line[0].startswith("cell, line 1\nQueryError: the query cannot run: Binder Error")
    assert cell == ["cell, line 1\nQueryError: 2 statements; one is answered at a time\nhint: send them one by one"]
    assert called[0].startswith('cell, line 4: ask()\ncell, line 2: return inv.replay("no such suspect")\nUsageError: ')
    assert plain[0].splitlines()[:2] == ["cell, line 1: inv.ingest()", "UsageError: nothing to ingest"]
    assert "is no case" in missing[0]
    assert "ZeroDivisionError" in other[0]
    assert all(len(text[0].splitlines()) < 10 for text in (line, cell, called, plain, missing))
    assert all("investigation.py" in text[0] or "magic.py" in text[0] for text in full[1:6])


def test_the_schemas_page_says_what_the_database_has(case):
    page = (Path(__file__).parent.parent / "docs" / "schema.md").read_text()
    sections = {part.split("\n", 1)[0]: part for part in page.split("\n## ")[1:]}
    with telemetry.store(case) as store:
        for view in telemetry.VIEWS:
            columns = store.sql(f"DESCRIBE {view}").rows()
            listed = [line.split("|")[1:3] for line in sections[view].splitlines() if line.startswith("| `")]
            told = [(name.strip(" `"), kind.strip(" `")) for name, kind in listed]
            assert told == [(row["column_name"], row["column_type"]) for row in columns]
