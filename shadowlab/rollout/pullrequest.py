"""The pull request's body: what failed, why, what is changed, and what was measured before anybody is asked."""

from __future__ import annotations

from collections.abc import Iterator

from shadowlab.records import Candidate, Diagnosis, Gate, GateReport, Replay, Suspect, Triage, Verdict
from shadowlab.records.base import percent
from shadowlab.rollout.words import code, escaped, fenced

_SIGNS = {Verdict.PASS: "✅ pass", Verdict.FAIL: "❌ fail", Verdict.INCONCLUSIVE: "❔ inconclusive"}


def title(diagnosis: Diagnosis) -> str:
    """`Fix TypeError in lib/serializer.py:to_json`, one line of plain text."""
    best = diagnosis.confirmed or next(iter(diagnosis.hypotheses), None)
    failure = diagnosis.error.type if diagnosis.error else "failure"
    where = f" in {best.location.file}:{best.location.function}" if best and best.location else ""
    line = " ".join(f"Fix {failure}{where}".split())
    return "".join(letter for letter in line if letter.isprintable() and letter not in "`<>@")[:120]


def body(
    report: GateReport,
    candidate: Candidate,
    diagnosis: Diagnosis,
    triage: Triage | None,
    *,
    replay: Replay | None = None,
    approvals: tuple[str, ...] = (),
    invariants: tuple[str, ...] = (),
) -> str:
    """Markdown in which nothing that telemetry or a patch says can act.

    `invariants` are the service's own sentences of what must hold; whoever approves looks at each.
    """
    parts = (
        _head(report, diagnosis),
        _happened(diagnosis, triage, replay),
        _cause(diagnosis),
        _change(candidate),
        _gates(report),
        _people(report, approvals, invariants),
    )
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _head(report: GateReport, diagnosis: Diagnosis) -> Iterator[str]:
    yield f"# {escaped(title(diagnosis))}"
    yield ""
    if report.verdict is not Verdict.PASS:
        yield f"> **The gates did not pass: {report.verdict.value}.** This plan was asked for all the same."
        yield ""
    yield f"Service {code(report.service or diagnosis.service)}, made for commit {code(report.revision[:12])}. "
    yield "Drafted by shadowlab from recorded evidence; a person reads it and merges it."


def _happened(diagnosis: Diagnosis, triage: Triage | None, replay: Replay | None) -> Iterator[str]:
    yield "## What happened"
    yield ""
    if diagnosis.error:
        yield f"- Error: {code(f'{diagnosis.error.type}: {diagnosis.error.message}')}"
    suspect = suspect_of(diagnosis, triage)
    if suspect:
        yield (
            f"- {suspect.events:,} errors in {suspect.traces:,} traces of {code(suspect.operation)}, "
            f"{suspect.first_seen:%Y-%m-%d %H:%M:%S} to {suspect.last_seen:%H:%M:%S} UTC"
        )
    for objective in triage.objectives if triage else ():
        rates = ", ".join(
            f"{name} {window.burn_rate:.1f}x"
            for name, window in objective.windows.items()
            if window.burn_rate is not None
        )
        promised = f"{percent(objective.target)} promised"
        yield f"- Objective {code(objective.name)} ({promised}): burn rate {escaped(rates) or 'unknown'}"
    if replay:
        yield f"- Replayed alone: **{replay.outcome.value} {replay.reproduced}/{replay.attempts}**"
    traces = dict.fromkeys(id for id in (diagnosis.trace_id, *(suspect.exemplars[:5] if suspect else ())) if id)
    if traces:
        yield f"- Traces: {', '.join(code(trace) for trace in traces)}"


def suspect_of(diagnosis: Diagnosis, triage: Triage | None) -> Suspect | None:
    """The suspect that was diagnosed, as triage saw it."""
    return triage.suspect(diagnosis.suspect) if triage else None


def _cause(diagnosis: Diagnosis) -> Iterator[str]:
    yield "## Why"
    yield ""
    for hypothesis in diagnosis.hypotheses[:3]:
        place = hypothesis.location
        at = f" at {code(f'{place.file}:{place.line}')}" if place else ""
        yield f"- **{hypothesis.status.value}**: {escaped(hypothesis.cause)}{at}"
        yield from (f"  - {escaped(line)}" for line in hypothesis.evidence[:5])
    if diagnosis.suspect_change:
        change = diagnosis.suspect_change
        yield f"- Suspect change: {code(change.revision[:12])} {code(change.subject)}"


def _change(candidate: Candidate) -> Iterator[str]:
    yield "## What is changed"
    yield ""
    yield escaped(candidate.rationale, longest=2000)
    yield ""
    yield f"Risk: {code(candidate.risk.surface)}, expected cost {candidate.risk.expected_perf_ms:g} ms. "
    tests = ", ".join(code(test) for test in candidate.tests)
    yield f"Proposed by {code(candidate.proposer)}. Tests: {tests or 'none'}."
    yield ""
    yield fenced(candidate.diff, "diff")


def _gates(report: GateReport) -> Iterator[str]:
    yield f"## What was measured: {report.verdict.value}"
    yield ""
    shares = next((gate for gate in report.gates if gate.name == "shadow run: errors"), None)
    if shares:
        yield f"Shadow run on mirrored requests: {escaped(shares.observed)}."
        yield ""
    if report.ran_on:
        yield f"The service ran on {escaped(report.ran_on)}."
        yield ""
    yield "| gate | verdict | observed | limit | numbers |"
    yield "| --- | --- | --- | --- | --- |"
    for gate in report.gates:
        cells = (escaped(gate.name), _SIGNS[gate.verdict], escaped(gate.observed), escaped(gate.limit), _numbers(gate))
        yield f"| {' | '.join(cells)} |"
    notes = [f"- {escaped(gate.name)}: {code(gate.detail)}" for gate in report.gates if gate.detail]
    if notes:
        yield from ("", "<details><summary>In detail</summary>", "", *notes, "", "</details>")


def _numbers(gate: Gate) -> str:
    statistic = gate.statistic
    if statistic is None:
        return ""
    ends = ["−∞" if statistic.interval[0] is None else f"{statistic.interval[0]:.4g}",
            "∞" if statistic.interval[1] is None else f"{statistic.interval[1]:.4g}"]  # fmt: skip
    text = f"{statistic.level:.0%} interval {ends[0]} to {ends[1]} {statistic.unit}, n {statistic.n_candidate}"
    text += f", p {statistic.chance}" if statistic.chance else ""
    text += f", e {statistic.evidence}" if statistic.evidence else ""
    return escaped(text)


def _people(report: GateReport, approvals: tuple[str, ...], invariants: tuple[str, ...]) -> Iterator[str]:
    yield "## Before it is merged"
    yield ""
    yield from (f"- [ ] it still holds: {escaped(sentence)}" for sentence in invariants)
    yield from (f"- [ ] approval of {code(who)}" for who in approvals)
    yield ""
    numbers = f"alpha {report.alpha:g}, seed {report.seed}"
    yield f"Gate report {code(report.digest)}, sandbox {code(report.sandbox)}, {numbers}."
