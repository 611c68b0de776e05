"""The questions. All of them are counted where the data is.

Every function gives an ibis expression over `tables`. A window is told by two stamps: after `since_ns`, and not after
`until_ns`. Requests and calls count when they end. Percentiles are approximate (t-digest or the engine's sketch):
engines agree on counts exactly and on percentiles within about 1 %.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.questions.tables import table

if TYPE_CHECKING:
    import ibis

SECOND_NS: Final = 1_000_000_000
MINUTE_NS: Final = 60 * SECOND_NS
LONGEST_NS: Final = 3_600 * SECOND_NS
"""No request of a window began longer before it than this: what is older is not read."""
WINDOWS_S: Final = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21_600}


@dataclass(frozen=True, slots=True)
class Question:
    """An expression, and what it reads."""

    text: Callable[[], ibis.Table]
    reads: tuple[str, ...]
    """Tables."""
    says: str
    """What it answers, for `--help`."""
    back_ns: int = 0
    """How far before the window its rows may begin."""


def signatures() -> ibis.Table:
    """Errors by service, operation and type, the most frequent first."""
    from ibis import _, desc

    return (
        table("errors")
        .group_by("service", "operation", "exception_type")
        .agg(errors=_.count(), traces=_.trace_id.nunique(), first_ns=_.at_ns.min(), last_ns=_.at_ns.max())
        .order_by(desc("errors"), "service", "operation", "exception_type")
    )


def rates(since_ns: int, until_ns: int) -> ibis.Table:
    """Requests, failures and percentiles by service, operation and minute."""
    from ibis import _

    return (
        _ended(since_ns, until_ns)
        .mutate(minute_ns=_.at_ns - _.at_ns % MINUTE_NS)
        .group_by("service", "operation", "minute_ns")
        .agg(
            requests=_whole(_.weight.sum()),
            failed=_whole(_.weight.sum(where=_.bad).fill_null(0.0)),
            p50_ns=(_.at_ns - _.start_ns).approx_quantile(0.5),
            p95_ns=(_.at_ns - _.start_ns).approx_quantile(0.95),
        )
        .order_by("service", "operation", "minute_ns")
    )


def slots(end_ns: int, step_ns: int, since_ns: int, until_ns: int, *by: str) -> ibis.Table:
    """Bad and all requests by age in whole steps before `end_ns`: what rates, burn windows and series are read from."""
    from ibis import _

    age = end_ns - _.at_ns
    return (
        _ended(since_ns, until_ns)
        .select(*by, "bad", "weight", age_ns=age - age % step_ns)
        .group_by(*by, "age_ns")
        .agg(bad=_.weight.sum(where=_.bad).fill_null(0.0), total=_.weight.sum())
    )


def slots_of_services(end_ns: int, step_ns: int, since_ns: int, until_ns: int) -> ibis.Table:
    """The same for each service."""
    return slots(end_ns, step_ns, since_ns, until_ns, "service")


def burn(end_ns: int, windows_s: Mapping[str, int] = WINDOWS_S) -> ibis.Table:
    """Requests and failures of each service in windows that end at `end_ns`: what a burn rate is made of."""
    from ibis import _

    step = math.gcd(*windows_s.values()) * SECOND_NS
    summed = slots_of_services(end_ns, step, end_ns - max(windows_s.values()) * SECOND_NS, end_ns)
    told = {}
    for name, seconds in windows_s.items():
        inside = _.age_ns < seconds * SECOND_NS
        told[f"requests_{name}"] = _whole(_.total.sum(where=inside).fill_null(0.0))
        told[f"failed_{name}"] = _whole(_.bad.sum(where=inside).fill_null(0.0))
    return summed.group_by("service").agg(**told).order_by("service")


def contrast(service: str, operation: str | None = None) -> ibis.Table:
    """Each attribute's value among a service's failing and passing spans, where any fails."""
    from ibis import _, desc

    of = table("span_attributes").filter(_.service == service)
    if operation is not None:
        of = of.filter(_.name == operation)
    told = of.select("attribute", "value", failing=_.status == "error", weight=1.0)
    return (
        apart(told)
        .filter(_.failing > 0)
        .select("attribute", "value", "failing", "passing")
        .order_by(desc("failing"), "passing", "attribute", "value")
    )


def apart(traits: ibis.Table | None = None) -> ibis.Table:
    """Failing and passing bearers of each attribute's value, counted and weighted: what a contrast is computed from."""
    from ibis import _

    of = table("traits") if traits is None else traits
    return of.group_by("attribute", "value").agg(
        failing=_.failing.ifelse(1, 0).sum(),
        passing=_.failing.ifelse(0, 1).sum(),
        failing_weight=_.weight.sum(where=_.failing).fill_null(0.0),
        passing_weight=_.weight.sum(where=~_.failing).fill_null(0.0),
    )


def edges(since_ns: int, until_ns: int) -> ibis.Table:
    """The service map: calls and failures from one service to another, most calls first.

    A span has one caller, as `docs/schema.md` says of the view: where several spans have its parent's id, its own
    service, or one that was called itself, or the first. A server's span without a parent that shares the id of a
    client's (Zipkin) is called by that.
    """
    from ibis import _, coalesce, desc

    ended = coalesce(_.end_ns, _.start_ns)
    hops = table("hops").filter(ended > since_ns, _.start_ns <= until_ns, _.service.notnull())
    below = hops.mutate(above=coalesce(_.parent_span_id, _.span_id)).filter(
        _.parent_span_id.notnull() | _.kind.isin(("server", "consumer"))
    )
    above = (
        hops.group_by("trace_id", "span_id")
        .agg(
            called=_.service.min(where=_.kind.isin(("server", "consumer"))),
            calling=_.service.min(where=_.kind.isin(("client", "producer"))),
            first=_.service.min(),
            last=_.service.max(),
        )
        .view()
    )
    called, calling = (
        told.nullif("") for told in (above.called, above.calling)
    )  # ClickHouse has "" for the least of none
    joined = below.join(above, (below.trace_id == above.trace_id) & (below.above == above.span_id)).select(
        caller=below.parent_span_id.isnull().ifelse(calling, coalesce(called, above.first)),
        callee=below.service,
        own=below.parent_span_id.notnull() & below.service.isin((above.first, above.last)),
        failed=below.status == "error",
        weight=below.weight,
        duration_ns=below.end_ns - below.start_ns,
    )
    return (
        joined.filter(~_.own, _.caller != _.callee)
        .group_by("caller", "callee")
        .agg(
            calls=_whole(_.weight.sum()),
            errors=_whole(_.weight.sum(where=_.failed).fill_null(0.0)),
            p95_ns=_.duration_ns.approx_quantile(0.95),
        )
        .order_by(desc("calls"), "caller", "callee")
    )


def failing_traces() -> ibis.Table:
    """The traces that an error lies in, whole, hop by hop."""
    failing = table("hops").semi_join(table("errors"), "trace_id")
    return failing.select("trace_id", "span_id", "parent_span_id", "service", "name", "kind", "end_ns")


def trace() -> ibis.Table:
    """Every span of the scope's trace, in order of time."""
    return table("spans").order_by("start_ns", "span_id")


def extent() -> ibis.Table:
    """How many spans, and from when to when."""
    from ibis import _

    return table("spans").agg(spans=_.count(), start_ns=_.start_ns.min(), end_ns=_.start_ns.max())


def everything(name: str) -> ibis.Table:
    """A table of the scope, whole: what a slice pulls."""
    return table(name)


def named(start_ns: int, end_ns: int, services: Sequence[str]) -> dict[str, Question]:
    """The questions that a person asks by name, about a window from `start_ns` until before `end_ns`."""
    since_ns, until_ns = start_ns - 1, end_ns - 1
    service = services[0] if services else ""
    longest = max(WINDOWS_S.values()) * SECOND_NS
    return {
        "signatures": Question(signatures, ("errors",), "errors by service, operation and type"),
        "rates": Question(
            lambda: rates(since_ns, until_ns),
            ("requests",),
            "requests, failures, p50 and p95 by operation and minute",
            LONGEST_NS,
        ),
        "burn": Question(
            lambda: burn(until_ns),
            ("requests",),
            "requests and failures in 5 m, 30 m, 1 h and 6 h",
            max(0, longest - (end_ns - start_ns)) + LONGEST_NS,
        ),
        "contrast": Question(
            lambda: contrast(service), ("span_attributes",), "attributes of failing and passing spans"
        ),
        "edges": Question(lambda: edges(since_ns, until_ns), ("hops",), "the service map", LONGEST_NS),
        "trace": Question(trace, ("spans",), "one trace whole; name it with --trace"),
    }


def _ended(since_ns: int, until_ns: int) -> ibis.Table:
    from ibis import _

    return table("requests").filter(_.at_ns > since_ns, _.at_ns <= until_ns)


def _whole(weight: ibis.Value) -> ibis.Value:
    return weight.round().cast("int64")
