"""Whatever is changed, taken away or put into a finished case, `verify` finds it."""

import json
from collections.abc import Callable
from pathlib import Path

import otlp
import pytest

import shadowlab as sl
from shadowlab.audit.verify import verify
from shadowlab.case import open_case
from shadowlab.records import Verdict
from tests.conftest import Told

SETTINGS = ("case.json", ".lock", "keys/redaction")
"""What is no evidence: see `shadowlab.audit.verify`."""


def found(case: Path) -> str:
    """What `verify` objects to."""
    told = verify(open_case(case))
    return "; ".join(f"{check.name}: {check.detail}" for check in told.checks if check.verdict is not Verdict.PASS)


def each(case: Path) -> list[Path]:
    """Every file of evidence, which kept facts are not; of recordings and their blobs the first."""
    seen: dict[str, Path] = {}
    for place in sorted(case.rglob("*")):
        inside = place.relative_to(case)
        if place.is_file() and inside.as_posix() not in SETTINGS and ".facts" not in inside.parts:
            seen.setdefault(str(inside.parent if inside.parts[0] == "recordings" else inside), place)
    return list(seen.values())


def flipped(place: Path) -> None:
    content = bytearray(place.read_bytes())
    content[len(content) // 2] ^= 1
    place.unlink()
    place.write_bytes(content)


@pytest.mark.parametrize(
    "harm", [flipped, pytest.param(Path.unlink, marks=pytest.mark.slow)], ids=["one bit", "removed"]
)
def test_verify_finds_each_file_that_was_harmed(told: Told, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    case = told.copy(tmp_path)
    assert found(case) == ""
    for place in each(case):
        content = place.read_bytes()
        harm(place)
        assert found(case), place
        place.unlink(missing_ok=True)
        place.write_bytes(content)
    assert found(case) == ""


@pytest.mark.parametrize(
    "name",
    [
        f"recordings/{'a' * 32}.json", "reports/audited.html", "patches/better.patch", f"records/{'b' * 64}.json",
        "records/latest.json\u200b", "manifests/other.json",
    ],
)  # fmt: skip
def test_verify_finds_what_was_put_in(told: Told, tmp_path: Path, name: str) -> None:
    case = told.copy(tmp_path)
    (case / name).write_text("{}")
    assert "the ledger does not know it" in found(case)


def test_verify_finds_an_older_record_that_was_made_the_latest_again(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    place = case / "records" / "latest.json"
    latest = json.loads(place.read_text())
    place.write_text(json.dumps({**latest, "GateReport": latest["Triage"]}))
    assert "its GateReport is not the one that was written last" in found(case)


def test_verify_finds_objectives_that_no_triage_was_given(tmp_path: Path) -> None:
    inv = sl.open(tmp_path / "case")
    inv.ingest(otlp.lines(tmp_path / "traces.jsonl", otlp.traces([otlp.span()])))
    inv.case.objectives.write_text("kind: SLO\n")
    assert "objectives.yaml is in the case, the ledger does not know it" in found(inv.case.path)


@pytest.mark.parametrize("content", ["[]", "7", '"Triage"', "null"])
def test_verify_finds_that_the_latest_records_are_no_object(told: Told, tmp_path: Path, content: str) -> None:
    case = told.copy(tmp_path)
    (case / "records/latest.json").write_text(content)
    assert "records/latest.json was changed: it names no records" in found(case)


def test_verify_finds_a_file_that_became_a_link_out_of_the_case(told: Told, tmp_path: Path) -> None:
    case = told.copy(tmp_path)
    place = next((case / "patches").rglob("change.patch"))
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert "is missing" in found(case)
