"""What an attacker wrote into telemetry or a case is shown, never obeyed, and secrets are nowhere."""

import json
import shutil
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import orders
import otlp
import pytest
from click.testing import CliRunner

from shadowlab.cli import main
from shadowlab.incidents import bundled
from shadowlab.privacy import masked
from shadowlab.terminal import one_document, visible

EVIL = "<script>alert(1)</script><img src=x onerror=f()>[x](javascript:alert(3))|`\x1b[2J\x1b]0;owned\x07\u202e\x9b31m"
SECRETS = {
    "bearer": "abcdef0123456789abcdef", "cookie": "deadbeefcafe1234", "password": "hunter2hunter2",
    "mail": "ann.leak@example.org", "card": "4111111111111111", "key": "AKIAIOSFODNN7EXAMPLE",
}  # fmt: skip
TRACE = f"{3:032x}"


def run(*words: str | Path) -> str:
    done = CliRunner().invoke(main, [str(word) for word in words])
    assert done.exit_code == 0, done.stderr
    return done.stdout + done.stderr


def failing(number: int) -> dict[str, object]:
    """A request that carries a secret wherever one has been seen."""
    told = otlp.span(
        number, trace=f"{number:032x}", at=otlp.START + number * 10**9, name=f"GET {EVIL}", error=True,
        http__route=f"/{EVIL}", http__response__status_code=500, user__email=SECRETS["mail"],
        http__request__header__authorization=f"Bearer {SECRETS['bearer']}",
        http__request__header__cookie=f"session={SECRETS['cookie']}",
        url__full=f"https://u:{SECRETS['password']}@shop/?token={SECRETS['bearer']}&to={SECRETS['mail']}",
        db__query__text=f"INSERT '{SECRETS['card']}'", aws=SECRETS["key"],
    )  # fmt: skip
    message = f"cannot {EVIL} for {SECRETS['mail']} password={SECRETS['password']} {SECRETS['card']}"
    stack = f'Traceback\n  File "/srv/{EVIL}/a.py", line 3, in f\n    f("{SECRETS["mail"]}")\nBoom: {message}'
    return otlp.raising(told, f"Boom{EVIL}", message, stack)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    text = f"{EVIL} {SECRETS['mail']} Authorization: Bearer {SECRETS['bearer']} password: {SECRETS['password']}"
    record = otlp.log(text, at=otlp.START + 3 * 10**9, trace=TRACE, password=SECRETS["password"])
    spans = otlp.lines(folder / "t.jsonl", otlp.traces([failing(n) for n in range(1, 12)], f"shop{EVIL}"))
    run("ingest", folder / "case", spans, otlp.lines(folder / "l.jsonl", otlp.logs([record], f"shop{EVIL}")))
    run("triage", folder / "case")
    return folder


@pytest.fixture
def case(made: Path, tmp_path: Path) -> Path:
    """A case of hostile telemetry, ingested and triaged."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return tmp_path / "case"


def test_the_terminal_gets_no_character_that_steers_it(case: Path) -> None:
    for words in (("triage",), ("show",), ("show", TRACE), ("sql", "FROM errors"), ("sql", "FROM logs", "--json")):
        shown = run(words[0], case, *words[1:])
        assert {c for c in shown if unicodedata.category(c) in ("Cc", "Cf")} <= {"\n", "\t"}


def test_steering_characters_are_written_out_and_json_stays_the_same_document() -> None:
    assert visible("a\x1b[2J\u202eb\n\t") == "a\\x1b[2J\\u202eb\n\t"
    assert visible("Grüße, 日本 🙂") == "Grüße, 日本 🙂"
    document = {"a": EVIL, "half": "\ud800", "words": "Grüße 日本 🙂"}
    assert json.loads(one_document(document)) == document
    assert "日本 🙂" in one_document(document)


class Acts(HTMLParser):
    """What a page would do."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            outside = name in ("href", "src", "action") and not (value or "").startswith(("#", "data:image/"))
            if outside or name.startswith("on"):
                self.found.append((tag, name, value or ""))


def test_nothing_acts_in_the_report_and_no_text_is_turned_around(case: Path) -> None:
    run("report", case)
    page = (case / "reports" / "incident.html").read_text()
    parser = Acts()
    parser.feed(page)
    assert parser.found == []
    assert "<script>alert" not in page
    assert not set(page) & set("\x1b\x07\x9b\u202e")
    figures = [
        output["data"]["application/vnd.plotly.v1+json"]
        for cell in json.loads((case / "reports" / "incident.ipynb").read_text())["cells"]
        for output in cell.get("outputs", [])
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    assert figures
    assert "<" not in json.dumps(figures)


def test_secrets_are_nowhere_in_the_case_and_in_no_answer(case: Path) -> None:
    run("report", case)
    answers = [run("sql", case, f"FROM {view}", "--json") for view in ("spans", "errors", "events", "logs")]
    answers += [run("triage", case), run("show", case, TRACE)]
    places = [place.read_bytes().decode("latin-1") for place in case.rglob("*") if place.is_file()]
    for secret in SECRETS.values():
        assert not any(secret in text for text in (*answers, *places))


def test_secret_headers_and_variables_of_a_foreign_recording_are_not_kept(tmp_path: Path) -> None:
    told = orders.document(1, db_snapshot=None, db_environment=None)
    told["request"]["headers"] += [["Authorization", f"Bearer {SECRETS['bearer']}"], ["Cookie", SECRETS["cookie"]]]
    told["outbound"][0]["request_headers"] = [["X-Api-Key", SECRETS["key"]]]
    told["outbound"][0]["headers"] += [["Set-Cookie", SECRETS["cookie"]]]
    told["environment"]["values"] = {"STOCK_KEY": "x", "DB_PASSWORD": SECRETS["password"]}
    told["error"]["message"] += f" for {SECRETS['mail']}, {SECRETS['card']}"
    shown = run("ingest", tmp_path / "case", orders.written(tmp_path / "tapes", told), "--json")
    assert json.loads(shown)["redacted"] == 7
    kept = "".join(place.read_text() for place in (tmp_path / "case" / "recordings").glob("*.json"))
    assert not [secret for secret in SECRETS.values() if secret in kept]


def test_what_a_replay_tells_of_its_error_names_no_secret() -> None:
    told = f"no mail to {SECRETS['mail']}, card {SECRETS['card']}, password={SECRETS['password']}"
    assert masked(told) == "no mail to <email>, card <card>, password=<secret>"
    assert (
        masked("Object of type Decimal is not JSON serializable") == "Object of type Decimal is not JSON serializable"
    )


@pytest.mark.parametrize("name", ["../../../etc/passwd", "000001-x.duckdb AS a; DROP TABLE b", "/tmp/000001-x.duckdb"])
def test_a_manifest_cannot_name_a_segment_elsewhere(case: Path, name: str) -> None:
    place = case / "telemetry" / "manifest.json"
    document = json.loads(place.read_text())
    document["segments"][0]["file"] = name
    place.write_text(json.dumps(document))
    done = CliRunner().invoke(main, ["show", str(case)])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "is damaged" in done.stderr


def test_a_segment_that_holds_a_question_is_not_asked(case: Path, tmp_path: Path) -> None:
    (tmp_path / "private.txt").write_text("private words")
    place = next((case / "telemetry").glob("*-telemetry.duckdb"))
    place.chmod(0o644)
    with duckdb.connect(str(place)) as con:
        con.execute("ALTER TABLE logs RENAME TO told")
        con.execute(f"CREATE VIEW logs AS SELECT t.* REPLACE (r.content AS body) FROM told t, "
                    f"read_text('{tmp_path}/private.txt') r")  # fmt: skip
    done = CliRunner().invoke(main, ["sql", str(case), "SELECT body FROM logs"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "it holds the view 'logs'" in done.stderr


@pytest.mark.parametrize("verbs", [(), ("triage",)], ids=["only ingested", "only triaged"])
def test_a_report_over_half_an_investigation_says_what_is_missing(tmp_path: Path, verbs: tuple[str, ...]) -> None:
    spans = otlp.lines(tmp_path / "t.jsonl", otlp.traces([otlp.span(n, trace=f"{n:032x}") for n in range(1, 9)]))
    run("ingest", tmp_path / "case", spans)
    for verb in verbs:
        run(verb, tmp_path / "case")
    run("report", tmp_path / "case")
    page = (tmp_path / "case" / "reports" / "incident.html").read_text()
    for verb in {"triage", "replay", "diagnose", "propose", "gate", "rollout"} - set(verbs):
        assert f"Not done yet: <code>shadowlab {verb} CASE" in page


def test_a_secret_in_objectives_stays_out_of_the_case(tmp_path: Path) -> None:
    told = bundled("payments-decimal").joinpath("objective.openslo.yaml").read_text()
    told = told.replace("payments-api", "shop").replace("POST /charges", "POST /orders")
    objectives = tmp_path / "slo.yaml"
    objectives.write_text(f"# token={SECRETS['bearer']}, {SECRETS['key']}\n{told}")
    traces = otlp.lines(tmp_path / "traces.jsonl", otlp.traces([otlp.span(error=True)]))
    run("ingest", tmp_path / "case", traces)
    run("triage", tmp_path / "case", "--slo", objectives)
    kept = (tmp_path / "case/objectives.yaml").read_text()
    assert kept.partition("\n")[2] == told
    assert not [name for name in ("bearer", "key") if SECRETS[name] in kept]
    assert "burn rate" in run("triage", tmp_path / "case")
