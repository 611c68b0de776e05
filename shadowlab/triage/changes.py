"""What changed in production, and which change a suspect follows.

Deploys are seen where a service's `service.version` or `vcs.ref.head.revision` changes, a rollback included; flags
where a `feature_flag` evaluation gives a new variant. A change is linked to a suspect when it falls into the interval
in which the suspect's rate rose (or the failures grow from it on), *and* the requests that saw the new version or
variant fail while those that saw the old one do not. A deploy of another service counts where the traces of the
requests pass through it. That no change is linked is an answer, too.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shadowlab import errors, reading, times
from shadowlab.records import Change
from shadowlab.triage import chances
from shadowlab.triage.burn import moment
from shadowlab.triage.clocks import RIGHT, Clock
from shadowlab.triage.facts import Facts
from shadowlab.triage.growth import grows
from shadowlab.triage.onset import ALPHA, Onset
from shadowlab.triage.requests import Requests, Version
from shadowlab.triage.spans import NEVER, among, distinct
from shadowlab.triage.tables import Store

_SLICES = 240
_LONGEST = 16_000_000
"""Characters of a file of changes."""
_ABSENT = 3
"""Slices for which a version must be gone to count as deployed anew."""
_LEAK = 0.1
"""The old version may carry at most this share of the new one's rate."""

# OpenTelemetry told evaluations of flags as events of spans first, as log records with an event's name since
_EVALUATED = """(
    SELECT service, trace_id, at_ns, attributes FROM events WHERE name LIKE 'feature_flag%'
    UNION ALL SELECT service, trace_id, at_ns, attributes FROM logs WHERE event_name LIKE 'feature_flag%')"""

_FLAGS = f"""
SELECT service, attributes['feature_flag.key'] AS flag,
       coalesce(attributes['feature_flag.result.variant'], attributes['feature_flag.variant'],
                attributes['feature_flag.result.value']) AS value, NULL AS revision,
       (at_ns - $first) // $width AS slice, min(at_ns) AS first_ns, max(at_ns) AS last_ns, count(*) AS n
FROM {_EVALUATED} WHERE at_ns <= $last AND attributes['feature_flag.key'] IS NOT NULL
GROUP BY ALL ORDER BY service, flag, slice, first_ns, value"""

_SEEN_FLAGS = f"""
SELECT DISTINCT hash(e.trace_id) AS tid, NULL AS revision,
       coalesce(e.attributes['feature_flag.result.variant'], e.attributes['feature_flag.variant'],
                e.attributes['feature_flag.result.value']) AS value
FROM {_EVALUATED} e WHERE e.service = $service AND e.attributes['feature_flag.key'] = $flag"""


@dataclass(frozen=True, slots=True)
class Shift:
    """A new version or variant begins to be seen."""

    kind: str
    service: str
    flag: str | None
    first_ns: int
    until_ns: int
    """When the old one was last seen; after `first_ns` while both run."""
    before: Version | None
    after: Version

    def record(self, evidence: tuple[str, ...] = (), p: float | None = None, clock: Clock = RIGHT) -> Change:
        """The change as triage's record keeps it, in the time that most services have."""
        old, new = self.before or (None, None), self.after
        said = f"{self.flag}=" if self.flag else ""
        return Change(
            kind=self.kind,
            service=self.service,
            at=moment(clock.right(self.first_ns)),
            before=said + _label(old) if self.before else None,
            after=said + _label(new),
            before_revision=old[1],
            after_revision=new[1],
            evidence=evidence,
            p=p,
        )


def shifts(store: Store, seen: Facts, *, first_ns: int, last_ns: int) -> list[Shift]:
    """Every deploy, rollback and flag change between two stamps, oldest first."""
    params = {"first": first_ns, "last": last_ns, "width": max(1, (last_ns - first_ns) // _SLICES)}
    runs: dict[tuple[str, str | None], list[Mapping[str, Any]]] = defaultdict(list)
    versions: dict[str, set[Version]] = defaultdict(set)
    for op in seen.operations:
        if op.service and (op.version, op.revision) != (None, None):
            versions[op.service].add((op.version, op.revision))
    for service in sorted(name for name, known in versions.items() if len(known) > 1):
        runs[service, None] = _versions(seen, service, versions[service], **params)
    for row in store.sql(_FLAGS, params).rows() if seen.flags else ():
        runs[row["service"], row["flag"]].append(row)
    found = [s for (service, flag), rows in runs.items() if service and rows for s in _shifts(service, flag, rows)]
    return sorted(found, key=lambda s: (s.first_ns, s.service, s.flag or "", str(s.after)))


def _versions(
    seen: Facts, service: str, versions: Iterable[Version], *, first: int, last: int, width: int
) -> list[Mapping[str, Any]]:
    """When a service of several versions showed which, by slice of time."""
    import numpy as np

    known = sorted(versions, key=lambda each: (each[0] or "", each[1] or ""))
    place = {version: n for n, version in enumerate(known)}
    of = np.array([place.get((op.version, op.revision), -1) if op.service == service else -1 for op in seen.operations])
    told: dict[tuple[int, int], tuple[int, int, int]] = {}
    for op, begun in seen.starts(of >= 0):
        start_ns = begun[slice(*begun.searchsorted([NEVER, last], side="right"))]
        slices = (start_ns - first) // width
        bounds = np.flatnonzero(np.diff(slices)) + 1
        for low, high in zip([0, *bounds.tolist()], [*bounds.tolist(), len(slices)], strict=True):
            if high > low:
                key = int(slices[low]), int(of[op])
                begin, end, many = told.get(key, (last, first, 0))
                told[key] = min(begin, int(start_ns[low])), max(end, int(start_ns[high - 1])), many + high - low
    rows = [
        {"slice": at, "value": known[n][0], "revision": known[n][1], "first_ns": begin, "last_ns": end, "n": many}
        for (at, n), (begin, end, many) in sorted(told.items(), key=lambda one: (one[0][1], one[0][0]))
    ]
    return sorted(rows, key=lambda row: (row["slice"], row["first_ns"]))


def _shifts(service: str, flag: str | None, rows: Sequence[Mapping[str, Any]]) -> Iterable[Shift]:
    """Walk a service's slices of time: a version that was not there in the last few begins."""
    last_slice: dict[Version, int] = {}
    spans: dict[Version, int] = {}
    began = min(row["slice"] for row in rows)
    for row in rows:
        version = (row["value"], row["revision"])
        gone = row["slice"] - last_slice.get(version, -(10**9)) > _ABSENT
        others = {v: n for v, n in last_slice.items() if v != version}
        # What is seen from the start on began before, nobody knows when.
        if gone and others and row["slice"] - began > _ABSENT:
            before = max(others, key=lambda v: (others[v], spans[v], str(v)))
            kind = "flag" if flag else ("rollback" if version in last_slice else "deploy")
            until = _until(rows, before, row["slice"], row["first_ns"])
            yield Shift(kind, service, flag, row["first_ns"], until, before, version)
        last_slice[version], spans[version] = row["slice"], row["n"]


def _until(rows: Iterable[Mapping[str, Any]], version: Version, start: int, until: int) -> int:
    """When `version` was last seen without a pause, from slice `start` on."""
    for row in rows:
        if row["slice"] >= start and (row["value"], row["revision"]) == version:
            if row["slice"] - start > _ABSENT:
                break
            start, until = row["slice"], max(until, row["last_ns"])
    return until


def linked(
    store: Store,
    seen: Facts,
    found: Sequence[Shift],
    requests: Requests,
    rise: Onset | None,
    *,
    service: str,
    clock: Clock = RIGHT,
) -> Change | None:
    """The change that a suspect follows, the clearest first; None when there is no such one."""
    if rise is None:
        return None
    told = []
    for shift in found:
        own = shift.service == service
        inside = shift.first_ns <= rise.high_ns and shift.until_ns >= rise.low_ns and (own or shift.flag is None)
        if not (inside or (own and _grows_from(shift, requests))):
            continue
        counts = _carried(store, seen, shift, requests, own=own)
        if (p := _carries(*counts)) is not None:
            change = shift.record(_evidence(shift, counts, rise.corrected(clock)), p, clock)
            told.append((not own, p, -shift.first_ns, change))
    return min(told, key=lambda t: t[:3])[3] if told else None


def _grows_from(shift: Shift, requests: Requests) -> bool:
    """Whether failures begin with the change and grow from it on, so that no moment of their own is proved."""
    return grows(requests.failing[requests.start_ns >= shift.first_ns])


Counts = tuple[int, int, int, int]
"""Failing and all requests of the old, then of the new version or variant."""


def _carried(store: Store, seen: Facts, shift: Shift, requests: Requests, *, own: bool) -> Counts:
    import numpy as np

    wanted = (shift.before, shift.after)
    if own and shift.flag is None:
        old, new = (np.array([version == each for version in requests.versions], dtype=bool)[requests.version]
                    for each in wanted)  # fmt: skip
    else:
        passed = _flagged(store, shift) if shift.flag else _passed(seen, shift)
        old, new = (among(requests.tid, distinct(passed.get(each, np.zeros(0, dtype=np.uint64)))) for each in wanted)
    failing = requests.failing
    return int((old & failing).sum()), int(old.sum()), int((new & failing).sum()), int(new.sum())


def _flagged(store: Store, shift: Shift) -> Mapping[Version | None, Any]:
    """Hashes of the traces that saw each variant of a flag."""
    import numpy as np

    found: dict[Version | None, set[int]] = defaultdict(set)
    for row in store.sql(_SEEN_FLAGS, {"service": shift.service, "flag": shift.flag}).rows():
        found[row["value"], row["revision"]].add(row["tid"])
    return {version: np.array(list(traces), dtype=np.uint64) for version, traces in found.items()}


def _passed(seen: Facts, shift: Shift) -> Mapping[Version | None, Any]:
    """Hashes of the traces that pass through the old and the new version of another service."""

    def through(version: Version | None) -> Any:
        told = seen.among(lambda op: op.service == shift.service and (op.version, op.revision) == version)
        return seen.of(told).tid

    return {version: through(version) for version in (shift.before, shift.after)}


def _carries(old_bad: int, old: int, new_bad: int, new: int) -> float | None:
    """The chance of so uneven a split, when the new one carries the errors and the old one does not."""
    if not old or not new or not new_bad or old_bad / old > _LEAK * new_bad / new:
        return None
    p = float(chances.drawn(new_bad, old_bad + new_bad, taken=new, among=old + new))
    return p if p <= ALPHA else None


def _evidence(shift: Shift, counts: Counts, rise: Onset) -> tuple[str, ...]:
    old_bad, old, new_bad, new = counts
    return (
        f"{_label(shift.after)}: {new_bad:,} of {new:,} requests fail",
        f"{_label(shift.before) if shift.before else 'before'}: {old_bad:,} of {old:,}",
        f"the rate rose between {moment(rise.low_ns):%H:%M:%S} and {moment(rise.high_ns):%H:%M:%S}, "
        f"from {rise.before:.2%} to {rise.after:.2%}",
    )


def told_by_user(found: Sequence[Change], rise: Onset | None, *, service: str) -> Change | None:
    """A change from `changes.jsonl` that falls into the rise; nothing says which requests saw it, and it says so."""
    if rise is None:
        return None
    low, high = moment(rise.low_ns), moment(rise.high_ns)
    inside = [c for c in found if c.service in (service, "*", "") and low <= c.at <= high]
    if len(inside) != 1:
        return None
    return replace(
        inside[0], evidence=(*inside[0].evidence, "by time alone: no request says whether it saw this change")
    )


def load(path: str | Path) -> tuple[Change, ...]:
    """The changes of a `changes.jsonl`: objects with `kind`, `service`, `at` (RFC 3339), `after`, optional `before`.

    Raises `TelemetryError` that names the line.
    """
    told = []
    try:
        lines = reading.text(path, _LONGEST).splitlines()
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        raise errors.TelemetryError(f"{path} cannot be read: {reason}", hint="one JSON object a line") from exc
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
            at = times.moment(str(entry["at"]))
            rest: dict[str, Any] = {key: entry.get(key) for key in ("before", "before_revision", "after_revision")}
            if at is None:
                raise ValueError("`at` is no time")
            told.append(Change(kind=str(entry["kind"]), service=str(entry.get("service", "*")), at=at,
                               after=str(entry["after"]), **rest))  # fmt: skip
        except (ValueError, errors.UsageError) as exc:
            raise errors.TelemetryError(
                f"{path}, line {number} is no change: {exc.args[0]}",
                hint='{"kind": "config", "service": "…", "at": "…Z", "after": "…"}',
            ) from exc
    return tuple(told)


def _entry(line: str) -> dict[str, Any]:
    entry = json.loads(line)
    if not isinstance(entry, dict):
        raise ValueError(f"it is {json.dumps(entry)[:40]}, no object")
    if missing := next((key for key in ("kind", "at", "after") if not entry.get(key)), None):
        raise ValueError(f"`{missing}` is missing")
    return entry


def _label(version: Version) -> str:
    value, revision = version
    return value or (revision or "")[:12]
