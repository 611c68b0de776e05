"""The bundled incident: a service that builds, telemetry that parses, and facts that hold."""

import gzip
import json
import lzma
import os
import re
import runpy
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shadowlab import errors
from shadowlab.incidents import build_source, bundled
from shadowlab.source import Source

INCIDENT = bundled("payments-decimal")
EXPECTED = json.loads((INCIDENT / "expected.json").read_text())
PACKED = [*sorted(INCIDENT.glob("*.gz")), *sorted((INCIDENT / "blobs").iterdir())]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    return build_source(INCIDENT, tmp_path_factory.mktemp("incident") / "payments-api")


def documents(name: str) -> Iterator[dict[str, Any]]:
    with gzip.open(INCIDENT / name, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


def spans() -> Iterator[dict[str, Any]]:
    for document in documents("traces.otlp.jsonl.gz"):
        for resource in document["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                yield from scope["spans"]


def said(holder: dict[str, Any]) -> dict[str, Any]:
    return {each["key"]: next(iter(each["value"].values()), None) for each in holder.get("attributes", ())}


def unpacked(file: Path) -> bytes:
    return (gzip if file.suffix == ".gz" else lzma).decompress(file.read_bytes())


def test_the_history_builds_with_the_expected_commit_ids(source):
    deployed = source.commits(EXPECTED["deploy"]["good"]["revision"], EXPECTED["deploy"]["bad"]["revision"])
    assert source.revision() == EXPECTED["history"][-1] == EXPECTED["deploy"]["bad"]["revision"]
    assert [commit.revision for commit in deployed] == EXPECTED["offence"]["range"]
    assert EXPECTED["offence"]["commit"] in EXPECTED["offence"]["range"][1:-1]


def test_commit_ids_do_not_depend_on_whose_machine_it_is(tmp_path, monkeypatch):
    (tmp_path / ".gitconfig").write_text("[user]\nname = Other\n[core]\nautocrlf = true\n[commit]\ngpgsign = true\n")
    for name, value in {"HOME": str(tmp_path), "TZ": "Asia/Tokyo", "GIT_AUTHOR_NAME": "Other"}.items():
        monkeypatch.setenv(name, value)
    assert build_source(INCIDENT, tmp_path / "source").revision() == EXPECTED["history"][-1]


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("keep")
    with pytest.raises(errors.SourceError, match="is there already"):
        build_source(INCIDENT, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_patch_that_does_not_apply_leaves_nothing_behind(tmp_path):
    (tmp_path / "history").mkdir()
    patch = next(INCIDENT.glob("history/0002-*"))
    (tmp_path / "history" / patch.name).write_bytes(patch.read_bytes())
    with pytest.raises(errors.SourceError, match="git am failed"):
        build_source(tmp_path, tmp_path / "source")
    assert [path.name for path in tmp_path.iterdir()] == ["history"]


def test_an_unknown_incident_is_refused():
    with pytest.raises(errors.UsageError, match="no bundled incident is called 'none'"):
        bundled("none")


@pytest.mark.parametrize("side", ["good", "bad"])
def test_the_service_passes_its_own_tests_on_both_sides_of_the_deploy(source, side):
    with source.checked_out(EXPECTED["deploy"][side]["revision"]) as tree:
        words = [sys.executable, *(source.service("HEAD").tests or "").split()[1:], "-p", "no:cacheprovider"]
        clean = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(words, cwd=tree, env=clean, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert re.search(r"3\d passed", done.stdout)


def test_the_service_needs_neither_telemetry_nor_recorder(source):
    document = "import sys, json, app; print(json.dumps([sorted(sys.modules), app.app.openapi()]))"
    with source.checked_out("HEAD") as tree:
        done = subprocess.run([sys.executable, "-c", document], cwd=tree, capture_output=True, text=True, check=True)
    modules, openapi = json.loads(done.stdout)
    assert not [name for name in modules if name.startswith(("opentelemetry.sdk", "shadowlab", "uvicorn"))]
    charge = openapi["components"]["schemas"]["Charge"]["properties"]
    assert charge["amount"]["type"] == charge["surcharge"]["anyOf"][0]["type"] == "string"


def test_the_deploy_leaves_the_interface_as_it_was(source):
    changed = source.diff(EXPECTED["deploy"]["good"]["revision"], EXPECTED["deploy"]["bad"]["revision"], context=0)
    assert "lib/schemas.py" not in changed
    assert "+++ b/config.toml" in changed
    assert "+++ b/lib/serializer.py" in changed


def test_the_offending_commit_neither_moved_the_raising_line_nor_changed_a_setting(source):
    touched = source.diff(EXPECTED["offence"]["parent"], EXPECTED["offence"]["commit"])
    files = re.findall(r"^\+\+\+ b/(\S+)$", touched, re.M)
    assert files == ["handlers/charges.py", "tests/test_charges.py"]
    assert EXPECTED["error"]["top_frame"]["file"] == "lib/serializer.py"


def test_telemetry_is_otlp_json_as_a_collector_writes_it():
    first = next(spans())
    assert re.fullmatch(r"[0-9a-f]{32}", first["traceId"])
    assert re.fullmatch(r"[0-9a-f]{16}", first["spanId"])
    assert isinstance(first["startTimeUnixNano"], str)
    assert isinstance(first["kind"], int)
    for name, key in (("logs", "resourceLogs"), ("metrics", "resourceMetrics"), ("traces", "resourceSpans")):
        for document in documents(f"{name}.otlp.jsonl.gz"):
            who = said(document[key][0]["resource"])
            assert who["service.name"] == "payments-api"
            assert who["deployment.environment.name"] == "production"
            assert not {key for key in who if key.startswith(("host.", "process.", "os."))}


def test_charges_fail_after_the_deploy_and_never_before():
    deployed = EXPECTED["deploy"]["at_ns"]
    charges = [(int(s["startTimeUnixNano"]), said(s)) for s in spans() if s["name"] == "POST /charges"]
    before = [kept["http.response.status_code"] for at, kept in charges if at < deployed]
    after = [kept["http.response.status_code"] for at, kept in charges if at >= deployed]
    assert len(before) > 3000
    assert "500" not in before
    assert 0.028 <= after.count("500") / len(after) <= 0.034
    assert EXPECTED["requests"]["last_30_minutes"]["budget_spent"] >= 0.02


def test_each_failing_span_tells_its_exception_and_finds_its_recording():
    kept = {each["id"]: each for each in documents("recordings.jsonl.gz")}
    failing = [span for span in spans() if said(span).get("http.response.status_code") == "500"]
    assert len(failing) == EXPECTED["error"]["events"]
    for span in failing:
        stack = next(said(e)["exception.stacktrace"] for e in span["events"] if e["name"] == "exception")
        assert 'File "/srv/payments-api/lib/serializer.py"' in stack
        assert EXPECTED["error"]["message"] in stack
        recording = kept[said(span)["shadowlab.recording.id"]]
        assert recording["span_id"] == span["spanId"]
        assert recording["error"]["type"] == "TypeError"
        assert recording["db_snapshot"]
        assert not recording["truncated"]


def test_errors_that_are_handled_are_there_before_and_after():
    noise = EXPECTED["requests"]["handled"]
    assert all(noise[what] > 0 for what in ("gateway_timeouts", "receipts_not_sent", "status_422", "slow_reports"))


def test_logs_carry_the_trace_of_their_request():
    records = [record for document in documents("logs.otlp.jsonl.gz") for each in document["resourceLogs"]
               for scope in each["scopeLogs"] for record in scope["logRecords"]]  # fmt: skip
    traces = {span["traceId"] for span in spans()}
    assert len(records) > 4000
    assert all(record["traceId"] in traces for record in records)


def test_the_mirrored_requests_start_from_a_database():
    recordings = list(documents("recordings.jsonl.gz"))
    assert [each["time"] for each in recordings] == sorted(each["time"] for each in recordings)
    mirrored = [each for each in recordings if each["commit"] == EXPECTED["deploy"]["bad"]["revision"]]
    assert mirrored[0]["db_snapshot"]
    assert len(mirrored) > 1000


def test_each_blob_is_a_database_that_a_recording_names(tmp_path):
    named = {each["db_snapshot"] for each in documents("recordings.jsonl.gz") if each["db_snapshot"]}
    assert named == {f"blobs/{file.name}" for file in (INCIDENT / "blobs").iterdir()}
    (tmp_path / "payments.db").write_bytes(unpacked(INCIDENT / min(named)))
    with sqlite3.connect(tmp_path / "payments.db") as db:
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)
        assert db.execute("select count(*) from customers").fetchone()[0] >= 60


def test_no_secret_path_or_host_name_is_shipped():
    load = runpy.run_path(str(INCIDENT.parent / "making" / "planted.py"))
    secrets = [load["secret"](number).encode() for number in range(-1, load["SECRETS"])]
    machine = [f'"{socket.gethostname()}"'.encode(), f"{Path.home()}/".encode()]
    for file in PACKED:
        held = unpacked(file)
        assert not [needle for needle in (*secrets, *machine, b"sk_live_") if needle in held], file.name
        assert not re.search(rb"/(?:root|home|work|tmp|mnt|Users)/", held), file.name


def test_what_ships_is_small_and_says_what_expected_json_says():
    make = INCIDENT.parent / "make.py"
    done = subprocess.run([sys.executable, make, INCIDENT.name, "--check"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{INCIDENT.name}: all files say what expected.json says\n")
    assert sum(file.stat().st_size for file in INCIDENT.rglob("*") if file.is_file()) < 10_000_000
