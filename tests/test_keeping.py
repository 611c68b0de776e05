"""A record and its ledger line: a writer killed between them loses neither, and nobody else can use the gap."""

import json
import threading
from pathlib import Path
from typing import Any

import made
import otlp
import pytest

import shadowlab as sl
from shadowlab import errors, keeping, telemetry
from shadowlab.audit import archive, intent, ledger, verify
from shadowlab.case import Case, open_case
from shadowlab.evidence import Evidence
from shadowlab.records import Verdict
from shadowlab.telemetry import segments


class Killed(BaseException):
    """What stands for a kill: nothing catches it."""


def killed(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb that kept its record and died before its ledger line."""

    def die(*args: object, **kwargs: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(ledger, "append", die)
        with pytest.raises(Killed):
            keeping.keep(case, "triage", made.triage(), Evidence(case), window="30m")


@pytest.fixture
def case(tmp_path: Path) -> Case:
    opened = open_case(tmp_path / "case")
    keeping.keep(opened, "ingest", made.ingest(), Evidence(opened))
    return opened


def test_a_writer_killed_before_its_ledger_line_is_said(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(case, monkeypatch)
    told = verify.verify(case)
    assert told.verdict is Verdict.FAIL
    assert "kept by a writer (triage) that was killed before its ledger line" in str(told.checks)


def test_the_next_verb_writes_the_line_that_was_meant(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(case, monkeypatch)
    keeping.keep(case, "replay", made.replay(), Evidence(case))
    assert [entry["verb"] for entry in ledger.entries(case)] == ["ingest", "triage", "replay"]
    assert ledger.entries(case)[1]["arguments"] == {"window": "30m"}
    assert verify.verify(case).verdict is Verdict.PASS
    assert intent.announced(case) is None


def test_a_writer_killed_before_its_record_leaves_nothing(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Case, "keep", die)
        with pytest.raises(Killed):
            keeping.keep(case, "triage", made.triage(), Evidence(case))
    assert verify.verify(case).verdict is Verdict.PASS
    keeping.keep(case, "replay", made.replay(), Evidence(case))
    assert [entry["verb"] for entry in ledger.entries(case)] == ["ingest", "replay"]


@pytest.mark.parametrize(
    ("place", "then"),
    [
        ((segments, "put_in_place"), "triage"),
        ((segments, "publish"), "triage"),
        ((Case, "keep"), "triage"),
        ((Case, "keep"), "ingest"),
    ],
)
def test_a_triage_killed_after_it_wrote_telemetry_is_made_good_by_the_next_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: tuple[object, str], then: str
) -> None:
    inv = sl.open(tmp_path / "case")
    inv.ingest(otlp.lines(tmp_path / "first.jsonl", otlp.traces([otlp.raising(otlp.span(1, error=True))])))
    inv.triage()
    done = getattr(*place)

    def die(*args: object) -> None:
        if place != (Case, "keep"):
            done(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(*place, die)
        with pytest.raises(Killed):
            inv.triage(window="6h")
    if then == "ingest":
        inv.ingest(otlp.lines(tmp_path / "second.jsonl", otlp.traces([otlp.span(2)])))
    else:
        inv.triage()
    assert inv.verify().verdict is Verdict.PASS, inv.verify()
    assert inv.sql("SELECT count(*) AS n FROM errors WHERE fingerprint IS NOT NULL").rows() == [{"n": 1}]


def test_what_others_wrote_and_swept_away_during_a_triage_is_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three at once: the second replaces what the first wrote, and the third sweeps it away."""
    inv = sl.open(tmp_path / "case")
    inv.ingest(otlp.lines(tmp_path / "first.jsonl", otlp.traces([otlp.raising(otlp.span(1, error=True))])))
    done = telemetry.set_fingerprints

    def after_others(*given: Any) -> int:
        monkeypatch.setattr(telemetry, "set_fingerprints", done)
        for _ in range(2):
            sl.open(tmp_path / "case").triage()
        return done(*given)

    monkeypatch.setattr(telemetry, "set_fingerprints", after_others)
    inv.triage()
    assert inv.verify().verdict is Verdict.PASS, inv.verify()


@pytest.mark.parametrize("then", ["refused", "killed"])
def test_what_a_verb_swept_away_before_it_ended_early_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    inv = sl.open(tmp_path / "case")
    inv.ingest(otlp.lines(tmp_path / "first.jsonl", otlp.traces([otlp.raising(otlp.span(1, error=True))])))
    for window in ("30m", "6h"):
        inv.triage(window=window)
    before = {place.name for place in inv.case.telemetry.glob("0*")}

    def die(*_: object) -> None:
        raise Killed

    if then == "killed":
        monkeypatch.setattr(segments, "put_in_place", die)
        with pytest.raises(Killed):
            inv.triage()
    else:
        (tmp_path / "none").write_text("no telemetry")
        with pytest.raises(errors.TelemetryError):
            inv.ingest(tmp_path / "none")
    (gone,) = before - {place.name for place in inv.case.telemetry.glob("0*")}
    assert gone.endswith("-fingerprints.duckdb")
    assert inv.verify().verdict is Verdict.PASS, inv.verify()
    manifest = inv.case.telemetry / "manifest.json"
    told = json.loads(manifest.read_bytes())
    left_out = told["segments"].pop()["file"]
    (inv.case.telemetry / left_out).unlink()
    manifest.write_text(json.dumps(told))
    assert inv.verify().verdict is Verdict.FAIL


def test_triages_that_were_killed_one_after_the_other_are_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inv = sl.open(tmp_path / "case")
    inv.ingest(otlp.lines(tmp_path / "first.jsonl", otlp.traces([otlp.raising(otlp.span(1, error=True))])))
    inv.triage()

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Case, "keep", die)
        for _ in range(3):
            with pytest.raises(Killed):
                inv.triage()
    inv.triage()
    assert inv.verify().verdict is Verdict.PASS, inv.verify()


def test_a_planted_record_is_not_taken_in_by_a_planted_line(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as stranger:
        stranger.setenv("SHADOWLAB_KEYS", str(tmp_path / "strangers"))
        killed(case, monkeypatch)
    assert intent.announced(case) is None
    keeping.keep(case, "replay", made.replay(), Evidence(case))
    assert [entry["verb"] for entry in ledger.entries(case)] == ["ingest", "replay"]
    assert "is in the case, the ledger does not know it" in str(verify.verify(case).checks)


@pytest.mark.parametrize("name", ["notes.txt", "telemetry2/x.duckdb"])
def test_what_no_case_has_at_its_top_is_reported(case: Case, name: str) -> None:
    (case.path / name).parent.mkdir(exist_ok=True)
    (case.path / name).write_text("x")
    told = verify.verify(case)
    assert told.verdict is Verdict.FAIL
    assert f"{name.partition('/')[0]} is in the case, the ledger does not know it" in str(told.checks)


def test_a_segment_that_no_manifest_names_is_reported(case: Case) -> None:
    (case.telemetry / "000009-telemetry.duckdb").write_bytes(b"x")
    told = str(verify.verify(case).checks)
    assert "telemetry/000009-telemetry.duckdb is named by no manifest" in told
    (case.telemetry / "000009-telemetry.duckdb").unlink()
    (case.telemetry / ".000010-telemetry.duckdb.77").write_bytes(b"x")
    assert verify.verify(case).verdict is Verdict.PASS


def test_pack_waits_for_a_writer(case: Case, tmp_path: Path) -> None:
    busy = Case(case.path, lock_timeout=0.2)
    held, leave = threading.Event(), threading.Event()

    def write() -> None:
        with case.writing("ingest"):
            held.set()
            leave.wait(30)

    writer = threading.Thread(target=write)
    writer.start()
    held.wait(30)
    try:
        with pytest.raises(errors.CaseError, match="is being written by"):
            archive.pack(busy, tmp_path / "case.tgz")
    finally:
        leave.set()
        writer.join()
    archive.pack(busy, tmp_path / "case.tgz")
    assert not json.dumps([p.name for p in tmp_path.iterdir()]).count(".part")
