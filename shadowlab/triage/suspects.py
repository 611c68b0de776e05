"""Error groups as suspects: ranked by the budget that they burn, each with its exemplars, contrast and change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from shadowlab.records import Change, Contrast, Suspect
from shadowlab.records.base import counted
from shadowlab.triage import changes, contrast, exemplars, frames, shapes, stacks
from shadowlab.triage.breaks import torn
from shadowlab.triage.burn import moment
from shadowlab.triage.clocks import RIGHT
from shadowlab.triage.coded import NONE
from shadowlab.triage.drawn import Drawn
from shadowlab.triage.look import Look
from shadowlab.triage.onset import Onset, onset
from shadowlab.triage.raised import text_of
from shadowlab.triage.ranked import Ranked, ranked
from shadowlab.triage.requests import Requests, requests_of
from shadowlab.triage.scene import Scene
from shadowlab.triage.spans import among
from shadowlab.triage.tables import Store

Each = Callable[..., Iterable[Any]]
"""`map`, or a pool's."""


def suspects(con: Any, store: Store, scene: Scene, look: Look, *, top: int, each: Each = map) -> tuple[Suspect, ...]:
    """The groups with errors in the window, most burned budget first; `each` may look at several at once."""
    faults, others = (every := ranked(scene, look, 2 * top))[:top], every[top:]
    broken = torn(scene.errors, scene.near, scene.ancestry)
    groups, spare = ([_group(scene, look, fault) for fault in told] for told in (faults, others))
    drawn = shapes.draw(con, look.seen, groups, low_ns=look.low_ns, high_ns=look.high_ns, spare=spare, each=each)

    def suspect(fault: Ranked, drawn: Callable[[], Drawn]) -> Suspect:
        return _suspect(store, scene, look, fault, drawn(), broken)

    return tuple(each(suspect, faults, drawn))


def _group(scene: Scene, look: Look, fault: Ranked) -> shapes.Group:
    """The failing requests of the window that are of the fault's own operation."""
    late = fault.rows[scene.errors.at_ns[fault.rows] > look.low_ns]
    name = scene.places.name
    here = late[name.code[late] == (name.words.index(fault.operation) if fault.operation is not None else NONE)]
    return shapes.Group(fault.service or "", fault.operation or "", scene.places.request[here])


def _suspect(store: Store, scene: Scene, look: Look, fault: Ranked, drawn: Drawn, broken: Any) -> Suspect:
    failing = scene.places.request[fault.rows]
    seen = requests_of(look.seen, (fault.service, fault.operation), failing, last_ns=look.high_ns)
    apart = contrast.apart(drawn)
    whole = {trace or "": False for trace, torn in zip(drawn.traces, among(drawn.order, broken).tolist(), strict=True)
             if torn}  # fmt: skip
    shown, controls = exemplars.choose(drawn, look.recorded, whole=whole)
    traces = _traces(scene, look, fault) if look.recorded or not shown else {}
    shown = shown or tuple(traces)[:1]
    tid = dict(zip((*traces, *drawn.traces), (*traces.values(), *drawn.order.tolist()), strict=True))
    rise, change = _change(store, look, fault, seen)
    return Suspect(
        fingerprint=fault.fingerprint,
        title=_title(fault),
        service=fault.service or "",
        operation=fault.operation or "",
        events=fault.events,
        traces=fault.traces,
        first_seen=moment(fault.first_ns),
        last_seen=moment(fault.last_ns),
        exemplars=shown,
        controls=controls,
        exception_type=fault.type or None,
        exception_message=fault.template or None,
        frames=_frames(scene, look, fault, [tid[trace] for trace in shown]),
        recordings=tuple(dict.fromkeys(id for trace in dict.fromkeys((*shown, *traces))
                                       for id in look.recorded.get(trace, ()))),
        contrast=apart,
        change=change,
        budget_burned=round(fault.burned, 9),
        onset=(moment(rise.low_ns), moment(rise.high_ns)) if rise else None,
        why=_why(fault, apart, change),
        users=fault.users,
        tenants=fault.tenants,
        seen_from=fault.seen_from,
    )  # fmt: skip


def _traces(scene: Scene, look: Look, fault: Ranked) -> dict[str, int]:
    """The traces of a fault and their hashes, that of its newest error first."""
    told = (each[fault.rows].tolist() for each in (scene.errors.at_ns, scene.errors.tid))
    texts = text_of(look.seen, scene.errors, fault.rows, "trace_id")
    named = [(-at_ns, text, tid) for at_ns, tid, text in zip(*told, texts, strict=True) if text is not None]
    return {text: tid for _, text, tid in sorted(named)}


def _change(store: Store, look: Look, fault: Ranked, seen: Requests) -> tuple[Onset | None, Change | None]:
    rise = onset(seen.start_ns, seen.failing)
    clock = look.clocks.get(fault.service or "", RIGHT)
    change = changes.linked(store, look.seen, look.shifts, seen, rise, service=fault.service or "", clock=clock)
    rise = rise and rise.corrected(clock)
    return rise, change or changes.told_by_user(look.told, rise, service=fault.service or "")


def _frames(scene: Scene, look: Look, fault: Ranked, traces: Sequence[int]) -> tuple[Any, ...]:
    """What is shown of the stack of a fault's first error, in the first of some traces where one can be read."""
    import numpy as np

    errors = scene.errors
    own = np.flatnonzero((scene.signed.group == scene.signed.group[fault.rows[0]]) & errors.stacked)
    for trace in traces:
        rows = own[errors.tid[own] == trace]
        if not len(rows):
            continue
        first = rows[np.argmin(errors.at_ns[rows])]
        stack = stacks.parse(
            look.seen.stack(*(int(each[first]) for each in (errors.part, errors.error_id, errors.at_ns)))
        )
        if stack:
            return frames.shown(stack.frames, look.prefixes)
    return ()


def _title(fault: Ranked) -> str:
    kind = (fault.type or fault.root_type or "error").split(".")[-1]
    if fault.template:
        return f"{kind}: {fault.template}"[:160]
    return f"{kind} in {fault.own.removeprefix('@ ') or fault.operation}"[:160]


def _why(fault: Ranked, apart: Sequence[Contrast], change: Change | None) -> str:
    where = f"operation {fault.own[2:]}" if fault.own.startswith("@ ") else f"function {fault.own}"
    words = f"message “{fault.merged}”" if fault.merged else "no message"
    told = [f"one group by service {fault.service}, {fault.root_type or 'no type'}, {where} and {words}, "
            f"reached by {counted(fault.paths or 1, 'path')}"]  # fmt: skip
    if fault.broken:
        told.append(f"it breaks {fault.broken:,.0f} requests of the objectives, {fault.burned:.1f}x what they allow")
    else:
        told.append("it breaks no objective: the requests that it happens in are answered as promised")
    affected = [counted(many, noun) for many, noun in ((fault.users, "user"), (fault.tenants, "tenant")) if many]
    if affected:
        told.append(f"its failing requests are those of {' and '.join(affected)}")
    if fault.seen_from:
        told.append(f"the same fault is seen from {', '.join(fault.seen_from[:5])}")
    if fault.by_hand:
        told.append("grouped by hand")
    if fault.passed_on:
        told.append(f"{counted(fault.passed_on, 'error')} of other spans passed it on and are not counted again")
    if fault.ever > fault.events:
        told.append(f"{fault.ever - fault.events:,} more before the window")
    told.append(f"failing requests differ most by {apart[0].said}" if apart
                else "no attribute sets its requests apart")  # fmt: skip
    if change:
        told.append(f"it follows the {change.kind} of {change.after}")
    return "; ".join(told)
