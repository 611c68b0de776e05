"""What is done about an incident as tables for paper: the patch, what the gates say of it, the plan of its rollout.

A record that is not there yet, None, is said to be missing.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from shadowlab.records import GateReport, Plan, Proposal, Statistic
from shadowlab.views.missing import made_by
from shadowlab.views.shown import Page
from shadowlab.views.sidebyside import in_full, side_by_side
from shadowlab.views.style import FAINT, badge
from shadowlab.views.tables import Markup, code, grid, wide


@made_by("propose")
def patch(proposal: Proposal) -> Page:
    """The best candidate's diff, before beside after."""
    return side_by_side(proposal.candidates[0].diff) if proposal.candidates else _none(proposal)


@made_by("propose")
def patch_in_full(proposal: Proposal) -> Page:
    """The best candidate's diff as it would be applied."""
    return in_full(proposal.candidates[0].diff) if proposal.candidates else _none(proposal)


@made_by("propose")
def rationale(proposal: Proposal) -> Page:
    """Why the best candidate, what it may touch, which tests it brings."""
    if not proposal.candidates:
        return _none(proposal)
    best = proposal.candidates[0]
    rows = [
        ("rationale", best.rationale),
        ("risk", f"{best.risk.surface}; expected cost {best.risk.expected_perf_ms:g} ms"),
        ("tests", tuple(code(test) for test in best.tests)),
        ("proposed by", best.proposer),
        ("other candidates", len(proposal.candidates) - 1),
        ("SHA-256 of the diff", code(best.digest)),
    ]
    return grid(("", "candidate"), rows, alt="candidate")


def _none(proposal: Proposal) -> Page:
    return Page(f"<p>No candidate was proposed. {html.escape(' '.join(proposal.notes))}</p>", "no candidate")


@made_by("gate")
def gates(report: GateReport) -> Page:
    """Each gate with what was seen and what was allowed."""
    rows = [(g.name, Markup(badge(g.verdict.value)), g.observed, wide(g.limit), g.detail) for g in report.gates]
    page = grid(("gate", "verdict", "observed", "limit", "detail"), rows, alt="gates")
    if not report.ran_on:
        return page
    place = f"{html.escape(report.ran_on)} · environment {code(report.environment[:12] or 'not to be had')}"
    return Page(f"{page.html}<p style='{FAINT}'>The service ran on {place}</p>", page.alt)


@made_by("gate")
def statistics(report: GateReport) -> Page:
    """The numbers behind the statistical gates."""
    rows = [_statistic(g.name, g.verdict.value, g.statistic) for g in report.gates if g.statistic]
    columns = ("gate", "verdict", "observed", "interval", "limit", "n", "p", "e-value", "method")
    return grid(columns, rows, alt="gate statistics")


def _statistic(gate: str, verdict: str, s: Statistic) -> Sequence[object]:
    unit = f"<br><span style='{FAINT}'>{html.escape(s.unit)}</span>" if s.unit else ""
    low, high = (_number(v) for v in s.interval)
    interval = Markup(f"<span style='white-space:nowrap'>{low} to {high}</span><br>"
                      f"<span style='{FAINT}'>at {s.level:.0%}</span>")  # fmt: skip
    seen = (
        Markup(f"<div style='min-width:7em'>{html.escape(gate)}{unit}</div>"),
        Markup(badge(verdict)),
        _number(s.estimate),
        interval,
    )
    n = Markup(f"<span style='white-space:nowrap'>{s.n_control:,} control<br>{s.n_candidate:,} candidate</span>")
    return *seen, _number(s.limit), n, _said(s.chance), _said(s.evidence), wide(s.method)


def _number(value: float | None) -> Markup:
    if value is None:
        return Markup("–")
    return _said(f"{value:.4g}" if abs(value) >= 1e-4 or value == 0 else f"{value:.1e}")


def _said(text: str) -> Markup:
    return Markup(f"<span style='white-space:nowrap'>{html.escape(text) or '–'}</span>")


def _commands(text: str) -> Markup:
    """Words with what stands between backticks in typewriter letters."""
    parts = enumerate(text.split("`"))
    return Markup("".join(f"<code>{html.escape(part)}</code>" if n % 2 else html.escape(part) for n, part in parts))


@made_by("rollout")
def steps(plan: Plan) -> Page:
    """The rollout's steps in order, who must approve, and the way back."""
    rows: list[Sequence[object]] = [(n, _commands(step)) for n, step in enumerate(plan.steps, 1)]
    rows += [("approvals", ", ".join(plan.approvals)), ("labels", ", ".join(plan.labels))]
    rows += [("rollback", _commands(plan.rollback)), ("files", tuple(code(file) for file in plan.files))]
    return grid(("step", "what"), rows, alt="rollout plan")
