"""How fast objectives burn: rates per window, multi-window alerts, and the trigger that raises an incident.

A burn rate is the bad share over the allowed share: 1 spends the budget exactly by the end of the period. An alert
needs its long *and* its short window above its factor (The Site Reliability Workbook, chapter 5, table 5-8; 3x as in
Sloth). Requests count when they end. Sampled spans count for the requests that they stand for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from shadowlab import errors, times
from shadowlab.records import BurnWindow, Objective
from shadowlab.telemetry import questions
from shadowlab.telemetry.questions.requests import FAILED, WEIGHT
from shadowlab.triage.facts import Facts
from shadowlab.triage.selector import Condition
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.tables import Store
from shadowlab.triage.tallies import Asked, Tally, of_facts, tallies

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
WINDOWS = (5 * MINUTE, 30 * MINUTE, HOUR, 6 * HOUR)
LONGER = (2 * HOUR, DAY, 3 * DAY)
"""Measured too where the data reaches back further than six hours."""


SERIES = 24
"""Equal slices of every window whose burn rates show how it came about."""
USUAL = 6 * HOUR
"""How far before the window a rate counts as the usual one."""

LONGEST = questions.LONGEST_NS


@dataclass(frozen=True, slots=True)
class Alert:
    """Both windows burn at least `factor`."""

    long: timedelta
    short: timedelta
    factor: float
    severity: str


ALERTS = (
    Alert(HOUR, 5 * MINUTE, 14.4, "page"),
    Alert(6 * HOUR, 30 * MINUTE, 6.0, "page"),
    Alert(DAY, 2 * HOUR, 3.0, "ticket"),
    Alert(3 * DAY, 6 * HOUR, 1.0, "ticket"),
)


@dataclass(frozen=True, slots=True)
class Extent:
    """From when to when the case has telemetry, in nanoseconds."""

    first_ns: int
    last_ns: int


def extent(seen: Facts) -> Extent | None:
    """The oldest start and the newest timestamp of spans, logs and metric points; None for an empty case."""
    first = [at for part in seen.parts if (at := part.first_ns) is not None]
    last = [at for part in seen.parts if (at := part.last_ns) is not None]
    return Extent(min(first, default=max(last)), max(last)) if last else None


def requests(spec: ObjectiveSpec, weight: str = WEIGHT) -> Condition:
    """SQL for the requests that an objective counts (`trace_id, span_id, at_ns, bad, weight, …`), and parameters."""
    where, values = spec.total.condition(entry=True)
    bad, more = _bad(spec)
    query = f"""SELECT trace_id, span_id, coalesce(end_ns, start_ns) AS at_ns, start_ns, name, {bad} AS bad,
                       {weight} AS weight, service, service_version AS version
                FROM spans WHERE {where}"""
    return query, [*more, *values]


def _bad(spec: ObjectiveSpec) -> Condition:
    if spec.bad is not None:
        return spec.bad.condition(entry=False)
    if spec.good is not None:
        good, values = spec.good.condition(entry=False)
        return f"NOT ({good})", values
    return FAILED, []


def measure(
    store: Store,
    seen: Facts,
    specs: Sequence[ObjectiveSpec],
    *,
    at_ns: int,
    low_ns: int,
    data: Extent,
    weight: str = WEIGHT,
    there: Mapping[int, Tally] = MappingProxyType({}),
) -> tuple[tuple[Objective, ...], tuple[Tally, ...]]:
    """How objectives did over every window that ends at `at_ns`, and tallies of their requests `USUAL` before `low_ns`.

    `there` are tallies from elsewhere, which take the place of the store's, by the place of their objective. Raises
    `ObjectiveError` when no span of the case is counted by one of them.
    """
    known = dict(there) or _of_services(seen, specs, at_ns=at_ns, low_ns=low_ns, data=data)
    around = _around(at_ns, low_ns)
    left = [n for n in range(len(specs)) if n not in known]
    asked = [_asked(specs[n], at_ns, _lengths(specs[n], at_ns - data.first_ns), weight) for n in left]
    # One scan serves both where the objective counts requests, not slices.
    both = [(q, end, own if specs[n].slices else (*own, *around)) for n, (q, end, own) in zip(left, asked, strict=True)]
    sliced = [n for n in left if specs[n].slices]
    found = tallies(store, [*both, *((requests(specs[n], weight), at_ns, around) for n in sliced)])
    known |= dict(zip(left, found, strict=False))
    plain = known | dict(zip(sliced, found[len(left) :], strict=True))
    objectives = tuple(_objective(store, spec, known[n], at_ns, data) for n, spec in enumerate(specs))
    return objectives, tuple(plain[n] for n in range(len(specs)))


def _of_services(
    seen: Facts, specs: Sequence[ObjectiveSpec], *, at_ns: int, low_ns: int, data: Extent
) -> dict[int, Tally]:
    """Tallies of objectives that count all requests of a service."""
    whole = {n: spec for n, spec in enumerate(specs) if spec.whole}
    if not whole:
        return {}
    apart = [age for spec in whole.values() for age in ages(spec, at_ns=at_ns, low_ns=low_ns, first_ns=data.first_ns)]
    found = of_facts(seen, {spec.service for spec in whole.values()}, at_ns, apart)
    return {n: found[spec.service] for n, spec in whole.items()}


def ages(spec: ObjectiveSpec, *, at_ns: int, low_ns: int, first_ns: int) -> tuple[int, ...]:
    """The ages, in nanoseconds, that the tally of an objective's requests must tell apart; data begin at `first_ns`."""
    return (*_ages(_lengths(spec, at_ns - first_ns)), *_around(at_ns, low_ns))


def _around(at_ns: int, low_ns: int) -> tuple[int, int]:
    return at_ns - low_ns, at_ns - since(low_ns, USUAL)


def _ages(lengths: Sequence[timedelta]) -> list[int]:
    return [age for n in lengths for age in (_ns(n), _ns(n) // SERIES)]


def _asked(spec: ObjectiveSpec, at_ns: int, lengths: Sequence[timedelta], weight: str) -> Asked:
    """What an objective's windows and their series are read from: its requests, or its slices."""
    query, values = requests(spec, weight)
    if spec.slices:
        width = _ns(spec.slices.window)
        query = f"""SELECT (at_ns // {width} + 1) * {width} - 1 AS at_ns, 1::DOUBLE AS weight,
                           1 - sum(weight) FILTER (bad) / sum(weight) < {float(spec.slices.target)} AS bad
                    FROM ({query}) GROUP BY at_ns // {width}"""
    return (query, values), _end(spec, at_ns), _ages(lengths)


def _end(spec: ObjectiveSpec, at_ns: int) -> int:
    """A slice is judged when it is over; the one that `at` lies in counts with what it holds."""
    width = _ns(spec.slices.window) if spec.slices else 1
    return (at_ns // width + 1) * width - 1 if spec.slices else at_ns


def _objective(store: Store, spec: ObjectiveSpec, tally: Tally, at_ns: int, data: Extent) -> Objective:
    if not len(tally.slots) and not _counts_any(store, spec):
        raise _nothing(store, spec)
    covered = timedelta(microseconds=max(0, at_ns - data.first_ns) / 1_000)
    windows = {
        length: _window(spec, tally, length, min(length, covered) if covered else length)
        for length in _lengths(spec, at_ns - data.first_ns)
    }
    alerts = {alert.long: alert.severity for alert in ALERTS if _holds(alert, windows)}
    spent = windows[spec.trigger.window].budget_spent
    triggered = _reaches(spent, spec.trigger.budget)
    if triggered:
        alerts.setdefault(spec.trigger.window, "page")
    told = {times.spoken(n): _alerted(windows[n], alerts.get(n)) for n in sorted(windows)}
    severity = next((word for word in ("page", "ticket") if word in alerts.values()), None)
    return Objective(
        name=spec.name,
        service=spec.service,
        operation=spec.operation,
        indicator=spec.indicator,
        target=spec.target,
        period=spec.period,
        windows=told,
        budget_spent=spent,
        alert=severity,
        source=spec.source,
        triggered=triggered,
        trigger=f"{times.spoken(spec.trigger.window)} spend {spec.trigger.budget:.2%} of the budget",
    )


def _lengths(spec: ObjectiveSpec, covered_ns: int) -> list[timedelta]:
    longer = LONGER if covered_ns > 6 * HOUR.total_seconds() * 1e9 else ()
    return sorted({*WINDOWS, *longer, spec.trigger.window})


def _counts_any(store: Store, spec: ObjectiveSpec) -> bool:
    query, values = requests(spec)
    return bool(store.sql(f"SELECT 1 AS one FROM ({query}) LIMIT 1", values).rows())


def _window(spec: ObjectiveSpec, tally: Tally, length: timedelta, covered: timedelta) -> BurnWindow:
    step = _ns(length) // SERIES
    starts = [tally.end_ns - step * n for n in range(SERIES, 0, -1)]
    rates = [_rate(spec, *tally.between(start, start + step)) for start in starts]
    bad, total = tally.between(since(tally.end_ns, length), tally.end_ns)
    rate = _rate(spec, bad, total)
    spent = (rate or 0.0) * (covered / spec.period)
    series = tuple(None if one is None else round(one, 3) for one in rates)
    return BurnWindow(burn_rate=rate, budget_spent=spent, bad=round(bad), total=round(total), series=series)


def _rate(spec: ObjectiveSpec, bad: float, total: float) -> float | None:
    return bad / total / (1 - spec.target) if total else None


def _alerted(window: BurnWindow, alert: str | None) -> BurnWindow:
    return replace(window, alert=alert)


def _holds(alert: Alert, windows: Mapping[timedelta, BurnWindow]) -> bool:
    pair = [windows[n].burn_rate for n in (alert.long, alert.short) if n in windows]
    return len(pair) == 2 and all(rate is not None and _reaches(rate, alert.factor) for rate in pair)


def _reaches(measured: float, bound: float) -> bool:
    """Whether it is at least so much; the last digits of what was divided are not its own."""
    return measured >= bound or math.isclose(measured, bound)


def _nothing(store: Store, spec: ObjectiveSpec) -> errors.ObjectiveError:
    services = [row["service"] for row in store.sql("SELECT DISTINCT service FROM spans ORDER BY 1 LIMIT 20").rows()]
    known = [row["name"] for row in store.sql("SELECT DISTINCT name FROM spans WHERE service = ? ORDER BY 1 LIMIT 8",
                                               [spec.service]).rows()]  # fmt: skip
    wanted = f"service {spec.service!r}" + (f", operation {spec.operation!r}" if spec.operation else "")
    there = f"its operations are {', '.join(known)}" if known else f"services are {', '.join(map(str, services))}"
    return errors.ObjectiveError(
        f"objective {spec.name!r} of {spec.source} matches no span of the case ({wanted})",
        hint=f"{there if services else 'the case holds no span'}; change the objective, or ingest what it measures",
    )


def notes(specs: Sequence[ObjectiveSpec], objectives: Sequence[Objective], *, at_ns: int, data: Extent) -> list[str]:
    """What a reader of the rates must know."""
    starts = f"the data starts at {moment(data.first_ns):%Y-%m-%dT%H:%M:%SZ}"
    if at_ns < data.first_ns:
        return [f"no window holds any data: {starts}, after the moment that was asked for"]
    told = []
    covered = timedelta(seconds=(at_ns - data.first_ns) // 10**9)
    longer = [times.spoken(n) for n in WINDOWS if n > covered]
    if longer and objectives:
        told.append(
            f"{starts}, {covered} before the windows end: "
            f"windows of {', '.join(longer)} are longer than the data, and their rates are those of what there is"
        )
    for spec, o in zip(specs, objectives, strict=True):
        window = o.windows[times.spoken(30 * MINUTE)]
        if window.total == 0:
            told.append(f"{o.name}: no request in the last 30m")
        elif window.total * (1 - o.target) < 1:
            alone = 1 / (window.total * (1 - o.target))
            told.append(f"{o.name}: {_few(spec, window.total)} alone burns {alone:.1f}x")
    return told


def _few(spec: ObjectiveSpec, counted: int) -> str:
    if spec.slices:
        return f"slices of {times.spoken(spec.slices.window)} are counted, {counted:,} in 30m: a bad one"
    return f"low traffic, {counted:,} requests in 30m: one failure"


def skew(seen: Facts) -> list[str]:
    """A service whose newest span ends well after every other's: its clock may be ahead, and `last` with it."""
    newest: dict[str, int] = {}
    for op, at_ns in seen.newest().items():
        if (service := seen.operations[op].service) is not None:
            newest[service] = max(at_ns, newest.get(service, at_ns))
    (first, last), (_, other), *_ = *sorted(newest.items(), key=lambda told: (-told[1], told[0])), ("", 0), ("", 0)
    if len(newest) < 2 or last - other < _ns(MINUTE):
        return []
    ahead = timedelta(seconds=(last - other) // 10**9)
    return [f"the newest span of {first} ends {ahead} after every other service's: if its clock is ahead, "
            f"look --at {moment(other):%Y-%m-%dT%H:%M:%SZ}"]  # fmt: skip


def moment(ns: int) -> datetime:
    """The aware time of a nanosecond stamp, to the microsecond."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=ns // 1_000)


def _ns(length: timedelta) -> int:
    return (length.days * 86_400 + length.seconds) * 10**9 + length.microseconds * 1_000


def since(at_ns: int, length: timedelta) -> int:
    """The stamp `length` before `at_ns`."""
    return at_ns - _ns(length)


def services_with_requests(seen: Facts) -> list[str]:
    """Services that answer requests, for default objectives."""
    return sorted({service for op in seen.answering() if (service := seen.operations[op].service) is not None})
