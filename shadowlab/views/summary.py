"""The whole incident in seven lines, for whoever reads nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from shadowlab.records import Diagnosis, GateReport, Proposal, Record, Replay, Triage
from shadowlab.records.base import counted, percent
from shadowlab.views.shown import Page
from shadowlab.views.style import FAINT, badge
from shadowlab.views.tables import Markup, code, grid

_NAMES: Mapping[type[Record], str] = {
    Triage: "triage", Replay: "replay", Diagnosis: "diagnosis", Proposal: "proposal", GateReport: "gate report"
}  # fmt: skip
_OPEN = Markup(f"<span style='{FAINT}'>not done yet</span>")


def glance(
    triage: Triage | None,
    replay: Replay | None = None,
    diagnosis: Diagnosis | None = None,
    proposal: Proposal | None = None,
    gates: GateReport | None = None,
) -> Page:
    """What burns, which error, since when, does it happen again, why, what is proposed, does it hold."""
    rows: list[Sequence[object]] = [
        ("what burns", burning(triage) if triage else _OPEN),
        ("which error", _error(triage) if triage else _OPEN),
        ("since", since(triage) if triage else _OPEN),
        ("does it happen again, alone", _again(replay) if replay else _OPEN),
        ("why", _why(diagnosis) if diagnosis else _OPEN),
        ("what is proposed", _proposed(proposal) if proposal else _OPEN),
        ("does it hold", _holds(gates) if gates else _OPEN),
    ]
    pairs = ((triage, diagnosis), (replay, diagnosis), (diagnosis, proposal), (proposal, gates))
    if others := tuple(words for earlier, later in pairs if (words := _other(earlier, later))):
        rows.append(("mind that", others))
    return grid(("", ""), rows, alt="at a glance")


def _other(earlier: Record | None, later: Record | None) -> str:
    """Said where what is shown together was not made from one another: somebody ran a verb again."""
    if earlier is None or later is None or not later.parents or earlier.digest in later.parents:
        return ""
    return f"the {_NAMES[type(later)]} shown here was made from another {_NAMES[type(earlier)]} than the one shown here"


def burning(triage: Triage) -> Markup:
    """The objectives that burn, or the first; a line each."""
    burning = [o for o in triage.objectives if o.alert] or list(triage.objectives[:1])
    if not burning:
        return Markup("no objective was measured")
    lines = []
    for o in burning:
        rates = ", ".join(f"{w.burn_rate:.0f}× over {name}" for name, w in o.windows.items() if w.burn_rate is not None)
        alert = f"alert: {html.escape(o.alert)}" if o.alert else "no alert"
        bound = f" (an incident when {html.escape(o.trigger)})" if o.trigger else ""
        lines.append(f"<b>{html.escape(o.name)}</b> ({percent(o.target)} promised): {rates}; {alert}; "
                    f"{o.budget_spent:.1%} of the whole budget spent{bound}")  # fmt: skip
    return Markup("<br>".join(lines))


def _error(triage: Triage) -> Markup:
    if not triage.suspects:
        return Markup("none was found")
    top = triage.suspects[0]
    where = f"{html.escape(top.service)}: {html.escape(top.operation)}"
    seen = f"{counted(top.events, 'event')} in {counted(top.traces, 'trace')}"
    return Markup(f"<b>{html.escape(top.title)}</b><br>{where}; {seen}")


def since(triage: Triage) -> str:
    """When the first error was seen first, and the change that it follows."""
    if not triage.suspects:
        return ""
    top = triage.suspects[0]
    seen = f"first seen {top.first_seen:%Y-%m-%d %H:%M:%S} UTC"
    if top.change is None:
        return f"{seen}; no change explains it"
    change = top.change
    return f"{seen}, after the {change.kind} {change.before or '?'} → {change.after} at {change.at:%H:%M:%S}"


def _again(replay: Replay) -> Markup:
    text = f"{replay.reproduced}/{replay.attempts} in sandbox {html.escape(replay.sandbox)}"
    return Markup(f"{badge(replay.outcome.value)} {text}")


def _why(diagnosis: Diagnosis) -> Markup:
    if not diagnosis.hypotheses:
        return Markup("no hypothesis")
    best = diagnosis.confirmed or diagnosis.hypotheses[0]
    return Markup(f"{badge(best.status.value)} {html.escape(best.cause)}")


def _proposed(proposal: Proposal) -> Markup:
    if not proposal.candidates:
        return Markup("no candidate")
    best = proposal.candidates[0]
    lines = sum(line[:1] in "+-" and line[:3] not in ("+++", "---") for line in best.diff.splitlines() if line)
    return Markup(f"{html.escape(best.risk.surface)}; {lines} changed lines, tests included; {code(best.digest[:12])}")


def _holds(gates: GateReport) -> Markup:
    passed = sum(gate.verdict == "pass" for gate in gates.gates)
    return Markup(f"{badge(gates.verdict.value)} {passed} of {len(gates.gates)} gates; people merge and roll out")
