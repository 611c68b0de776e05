"""Error groups as suspects: ranked by the budget that they burn, each with its exemplars, contrast and change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from shadowlab.records import Change, Contrast, Suspect
from shadowlab.triage import changes, contrast, exemplars, frames, shapes, stacks
from shadowlab.triage.burn import moment
from shadowlab.triage.clocks import RIGHT
from shadowlab.triage.drawn import Drawn
from shadowlab.triage.facts import Facts
from shadowlab.triage.look import Look
from shadowlab.triage.onset import Onset, onset
from shadowlab.triage.scene import Store, array, dicts

Each = Callable[..., Iterable[Suspect]]
"""`map`, or a pool's."""

# Groups by blast radius: what they burn, whom they strike, from how far they are seen, how often. Errors that were
# passed on count for their root only. Words are looked for in the few that are shown. Tables in between are planned
# once, where one statement would plan them wherever it names them.
_CAUSING = """
CREATE TABLE causing AS
SELECT s.eid, s.fingerprint, s.at_ns, s.tid, coalesce(w.weight, 1) AS weight
FROM signed s JOIN charged c ON c.eid = s.eid AND c.root = s.eid LEFT JOIN weights w ON w.sid = s.sid
WHERE s.at_ns <= $high"""
_ORDER = """round(burned, 9) DESC, users DESC, tenants DESC, len(seen_from) DESC, events DESC, ever DESC,
    fingerprint"""
_RANKED = f"""
CREATE TABLE ranked AS
WITH burned AS (
    SELECT s.fingerprint, sum(b.weight / b.allowed) AS share, sum(b.weight) AS requests
    FROM breaks b JOIN signed s ON s.eid = b.cause_eid GROUP BY s.fingerprint),
struck AS (
    SELECT fingerprint, count(DISTINCT tid) AS traces, count(DISTINCT user_id) AS users,
           count(DISTINCT tenant) AS tenants
    FROM causing LEFT JOIN who USING (tid) WHERE at_ns > $low GROUP BY fingerprint),
counted AS (
    SELECT fingerprint, round(sum(weight) FILTER (at_ns > $low))::BIGINT AS events, round(sum(weight))::BIGINT AS ever,
           min(at_ns) AS first_ns, max(at_ns) AS last_ns
    FROM causing GROUP BY fingerprint HAVING count(*) FILTER (at_ns > $low) > 0)
SELECT c.*, s.traces, s.users, s.tenants, coalesce(f.services, []) AS seen_from,
       coalesce(b.share, 0) AS burned, coalesce(b.requests, 0) AS broken
FROM counted c JOIN struck s USING (fingerprint) LEFT JOIN burned b USING (fingerprint)
LEFT JOIN seen_from f USING (fingerprint)
ORDER BY {_ORDER}
LIMIT $top"""
_SAID = """
SELECT s.fingerprint, s.service, r.name AS operation, e.exception_type AS type, t.root_type, t.own, m.merged,
       t.template, t.path, m.by_hand, count(*) AS errors
FROM signed s SEMI JOIN ranked USING (fingerprint) SEMI JOIN causing USING (eid) JOIN requests r ON r.eid = s.eid
JOIN err e ON e.eid = s.eid JOIN readings t ON t.reading = s.reading
JOIN meant m ON m.reading = s.reading AND m.service IS NOT DISTINCT FROM s.service GROUP BY ALL"""
_PASSED_ON = """
SELECT r.fingerprint, count(*) AS errors FROM charged c JOIN signed r ON r.eid = c.root JOIN signed p ON p.eid = c.eid
WHERE c.root <> c.eid AND p.at_ns > $low AND p.at_ns <= $high GROUP BY r.fingerprint"""

_EVENTS = """
SELECT s.fingerprint, e.trace_id, r.request, r.name, s.at_ns, hash(e.trace_id, r.request) AS sid FROM signed s
JOIN charged c ON c.eid = s.eid AND c.root = s.eid JOIN requests r ON r.eid = s.eid JOIN err e ON e.eid = s.eid
WHERE s.fingerprint IN (SELECT unnest($told)) AND s.at_ns <= $high
ORDER BY s.fingerprint, s.at_ns DESC, e.trace_id, s.eid"""

_STACK = """
SELECT err.part, err.error_id, err.at_ns FROM signed s JOIN err USING (eid)
WHERE s.fingerprint = ? AND err.trace_id = ? AND err.stacked ORDER BY s.at_ns, s.eid LIMIT 1"""

_TORN = """
SELECT DISTINCT err.trace_id FROM above a JOIN err ON err.sid = a.sid LEFT JOIN tree t ON t.sid = a.ancestor
WHERE t.sid IS NULL"""


def suspects(con: Any, store: Store, look: Look, *, top: int, each: Each = map) -> tuple[Suspect, ...]:
    """The groups with errors in the window, most burned budget first; `each` may look at several at once."""
    rows = _ranked(con, look, top)
    torn = {row["trace_id"] for row in dicts(con, _TORN)}
    events = _events(con, look, rows)
    groups = [_group(look, row, events[row["fingerprint"]]) for row in rows]
    drawn = shapes.draw(con, look.seen, groups, low_ns=look.low_ns, high_ns=look.high_ns)
    rooms = [con.cursor() for _ in rows]

    def suspect(own: Any, row: Mapping[str, Any], seen: Drawn) -> Suspect:
        told = events[row["fingerprint"]]
        operation = row["service"], row["operation"]
        failing = changes.requests_of(look.seen, operation, told.column("sid"), last_ns=look.high_ns)
        return _suspect(own, store, look, row, told, seen, failing, torn)

    return tuple(each(suspect, rooms, rows, drawn))


def _ranked(con: Any, look: Look, top: int) -> list[dict[str, Any]]:
    """What is counted of the first groups, and what most of each group's errors say."""
    con.execute(_CAUSING, {"high": look.high_ns})
    con.execute(_RANKED, {"low": look.low_ns, "top": top})
    said: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in dicts(con, _SAID):
        said[row["fingerprint"]].append(row)
    passed = dict(con.execute(_PASSED_ON, {"low": look.low_ns, "high": look.high_ns}).fetchall())
    return [
        {**row, **_described(said[row["fingerprint"]]), "passed_on": passed.get(row["fingerprint"], 0)}
        for row in dicts(con, f"SELECT * FROM ranked ORDER BY {_ORDER}")
    ]


_WORDS = ("service", "operation", "type", "root_type", "own", "merged", "template")


def _described(said: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What most of a group's errors say, by how many ways they are reached, and whether somebody made the group."""
    paths = {row["path"] for row in said} - {None}
    return {name: _usual(said, name) for name in _WORDS} | {
        "paths": len(paths),
        "by_hand": any(row["by_hand"] for row in said),
    }


def _usual(said: Sequence[Mapping[str, Any]], name: str) -> str | None:
    """The word that most errors have; the first in order of equally common ones."""
    counts: dict[str, int] = defaultdict(int)
    for row in said:
        if row[name] is not None:
            counts[row[name]] += row["errors"]
    return min(counts, key=lambda word: (-counts[word], word), default=None)


def _events(con: Any, look: Look, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every error of each group that is its own, the newest first, as an Arrow table."""
    import pyarrow.compute as pc

    told = [row["fingerprint"] for row in rows]
    found = con.sql(_EVENTS, params={"told": told, "high": look.high_ns}).to_arrow_table()
    return {each: found.filter(pc.equal(found.column("fingerprint"), each)) for each in told}


def _group(look: Look, row: Mapping[str, Any], events: Any) -> shapes.Group:
    """The failing requests of the window that are of the group's own operation."""
    import pyarrow.compute as pc

    late = pc.greater(events.column("at_ns"), look.low_ns)
    here = events.filter(pc.and_(late, pc.equal(events.column("name"), row["operation"])))
    return shapes.Group(row["service"], row["operation"], array(here.column("sid")))


def _suspect(
    con: Any, store: Store, look: Look, row: Mapping[str, Any], events: Any, drawn: Drawn, seen: changes.Requests,
    torn: set[str],
) -> Suspect:  # fmt: skip
    apart = contrast.apart(drawn)
    shown, controls = exemplars.choose(drawn, look.recorded, whole=dict.fromkeys(torn, False))
    traces = tuple(dict.fromkeys(events.column("trace_id").to_pylist()))
    shown = shown or traces[:1]
    rise, change = _change(store, look, row, seen)
    all_traces = dict.fromkeys((*shown, *traces))
    return Suspect(
        fingerprint=row["fingerprint"],
        title=_title(row),
        service=row["service"] or "",
        operation=row["operation"] or "",
        events=row["events"],
        traces=row["traces"],
        first_seen=moment(row["first_ns"]),
        last_seen=moment(row["last_ns"]),
        exemplars=shown,
        controls=controls,
        exception_type=row["type"] or None,
        exception_message=row["template"] or None,
        frames=_frames(con, look.seen, row["fingerprint"], shown, look.prefixes),
        recordings=tuple(dict.fromkeys(id for trace in all_traces for id in look.recorded.get(trace, ()))),
        contrast=apart,
        change=change,
        budget_burned=round(float(row["burned"]), 9),
        onset=(moment(rise.low_ns), moment(rise.high_ns)) if rise else None,
        why=_why(row, apart, change),
        users=row["users"],
        tenants=row["tenants"],
        seen_from=tuple(row["seen_from"]),
    )


def _change(
    store: Store, look: Look, row: Mapping[str, Any], seen: changes.Requests
) -> tuple[Onset | None, Change | None]:
    rise = onset(seen.start_ns, seen.failing)
    clock = look.clocks.get(row["service"] or "", RIGHT)
    change = changes.linked(store, look.seen, look.shifts, seen, rise, service=row["service"], clock=clock)
    rise = rise and rise.corrected(clock)
    return rise, change or changes.told_by_user(look.told, rise, service=row["service"])


def _frames(
    con: Any, seen: Facts, fingerprint: str, shown: Sequence[str], prefixes: tuple[str, ...]
) -> tuple[Any, ...]:
    for trace in shown:
        found = con.execute(_STACK, [fingerprint, trace]).fetchall()
        stack = stacks.parse(seen.stack(*found[0])) if found else None
        if stack:
            return frames.shown(stack.frames, prefixes)
    return ()


def _title(row: Mapping[str, Any]) -> str:
    kind = (row["type"] or row["root_type"] or "error").split(".")[-1]
    if row["template"]:
        return f"{kind}: {row['template']}"[:160]
    return f"{kind} in {row['own'].removeprefix('@ ') or row['operation']}"[:160]


def _why(row: Mapping[str, Any], apart: Sequence[Contrast], change: Change | None) -> str:
    where = f"operation {row['own'][2:]}" if row["own"].startswith("@ ") else f"function {row['own']}"
    words = f"message “{row['merged']}”" if row["merged"] else "no message"
    told = [f"one group by service {row['service']}, {row['root_type'] or 'no type'}, {where} and {words}, "
            f"reached by {_count(row['paths'] or 1, 'path')}"]  # fmt: skip
    if row["broken"]:
        told.append(f"it breaks {row['broken']:,.0f} requests of the objectives, {row['burned']:.1f}x what they allow")
    else:
        told.append("it breaks no objective: the requests that it happens in are answered as promised")
    struck = [_count(row[key], noun) for key, noun in (("users", "user"), ("tenants", "tenant")) if row[key]]
    if struck:
        told.append(f"its failing requests are those of {' and '.join(struck)}")
    if row["seen_from"]:
        told.append(f"the same fault is seen from {', '.join(row['seen_from'][:5])}")
    if row["by_hand"]:
        told.append("grouped by hand")
    if row["passed_on"]:
        told.append(f"{_count(row['passed_on'], 'error')} of other spans passed it on and are not counted again")
    if row["ever"] > row["events"]:
        told.append(f"{row['ever'] - row['events']:,} more before the window")
    told.append(f"failing requests differ most by {apart[0].attribute} = {apart[0].value}" if apart
                else "no attribute sets its requests apart")  # fmt: skip
    if change:
        told.append(f"it follows the {change.kind} of {change.after}")
    return "; ".join(told)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
