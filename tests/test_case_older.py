"""A case outlives the shadowlab that made it: older ones open, verify and go on; newer ones are called newer."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from asking import asked

import shadowlab
from shadowlab import errors, records
from shadowlab.audit import archive, keys, ledger, verify
from shadowlab.case import Case, open_case, spelled
from shadowlab.cli import main
from shadowlab.evidence import Evidence, file_digest
from shadowlab.keeping import keep
from shadowlab.records import GateReport, Record, Replay, Triage, Verdict, from_json
from shadowlab.records.base import SCHEMA, digest_of

OLDER = Path(__file__).with_name("assets") / "older"
LISTED = Path(__file__).with_name("assets") / "record-fields.json"
REPORT = GateReport(verdict=Verdict.FAIL, service="payments-api")


@pytest.fixture
def older(tmp_path: Path) -> Case:
    """A case of a shadowlab whose records had no schema number, and fewer fields."""
    archive.unpack(OLDER / "case.pack", tmp_path / "case")
    return open_case(tmp_path / "case")


def unspelled(document: dict[str, Any]) -> dict[str, Any]:
    """A kept document, changed by hand, with the digest that it should have."""
    body = {key: value for key, value in document.items() if key != "digest"}
    return {"type": body["type"], "digest": digest_of(body), **body}


def told(case: Case) -> str:
    """What is wrong with the records of a case; empty when nothing is."""
    found = next(check for check in verify.verify(case).checks if check.name == "records")
    return "" if found.verdict is Verdict.PASS else found.detail


def test_an_older_case_opens_with_the_digests_that_it_was_kept_by(older: Case) -> None:
    kinds = ("Ingest", "Triage", "Replay", "Diagnosis", "Proposal", "GateReport")
    found = {kind: older.latest(kind) for kind in kinds}
    assert {record.digest for record in found.values()} == {p.stem for p in older.records.glob("*.json")} - {"latest"}
    replay, gates = found["Replay"], found["GateReport"]
    assert (replay.findings, replay.runs[0].logs, gates.ran_on) == ((), (), "")
    assert "findings" not in replay.to_json()
    assert (replay.to_json()["digest"], from_json(replay.to_json())) == (replay.digest, replay)


def test_an_older_case_verifies(older: Case) -> None:
    assert verify.verify(older).verdict is Verdict.PASS
    assert not any("schema" in path.read_text()[:200] for path in older.records.glob("*.json"))


def test_an_older_case_goes_on(older: Case, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", OLDER / "service.bundle", tmp_path / "service"], check=True)
    inv = shadowlab.open(older.path)
    inv.remember_source(tmp_path / "service")
    before = inv.latest(Triage)
    replay = inv.replay(times=2)
    assert replay.parents == (before.digest,)
    assert replay.error.type == "TypeError"
    assert inv.verify().verdict is Verdict.PASS
    assert len(inv.ledger) == 7
    assert json.loads((older.records / f"{replay.digest}.json").read_text())["schema"] == SCHEMA


def test_an_older_cases_telemetry_is_asked_for_todays_columns(older: Case) -> None:
    columns = "name, resource_attributes['service.name'] AS service, resource_attribute_types AS types"
    (row,) = asked(older, f"SELECT {columns} FROM spans ORDER BY name DESC LIMIT 1")
    assert row == {"name": "POST /charges", "service": "payments-api", "types": None}
    assert asked(older, "SELECT metadata, exemplars[1].value_int FROM metric_points ORDER BY name DESC") == []


@pytest.fixture
def today(tmp_path: Path) -> Case:
    case = open_case(tmp_path / "today")
    keep(case, "gate", REPORT, Evidence(case))
    return case


@pytest.mark.parametrize("which", ["older", "today"])
def test_no_byte_of_a_kept_record_can_be_changed(which: str, request: pytest.FixtureRequest) -> None:
    case: Case = request.getfixturevalue(which)
    place = min((p for p in case.records.glob("*.json") if p.stem != "latest"), key=lambda p: p.stat().st_size)
    written = place.read_bytes()
    for n in range(len(written)):
        place.write_bytes(written[:n] + bytes([written[n] ^ 1]) + written[n + 1 :])
        with pytest.raises(errors.ShadowlabError):
            verify._records(case)
    place.write_bytes(written)
    assert told(case) == ""


def reordered(document: dict[str, Any]) -> dict[str, Any]:
    return dict(reversed(document.items()))


def with_one_more(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "more": 1}


def with_one_more_and_its_digest(document: dict[str, Any]) -> dict[str, Any]:
    return unspelled({**document, "more": 1})


@pytest.mark.parametrize("which", ["older", "today"])
@pytest.mark.parametrize("harm", [reordered, with_one_more, with_one_more_and_its_digest])
def test_nor_its_spelling(
    which: str, harm: Callable[[dict[str, Any]], dict[str, Any]], request: pytest.FixtureRequest
) -> None:
    case: Case = request.getfixturevalue(which)
    for place in (p for p in case.records.glob("*.json") if p.stem != "latest"):
        written = place.read_bytes()
        place.write_bytes(json.dumps(harm(json.loads(written)), indent=1, ensure_ascii=False).encode() + b"\n")
        assert "was changed" in told(case)
        place.write_bytes(written)


def test_a_record_in_the_place_of_another_is_refused(older: Case) -> None:
    one, other = (older.records / f"{older.latest(kind).digest}.json" for kind in ("Triage", "Replay"))
    one.write_bytes(other.read_bytes())
    with pytest.raises(errors.CaseError, match="holds another record"):
        older.latest("Triage")


def newer(case: Case, **more: Any) -> str:
    """A report as a newer shadowlab keeps it: of a higher schema, with `more` in it; its digest."""
    document = unspelled({**REPORT.to_json(), "schema": SCHEMA + 1, **more})
    place = case.put(f"records/{document['digest']}.json", json.dumps(document, indent=1).encode() + b"\n")
    record = {"type": "GateReport", "digest": document["digest"], "parents": [], "sha256": file_digest(place)}
    ledger.append(case, verb="gate", at=datetime(2027, 1, 1, tzinfo=UTC), arguments={}, record=record, version="9")
    case.put("records/latest.json", json.dumps({"GateReport": document["digest"]}, indent=1).encode() + b"\n")
    return str(document["digest"])


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"withdrawn": True}, "does not know GateReport.withdrawn"),
        ({"gates": [{**msgspec.to_builtins(records.Gate(name="x", verdict=Verdict.PASS, observed="", limit="")),
                     "by": "hand"}]}, r"does not know GateReport.gates\[\].by"),
        ({"verdict": "withdrawn"}, "does not know in a GateReport: Invalid enum value 'withdrawn'"),
        ({"type": "Withdrawal"}, "does not know the type 'Withdrawal'"),
    ],
)  # fmt: skip
def test_what_a_newer_shadowlab_wrote_is_told_with_both_schemas(
    tmp_path: Path, more: dict[str, Any], what: str
) -> None:
    case = open_case(tmp_path / "case")
    digest = newer(case, **more)
    with pytest.raises(
        errors.CaseError, match=rf"schema is {SCHEMA + 1}, this one reads up to {SCHEMA} .*{what}"
    ) as exc:
        case.record(digest)
    assert "newer shadowlab" in (exc.value.hint or "")


def test_a_newer_case_is_still_held_to_its_bytes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = open_case(tmp_path / "case")
    digest = newer(case, withdrawn=True)
    (checked,) = (check for check in verify.verify(case).checks if check.name == "records")
    assert checked.verdict is Verdict.PASS
    assert checked.detail.endswith(f"1 of a newer shadowlab, beyond record schema {SCHEMA}")
    with pytest.raises(SystemExit) as ended:
        main(["show", str(case.path), digest[:12]])
    assert ended.value.code == 2
    assert "a newer shadowlab wrote this" in capsys.readouterr().err
    place = case.records / f"{digest}.json"
    place.write_bytes(place.read_bytes().replace(b"true", b"false"))
    assert "was changed" in told(case)


def test_a_newer_record_without_anything_unknown_is_read_and_stays_what_it_is(tmp_path: Path) -> None:
    case = open_case(tmp_path / "case")
    digest = newer(case)
    found = case.record(digest)
    assert (found, found.digest) == (REPORT, digest)
    assert spelled(found) == (case.records / f"{digest}.json").read_bytes()


def test_a_field_that_is_gone_does_not_keep_an_older_record_from_being_read() -> None:
    document = unspelled({**REPORT.to_json(), "schema": 1, "colour": "green"})
    found = from_json(document)
    assert (found, found.digest, found.to_json()) == (REPORT, document["digest"], document)


@pytest.mark.parametrize("schema", ["2", None, True, 2.0, [1]])
def test_a_schema_that_is_no_number_is_refused(schema: object) -> None:
    with pytest.raises(errors.CaseError, match="`schema` is no number"):
        from_json(unspelled({**REPORT.to_json(), "schema": schema}))


def fields_now() -> dict[str, Any]:
    """What each record may hold: fields, those of them that must be there, values of enumerations."""
    kinds = [kind for name in records.__all__ if isinstance(kind := getattr(records, name), type)]
    _, found = msgspec.json.schema_components([kind for kind in kinds if issubclass(kind, Record) and kind.kept])
    return {
        name: sorted(told["enum"]) if "enum" in told else
        {field: "required" if field in told.get("required", ()) else "" for field in sorted(told["properties"])}
        for name, told in sorted(found.items()) if "enum" in told or "properties" in told
    }  # fmt: skip


def test_a_record_gains_nothing_without_a_new_schema() -> None:
    """Raise `SCHEMA` in `records/base.py`, and add what the assertion shows to the listing under its number."""
    assert json.loads(LISTED.read_text())[str(SCHEMA)] == fields_now()


def test_what_a_record_gained_has_a_default_and_nothing_is_renamed() -> None:
    first, *later = json.loads(LISTED.read_text()).values()
    for listing in later:
        for name, before in first.items():
            lost = [field for field in before if field not in listing[name]]
            assert lost == [], f"{name} lost {lost}"
            if isinstance(before, dict):
                demanded = {field for field, how in listing[name].items() if how} - {
                    f for f, how in before.items() if how
                }
                assert demanded == set(), f"{name} cannot be read from an older case"


def test_a_case_is_kept_by_whoever_goes_on_with_it(older: Case) -> None:
    """Two signers in one ledger: the older entries keep their key."""
    keep(older, "gate", REPORT, Evidence(older), again=True)
    own = keys.key_id(keys.public_text(keys.private()))
    signers = {keys.key_id(entry["key"]) for entry in ledger.entries(older)}
    assert own in signers
    assert len(signers) == 2
    assert isinstance(older.latest("Replay"), Replay)
