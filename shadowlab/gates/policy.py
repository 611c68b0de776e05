"""What a patch may touch, and how much of it."""

from __future__ import annotations

from shadowlab.gates.bench import Bench
from shadowlab.gates.roles import Part, Role
from shadowlab.records import Gate, Verdict
from shadowlab.replay.sandboxes import levels


def policy(bench: Bench) -> tuple[Gate, ...]:
    """Paths inside the tree, none of the judge's own files, a change that is there and is small enough."""
    change, tests, judges = (bench.parts_of(role) for role in (Role.CHANGE, Role.TEST, Role.JUDGE))
    lines, most = sum(part.change.lines for part in change), bench.limits.max_diff_lines
    reasons = [*bench.refusals, *(f"{part.change.path} {part.reason}" for part in judges)]
    if lines > most:
        reasons.append(f"the change has {lines} lines, {most} are allowed")
    weak = levels.refusal(bench.sandbox, bench.limits.least_sandbox)
    if weak:
        reasons.append(weak)
    if not bench.refusals and not lines:
        reasons.append("nothing of the service is changed")
    fits = "fits" if lines <= most else "does not fit"
    return (
        Gate(
            name="policy",
            verdict=Verdict.FAIL if reasons else Verdict.PASS,
            observed="refused" if bench.refusals else f"diff {fits} {most} lines: {lines} in {_files(change)}",
            limit=f"{most} lines without tests; inside the tree; tests, configuration, CI and lock untouched;"
            f" sandbox {bench.limits.least_sandbox} or stronger",
            detail="; ".join(reasons) or _touched(change, tests),
        ),
    )


def _files(parts: tuple[Part, ...]) -> str:
    return "1 file" if len(parts) == 1 else f"{len(parts)} files"


def _touched(change: tuple[Part, ...], tests: tuple[Part, ...]) -> str:
    touches = "touches " + ", ".join(
        f"{p.change.path} (+{len(p.change.added)} -{len(p.change.removed)})" for p in change
    )
    brought = ", ".join(f"{p.change.path} ({len(p.change.added)} lines)" for p in tests)
    return f"{touches}; brings {brought}" if brought else touches
