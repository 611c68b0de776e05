"""Views to click: what a choice does, what nonsense from a browser does not, and the static twin."""

from typing import Any

import pytest
from made import AT, diagnosis, gate_report, proposal, replay, triage

from shadowlab import errors, views
from shadowlab.records import GateReport, Proposal, Recording, Triage, Verdict
from shadowlab.widgets import Decision, Gates, PatchReview, ReplayDiff, Suspects

NONSENSE = ({"suspect": 7}, {"suspect": -1}, {"suspect": True}, {"suspect": "0"}, {"exemplar": 9}, {"sql": "DROP"}, {})


class Desk:
    """An investigation's verbs, answering with records made by hand; the progress is told like the real one's."""

    class Plots:
        def waterfall(self, trace: str) -> views.Picture:
            if trace.startswith("5"):
                raise errors.QueryError("no trace starts so")
            return views.Picture(svg=f"<svg>{trace}</svg>", alt="a trace")

        def gates(self, report: GateReport) -> views.Picture:
            return views.Picture(svg="<svg>intervals</svg>", alt="intervals")

    plots = Plots()
    progress = None

    def __init__(self) -> None:
        self.done: list[Any] = []

    def _did(self, what: Any, record: Any) -> Any:
        if self.progress:
            self.progress("working", 1, 2)
        self.done.append(what)
        return record

    def replay(self, suspect, *, times):
        return self._did((suspect.fingerprint, times), replay())

    def diagnose(self, replayed):
        return self._did(replayed, diagnosis())

    def gate(self, candidate):
        return self._did(candidate, gate_report())

    def rollout(self, report):
        raise errors.UsageError("no owner is named", hint="name one")


def send(widget, **content) -> None:
    widget._handle_custom_msg(content, [])


def html(widget) -> str:
    return widget._repr_mimebundle_()[0]["text/html"]


def recording() -> Recording:
    return Recording(id="1" * 32, service="payments-api", kind="asgi", summary="POST /charges -> 500 TypeError", at=AT,
                     trace_id=None, span_id=None, failed=True, control=False)  # fmt: skip


def test_a_chosen_suspect_is_selected_and_its_exemplar_shown():
    widget = Suspects(triage(), inv=Desk())
    send(widget, exemplar=0)
    assert triage().top.exemplars[0] in widget.waterfall
    send(widget, suspect=1)
    assert widget.selected.title == "ReadTimeout: gateway"
    assert widget.waterfall == ""


@pytest.mark.parametrize("content", NONSENSE)
def test_a_choice_that_was_not_offered_is_ignored(content: dict[str, Any]):
    desk = Desk()
    widget = Suspects(triage(), inv=desk)
    send(widget, **content)
    assert (widget.index, widget.waterfall, widget.state, desk.done) == (0, "", "ready", [])


def test_an_exemplar_that_is_gone_is_one_message():
    widget = Suspects(triage(), inv=Desk())
    send(widget, exemplar=1)
    assert widget.message == "no trace starts so"


def test_the_button_runs_the_verb_shows_progress_and_keeps_the_record():
    desk, told = Desk(), []
    widget = Suspects(triage(), inv=desk, times=5)
    widget.observe(lambda change: told.append(change["new"]), "progress")
    send(widget, press=True)
    assert desk.done == [("f" * 16, 5)]
    assert {"what": "working", "done": 1, "total": 2} in told
    assert (widget.state, widget.result, desk.progress) == ("done", replay(), None)


def test_a_verb_that_cannot_run_says_why():
    widget = Gates(gate_report(), inv=Desk())
    send(widget, press=True)
    assert (widget.state, widget.result) == ("failed", None)
    assert widget.message == "no owner is named\nhint: name one"


def test_without_an_investigation_there_is_no_button():
    widget = Suspects(triage())
    send(widget, press=True)
    assert (widget.button, widget.state) == ("", "ready")


def test_only_a_pass_may_be_rolled_out():
    failed = GateReport(verdict=Verdict.INCONCLUSIVE, gates=gate_report().gates)
    assert Gates(failed, inv=Desk()).button == ""
    assert Gates(gate_report(), inv=Desk()).button == "Plan the rollout"
    assert Gates(gate_report(), inv=Desk()).intervals == "<svg>intervals</svg>"


def test_a_patch_is_accepted_or_rejected_with_a_reason():
    widget = PatchReview(proposal())
    assert widget.decision is None
    send(widget, reject="  ")
    assert widget.decision is None
    assert "needs a reason" in widget.message
    send(widget, reject="round it instead")
    assert widget.decision == Decision(accepted=False, reason="round it instead", candidate=proposal().top.digest)
    send(widget, accept=True)
    assert widget.decision == Decision(accepted=True, reason="", candidate=proposal().top.digest)
    assert widget.decided == "accepted"


def test_the_candidate_on_show_is_the_one_that_is_gated():
    first = proposal().top
    second = type(first)(diff=first.diff.replace("str", "repr"), tests=(), rationale="other", risk=first.risk,
                         proposer="search")  # fmt: skip
    desk = Desk()
    widget = PatchReview(Proposal(candidates=(first, second)), inv=desk)
    send(widget, candidate=1)
    assert "other" in widget.page
    send(widget, press=True)
    assert desk.done == [second]


def test_a_recording_is_compared_with_its_replay_and_diagnosed():
    desk = Desk()
    widget = ReplayDiff(recording(), replay(), inv=desk)
    assert "500 TypeError" in widget.page
    assert "controlled" in widget.ledger
    send(widget, press=True)
    assert desk.done == [replay()]


def test_empty_records_have_views_too():
    assert Suspects(Triage(at=AT, window=triage().window)).offered == []
    assert PatchReview(Proposal(notes=("nothing fits",))).button == ""
    assert Gates(GateReport(verdict=Verdict.INCONCLUSIVE)).verdict == "inconclusive"


@pytest.mark.parametrize(
    ("widget", "words"),
    [
        (lambda: Suspects(triage()), "ReadTimeout"),
        (lambda: ReplayDiff(recording(), replay()), "reproduced"),
        (lambda: PatchReview(proposal()), "default=_plain"),
        (lambda: Gates(gate_report()), "Mann-Whitney"),
    ],
)
def test_every_view_has_a_static_twin_and_a_script_without_imports(widget, words: str):
    shown = widget()
    assert words in html(shown)
    assert "import " not in shown._esm
    assert "http" not in shown._esm.replace("http://www.w3.org", "")


def test_hostile_names_stay_text_in_every_view():
    evil = triage(title="<img src=x onerror=alert(1)>")
    assert "<img" not in html(Suspects(evil))
    assert "innerHTML" not in Suspects(evil)._esm.split("export default")[1]
