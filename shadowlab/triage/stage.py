"""From telemetry to a triage: objectives, errors, suspects and services, in an order that keeps two cores busy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from shadowlab import errors
from shadowlab.records import Change, Objective, Suspect, Triage
from shadowlab.telemetry.questions.requests import WEIGHT
from shadowlab.triage import (
    burn,
    changes,
    clocks,
    configured,
    fact_cache,
    fact_files,
    fingerprint,
    graph,
    logs,
    remote,
    services,
    slo,
    slow,
    suspects,
)
from shadowlab.triage.facts import Facts
from shadowlab.triage.fingerprint import Corrections
from shadowlab.triage.look import Look, broken
from shadowlab.triage.sampled import sample
from shadowlab.triage.scene import scene
from shadowlab.triage.tables import Store, workshop
from shadowlab.triage.timeline import timeline

if TYPE_CHECKING:
    from shadowlab.telemetry.larger import Engine


def triage(
    store: Store,
    *,
    objectives: Sequence[slo.ObjectiveSpec] | None = None,
    at: datetime | None = None,
    window: timedelta = timedelta(minutes=30),
    top: int = 5,
    recorded: Mapping[str, tuple[str, ...]] | None = None,
    passed: Callable[[], Mapping[str, tuple[str, ...]]] = dict,
    source_frames: Sequence[str] = (),
    trigger: slo.Trigger | None = None,
    told_changes: Sequence[Change] = (),
    corrections: Corrections | None = None,
    known: Any = None,
    archive: Engine | None = None,
) -> tuple[Triage, Any]:
    """What burns and why, over the `window` that ends `at` (None: the newest timestamp), with at most `top` suspects.

    `recorded` maps trace ids to failing recordings, `passed` gives those that passed and is asked when latency burns;
    `source_frames` are path prefixes of the service's own production frames; `trigger` takes the place of every
    objective's own; `told_changes` come from `changes.load`, `corrections` from people. Also gives a table (`error_id`,
    `fingerprint`, and what they were read from) of every error of the case, whatever the window, for
    `telemetry.set_fingerprints`; what `telemetry.known_fingerprints` has of it is not read again: `known` is that
    table, or gives the rows of some errors when called with an array of their ids.
    `archive` is the larger store that the case was pulled from; objectives are measured there.

    Raises `TelemetryError` when the case is empty, `ObjectiveError` when an objective matches nothing.
    """
    seen = fact_cache.of(store)
    data = burn.extent(seen)
    if data is None:
        raise errors.TelemetryError("the case holds no telemetry", hint="`shadowlab ingest CASE PATH...` takes it in")
    at_ns = data.last_ns if at is None else _ns(at)
    low_ns = burn.since(at_ns, window)
    specs = [_triggered(spec, trigger) for spec in _specs(seen, objectives)]
    weight = WEIGHT if seen.sampled else "1::DOUBLE"
    there = remote.measured(archive, specs, at_ns=at_ns, low_ns=low_ns, data=data)
    with ThreadPoolExecutor(max_workers=2) as pool, workshop() as con:  # DuckDB works outside the interpreter's lock
        # (1): what the telemetry alone answers starts at once
        measuring = pool.submit(burn.measure, store, seen, specs, at_ns=at_ns, low_ns=low_ns, data=there.data,
                                weight=weight, there=there.tallies)  # fmt: skip
        sampling = pool.submit(sample, seen, low_ns=low_ns, high_ns=at_ns)
        calling = pool.submit(graph.edges, seen, low_ns=low_ns, high_ns=at_ns)
        logging = pool.submit(logs.groups, store, seen, first_ns=2 * low_ns - at_ns, low_ns=low_ns, high_ns=at_ns)
        shifting = pool.submit(changes.shifts, store, seen, first_ns=data.first_ns, last_ns=at_ns)
        # (2): errors and the requests that they broke, meanwhile
        bad = broken(store, seen, specs, low_ns=low_ns, high_ns=at_ns, weight=weight)
        loud = [trace for trace in services.loud(store, seen, low_ns=low_ns, high_ns=at_ns) if trace is not None]
        around = scene(pool, seen, bad, loud, low_ns=low_ns, high_ns=at_ns, prefixes=source_frames,
                       corrections=corrections, known=known)  # fmt: skip
        measured, tallies = measuring.result()
        sampled, shifts = sampling.result(), shifting.result()
        # (3): what is to blame needs both
        off = clocks.clocks(sampled)
        told = (*told_changes, *configured.configured(store, seen, off, first_ns=data.first_ns, last_ns=at_ns))
        look = Look(seen, low_ns, at_ns, recorded or {}, tuple(source_frames), shifts, told, off)
        measured = slow.slowest(con, look, specs, measured, bad, passed)
        blaming = pool.submit(services.blame, store, around, sampled, look, specs, tallies)
        found = suspects.suspects(con, store, around, look, top=top, each=pool.map)
        blamed, edges = blaming.result(), calling.result()
        keeping = pool.submit(fact_files.keep, seen)
        spec, shown = _worst(specs, measured), {suspect.fingerprint for suspect in found}
        start = _start(data.first_ns, low_ns, found)
        slices = timeline(around, store, seen, spec, shown, low_ns=start, high_ns=at_ns, weight=weight) if spec else ()
        table = fingerprint.kept(around.errors, around.signed, source_frames)
        keeping.result()
    record = Triage(
        at=burn.moment(at_ns),
        window=window,
        objectives=measured,
        incident=any(objective.triggered for objective in measured),
        suspects=found,
        services=blamed,
        changes=_changes(look, found),
        timeline=slices,
        edges=edges,
        blamed_path=graph.path(edges, blamed),
        logs=logging.result(),
        notes=(
            *([] if objectives else _default_note(measured)),
            *slo.notes(specs),
            *burn.notes(specs, measured, at_ns=at_ns, data=there.data),
            *there.notes,
            *([] if at else burn.skew(seen)),
            *clocks.notes(look.clocks),
            *(["spans are sampled: counts are estimates, each span counts for those it stands for"] * seen.sampled),
        ),
    )
    return record, table


def _specs(seen: Facts, objectives: Sequence[slo.ObjectiveSpec] | None) -> list[slo.ObjectiveSpec]:
    return list(objectives) if objectives else [slo.default(name) for name in burn.services_with_requests(seen)]


def _triggered(spec: slo.ObjectiveSpec, trigger: slo.Trigger | None) -> slo.ObjectiveSpec:
    return replace(spec, trigger=trigger) if trigger else spec


def _worst(specs: Sequence[slo.ObjectiveSpec], measured: Sequence[Objective]) -> slo.ObjectiveSpec | None:
    """The objective that burns most, for the timeline."""
    ranked = sorted(zip(measured, specs, strict=True), key=lambda pair: (-pair[0].budget_spent, pair[0].name))
    return ranked[0][1] if ranked else None


def _start(first_ns: int, low_ns: int, found: Sequence[Suspect]) -> int:
    """Where the timeline starts: at the window, or before the change that the first suspect follows, within a day."""
    change = next((s.change for s in found if s.change), None)
    earlier = _ns(change.at - timedelta(minutes=10)) if change else low_ns
    return max(first_ns - 1, min(low_ns, max(earlier, burn.since(low_ns, burn.DAY))))


def _changes(look: Look, found: Sequence[Suspect]) -> tuple[Change, ...]:
    """Every change once, oldest first; one that a suspect follows keeps the evidence."""
    linked = {(c.kind, c.service, c.at, c.after): c for s in found if (c := s.change)}
    seen = [shift.record(clock=look.clocks.get(shift.service, clocks.RIGHT)) for shift in look.shifts]
    seen += [c for c in look.told if c.at <= burn.moment(look.high_ns)]
    every = {(c.kind, c.service, c.at, c.after): c for c in seen} | linked
    return tuple(sorted(every.values(), key=lambda c: (c.at, c.kind, c.service, c.after)))


def _default_note(measured: Sequence[Objective]) -> list[str]:
    return [f"no objective was given: each of {len(measured)} services is held to a default, 99.9 % of its requests "
            "over 30 days; give your own with --slo FILE"] if measured else []  # fmt: skip


def _ns(at: datetime) -> int:
    past = at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (past.days * 86_400 + past.seconds) * 10**9 + past.microseconds * 1_000
