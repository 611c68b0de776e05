"""A proposed patch side by side: accept it, or reject it with a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import traitlets

from shadowlab import errors, views
from shadowlab.records import Candidate, GateReport, Proposal
from shadowlab.views import Page
from shadowlab.widgets.view import View, index_in, script

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    """What a reviewer said of a candidate. It merges nothing."""

    accepted: bool
    reason: str
    """Why not; empty for an accepted one."""
    candidate: str
    """SHA-256 of the candidate's diff."""


class PatchReview(View):
    """The candidates of `proposal`, one at a time; `decision` is None until somebody decided.

    With `inv` the button runs the gates on the candidate that is shown.
    """

    _esm = script("patch_review.js")
    offered: traitlets.List[str] = traitlets.List().tag(sync=True)
    """One line for each candidate."""
    index = traitlets.Int(0).tag(sync=True)
    decided = traitlets.Unicode().tag(sync=True)
    """What was decided, in words."""

    def __init__(self, proposal: Proposal, *, inv: Investigation | None = None) -> None:
        self.proposal = proposal
        self.decision: Decision | None = None
        some = bool(proposal.candidates)
        offered = [f"{c.proposer}: {c.risk.surface}" for c in proposal.candidates]
        super().__init__(inv=inv if some else None, button="Run the gates", offered=offered, page=self._shown(0))

    @property
    def candidate(self) -> Candidate:
        """The candidate that is shown; raises `UsageError` when there is none."""
        return self.proposal.candidates[self.index] if self.proposal.candidates else self.proposal.top

    def accept(self) -> Decision:
        """Say that the shown candidate may go on."""
        return self._decide(True, "")

    def reject(self, reason: str) -> Decision:
        """Say that it may not, and why; raises `UsageError` without a reason."""
        if not reason.strip():
            raise errors.UsageError("a rejection needs a reason", hint="say what would have to change")
        return self._decide(False, reason.strip())

    def verb(self, inv: Investigation) -> GateReport:
        """Run the gates on the shown candidate."""
        return inv.gate(self.candidate)

    def pages(self) -> tuple[Page, ...]:
        """Why, then the diff side by side."""
        return views.rationale(self.proposal), views.patch(self.proposal)

    def heard(self, content: dict[str, Any]) -> None:
        """Another candidate to look at, or a decision."""
        if (chosen := index_in(content, "candidate", len(self.proposal.candidates))) is not None:
            self.index, self.page = chosen, self._shown(chosen)
        elif content.get("accept") is True and self.proposal.candidates:
            self.accept()
        elif isinstance(content.get("reject"), str) and self.proposal.candidates:
            try:
                self.reject(content["reject"][:2000])
            except errors.UsageError as exc:
                self.message = str(exc)

    def _decide(self, accepted: bool, reason: str) -> Decision:
        self.decision = Decision(accepted=accepted, reason=reason, candidate=self.candidate.digest)
        self.decided = "accepted" if accepted else f"rejected: {reason}"
        self.message = ""
        return self.decision

    def _shown(self, index: int) -> str:
        kept = self.proposal.candidates[index : index + 1]
        one = Proposal(candidates=kept, notes=self.proposal.notes)
        return views.rationale(one).html + (views.patch(one).html if kept else "")
