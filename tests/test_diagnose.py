"""A cause is confirmed by an intervention, or not at all."""

from dataclasses import replace
from pathlib import Path

import histories
import pytest
from histories import FAULTY, GROWN, PRICES, grow, replayed, revision

from shadowlab.case import Case
from shadowlab.diagnose import diagnose
from shadowlab.records import Diagnosis, Hypothesis, Outcome, Replay, Status, from_json
from shadowlab.source import Source

Told = tuple[Source, Case, Replay, Diagnosis]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """The grown history, its failing recording, and the diagnosis."""
    folder = tmp_path_factory.mktemp("till")
    source = grow(folder / "till")
    case, replay = replayed(folder, source)
    assert replay.outcome is Outcome.REPRODUCED
    return source, case, replay, diagnose(case, replay, source=source, good=revision(source, "Sell things"))


def about(diagnosis: Diagnosis, words: str) -> Hypothesis:
    found = [h for h in diagnosis.hypotheses if words in h.cause]
    assert len(found) == 1, [h.cause for h in diagnosis.hypotheses]
    return found[0]


def test_the_commit_that_brings_the_failure_is_confirmed_by_its_parent(told: Told):
    source, _, _, diagnosis = told
    guilty = about(diagnosis, "Add a fee")
    assert diagnosis.hypotheses[0] == guilty
    assert (guilty.status, guilty.kind) == (Status.CONFIRMED, "commit")
    assert diagnosis.suspect_change is not None
    assert diagnosis.suspect_change.revision == revision(source, "Add a fee")
    flipped = [i for i in guilty.interventions if i.flipped]
    assert all(i.runs >= 2 and i.before_key != i.after_key for i in flipped)
    assert any(revision(source, "Tidy the writer")[:9] in i.changed for i in flipped)


def test_the_offending_value_is_confirmed_by_replacing_it(told: Told):
    value = about(told[3], "Decimal reaches the JSON encoder")
    assert (value.status, value.kind) == (Status.CONFIRMED, "value")
    assert [i.changed for i in value.interventions] == ["decimal-to-str on payload of to_json"]
    assert any("prices.py:6 in total" in line for line in value.evidence)


@pytest.mark.parametrize("subject", ["Raise the limit”", "Tidy the writer", "Raise the limit again", "Say what it is"])
def test_innocent_commits_are_refuted_by_an_intervention(told: Told, subject: str):
    innocent = about(told[3], subject)
    assert innocent.status is Status.REFUTED
    assert innocent.interventions
    assert all(i.runs >= 2 for i in innocent.interventions)


def test_the_slice_holds_the_stack_and_what_made_the_value(told: Told):
    parts = {(s.file, s.function): s for s in told[3].slice}
    assert list(parts)[:2] == [("writing.py", "to_json"), ("app.py", "handle")]
    assert parts["writing.py", "to_json"].failing_line == 5
    assert parts["prices.py", "total"].failing_line is None
    assert parts["prices.py", "total"].source.startswith("def total(event):\n")


def test_a_diagnosis_says_what_it_was_made_from_and_survives_the_disk(told: Told):
    source, _, replay, diagnosis = told
    assert diagnosis.parents == (replay.digest,)
    assert (diagnosis.service, diagnosis.revision) == ("till", source.revision())
    assert diagnosis.trace_id == f"{1:032x}"
    assert len(diagnosis.candidates) == 5
    assert from_json(diagnosis.to_json()) == diagnosis


def test_nothing_is_tried_when_the_replay_is_uncertified(told: Told):
    source, case, replay, _ = told
    unsure = replace(replay, outcome=Outcome.UNCERTIFIED)
    diagnosis = diagnose(case, unsure, source=source, good=revision(source, "Sell things"))
    assert {h.status for h in diagnosis.hypotheses} <= {Status.SUPPORTED, Status.PROPOSED}
    assert not any(h.interventions for h in diagnosis.hypotheses)
    assert "uncertified" in " ".join(diagnosis.hypotheses[0].evidence)


def test_a_failure_older_than_the_deploy_clears_every_commit_of_it(told: Told):
    source, case, replay, _ = told
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Add a fee"))
    commits = [h for h in diagnosis.hypotheses if h.kind == "commit"]
    assert commits
    assert {h.status for h in commits} == {Status.REFUTED}
    assert diagnosis.suspect_change is None


@pytest.mark.parametrize(("good", "said"), [(None, "no last good revision is known"), ("f" * 40, "is not in")])
def test_without_a_good_revision_the_newest_commit_is_looked_at_and_it_says_so(told: Told, good: str | None, said: str):
    source, case, replay, _ = told
    diagnosis = diagnose(case, replay, source=source, good=good)
    assert [c.subject for c in diagnosis.candidates] == ["Say what it is"]
    assert said in " ".join(line for h in diagnosis.hypotheses for line in h.evidence)


def test_trading_one_failure_for_another_confirms_nothing(tmp_path: Path):
    broken = PRICES.replace("str(", "str(1 // 0 if 'fee' in event else 0) + str(")
    steps = [GROWN[0], ("Break it otherwise", {"prices.py": broken}), ("Add a fee", {"prices.py": FAULTY})]
    source = grow(tmp_path / "till", steps)
    case, replay = replayed(tmp_path, source)
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Break it otherwise"))
    guilty = about(diagnosis, "Add a fee")
    assert guilty.status is Status.SUPPORTED
    assert not any(i.flipped for i in guilty.interventions)


def test_a_commit_that_began_it_is_only_supported_when_a_later_one_carries_it_too(tmp_path: Path):
    twice = histories.APP.replace('event["id"]', '__import__("decimal").Decimal(event["id"])')
    source = grow(tmp_path / "till", [*GROWN, ("Keep ids exact", {"app.py": twice})])
    case, replay = replayed(tmp_path, source)
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Sell things"))
    assert about(diagnosis, "Add a fee").status is Status.SUPPORTED
    assert about(diagnosis, "Decimal reaches the JSON encoder").status is Status.CONFIRMED


def test_a_file_with_crlf_is_read_and_taken_back_as_it_is(tmp_path: Path):
    steps = [
        GROWN[0],
        ("Add a fee", {"prices.py": FAULTY.replace("\n", "\r\n")}),
        ("Say what it is", {"README.md": "A till."}),
    ]
    source = grow(tmp_path / "till", steps)
    case, replay = replayed(tmp_path, source)
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Sell things"))
    assert about(diagnosis, "Add a fee").status is Status.CONFIRMED
    assert any("taken back" in i.changed for i in about(diagnosis, "Add a fee").interventions)


def test_a_revision_that_does_not_start_is_stepped_around(tmp_path: Path):
    steps = [*GROWN[:3], ("Break the start", {"app.py": "import nothing_like_it\n" + histories.APP}),
             ("Mend the start", {"app.py": histories.APP}), *GROWN[3:]]  # fmt: skip
    source = grow(tmp_path / "till", steps)
    case, replay = replayed(tmp_path, source)
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Sell things"))
    assert diagnosis.confirmed is not None
    assert "Add a fee" in diagnosis.confirmed.cause


def test_the_commit_inside_a_merge_is_found(tmp_path: Path):
    folder = tmp_path / "till"
    source = grow(folder, GROWN[:2])
    histories.git(folder, "checkout", "-q", "-b", "side")
    grow(folder, [("Tidy aside", {"writing.py": histories.TIDIER}), ("Add a fee", {"prices.py": FAULTY})])
    histories.git(folder, "checkout", "-q", "main")
    grow(folder, [("Raise the limit more", {"limits.toml": "n = 9\n"})])
    histories.git(folder, "merge", "-q", "--no-ff", "-m", "Merge the side", "side")
    case, replay = replayed(tmp_path, source)
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Raise the limit more"))
    assert diagnosis.confirmed is not None
    assert "Add a fee" in diagnosis.confirmed.cause


def test_an_intervention_must_hold_for_every_recording_of_the_failure(told: Told, tmp_path: Path):
    source = told[0]
    case, replay = replayed(
        tmp_path, source, {"id": 1, "amount": "1.00", "fee": "0.10"}, {"id": 2, "amount": "5", "fee": "1"}
    )
    diagnosis = diagnose(case, replay, source=source, good=revision(source, "Sell things"))
    assert diagnosis.confirmed is not None
    assert {i.runs for h in diagnosis.hypotheses for i in h.interventions} == {4}
    assert len(diagnosis.recordings) == 2


STRIP = "return event['size'].strip()"
UPPER = "return named(event['size'])\n\n\ndef named(size):\n    return size.upper()"
DIVIDE = "return cut(event['parts'])\n\n\ndef cut(parts):\n    return 10 / parts"
NONE = "'NoneType' object has no attribute"


@pytest.mark.parametrize(
    ("body", "error", "cause", "status"),
    [
        (STRIP, ("AttributeError", f"{NONE} 'strip'"), "`event['size']` is None", Status.PROPOSED),
        (UPPER, ("AttributeError", f"{NONE} 'upper'"), "`size` is None", Status.CONFIRMED),
        ("return event['sizes']", ("KeyError", "'sizes'"), "`event['sizes']` asks for 'sizes'", Status.PROPOSED),
        (DIVIDE, ("ZeroDivisionError", "division by zero"), "`parts` is zero", Status.CONFIRMED),
        ("raise RuntimeError('no')", ("RuntimeError", "no"), "an input of app.py:2 in handle", Status.PROPOSED),
    ],
)
def test_causes_are_guessed_by_exception_and_confirmed_where_the_value_can_be_replaced(
    tmp_path: Path, body: str, error: tuple[str, str], cause: str, status: Status
):
    start = {"shadowlab.toml": histories.SERVICE, "app.py": f"def handle(event):\n    {body}\n"}
    source = grow(tmp_path / "till", [("Start", start)])
    case, replay = replayed(tmp_path, source, {"size": None, "parts": 0}, error=error)
    assert replay.outcome is Outcome.REPRODUCED
    diagnosis = diagnose(case, replay, source=source)
    assert diagnosis.hypotheses[0].cause.startswith(cause)
    assert diagnosis.hypotheses[0].status is status
