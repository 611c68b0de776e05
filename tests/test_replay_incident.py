"""The bundled incident, replayed: twenty times of twenty, as plain pytest, and alike in every sandbox."""

from pathlib import Path

import pytest

from shadowlab import replay
from shadowlab.case import Case, open_case
from shadowlab.incidents import build_source, bundled
from shadowlab.records import Outcome, Replay
from shadowlab.source import Source


@pytest.fixture(scope="module")
def incident(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, Source, list[str]]:
    """The bundled incident: its recordings in a case, its repository, ids of the recordings that failed."""
    folder = tmp_path_factory.mktemp("incident")
    case, place = open_case(folder / "case"), bundled("payments-decimal")
    assert not replay.take_in(case, [place / "recordings.jsonl.gz"]).rejected
    failed = [recording.id for recording in replay.listed(case) if recording.failed and not recording.missing]
    return case, build_source(place, folder / "payments-api"), failed


def replayed(incident: tuple[Case, Source, list[str]], *, times: int, sandbox: str = "embedded") -> Replay:
    case, source, failed = incident
    revision = replay.load(case, failed[0]).commit or ""
    return replay.replay(case, failed, source=source, revision=revision, times=times, sandbox=sandbox)


def test_the_bundled_incident_is_reproduced_twenty_times_of_twenty(incident: tuple[Case, Source, list[str]]) -> None:
    done = replayed(incident, times=20)
    assert (done.outcome, done.reproduced, done.attempts) == (Outcome.REPRODUCED, 20, 20)
    assert done.error is not None
    assert done.error.message == "Object of type Decimal is not JSON serializable"
    assert (done.error.frames[-1].file, done.error.frames[-1].function) == ("lib/serializer.py", "to_json")


def test_the_bundled_incident_becomes_plain_pytest(incident: tuple[Case, Source, list[str]], tmp_path: Path) -> None:
    case, source, _ = incident
    test, *beside = replay.to_pytest(case, replayed(incident, times=2), source, out=tmp_path)
    assert test.parent == tmp_path / "tests" / "replay"
    assert all(path.is_relative_to(test.parent) for path in beside)


@pytest.mark.slow
@pytest.mark.parametrize("sandbox", ["bwrap", "unconfined"])
def test_the_bundled_incident_comes_out_equal_in_other_sandboxes(
    incident: tuple[Case, Source, list[str]], sandbox: str
) -> None:
    assert replayed(incident, times=4, sandbox=sandbox).outcome_digest == replayed(incident, times=4).outcome_digest
