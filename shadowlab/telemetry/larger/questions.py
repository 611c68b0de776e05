"""What triage asks of an archive, each written once. All of them are counted where the data is.

Every function gives an ibis expression over `tables`; `reads` says which of them it needs. Percentiles are
approximate (t-digest or the engine's sketch): engines agree on counts exactly and on percentiles within about 1 %.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.larger.tables import table

if TYPE_CHECKING:
    import ibis

MINUTE_NS: Final = 60_000_000_000
WINDOWS_S: Final = {"5m": 300, "30m": 1800, "1h": 3600, "6h": 21_600}


@dataclass(frozen=True, slots=True)
class Question:
    """An expression, and the tables that it reads."""

    text: Callable[[], ibis.Table]
    reads: tuple[str, ...]
    says: str
    """What it answers, for `--help`."""


def signatures() -> ibis.Table:
    """Errors by service, operation and type, the most frequent first."""
    from ibis import _, desc

    return (
        table("errors")
        .group_by("service", "operation", "exception_type")
        .agg(errors=_.count(), traces=_.trace_id.nunique(), first_ns=_.at_ns.min(), last_ns=_.at_ns.max())
        .order_by(desc("errors"), "service", "operation", "exception_type")
    )


def rates() -> ibis.Table:
    """Requests, failures and percentiles by service, operation and minute; of server and consumer spans."""
    from ibis import _

    served = table("spans").filter(_.kind.isin(["server", "consumer"]))
    minute = (_.start_ns - _.start_ns % MINUTE_NS).name("minute_ns")
    return (
        served.mutate(minute)
        .group_by("service", operation=_.name, minute_ns=_.minute_ns)
        .agg(
            requests=_.count(),
            failed=(_.status == "error").ifelse(1, 0).sum(),
            p50_ns=_.duration_ns.approx_quantile(0.5),
            p95_ns=_.duration_ns.approx_quantile(0.95),
        )
        .order_by("service", "operation", "minute_ns")
    )


def burn(end_ns: int, windows_s: Mapping[str, int] = WINDOWS_S) -> ibis.Table:
    """Requests and failures of each service in windows that end at `end_ns`: what a burn rate is made of."""
    from ibis import _

    served = table("spans").filter(_.kind.isin(["server", "consumer"]))
    told = {}
    for name, seconds in windows_s.items():
        since = _.start_ns >= end_ns - seconds * 1_000_000_000
        told[f"requests_{name}"] = since.ifelse(1, 0).sum()
        told[f"failed_{name}"] = (since & (_.status == "error")).ifelse(1, 0).sum()
    return served.group_by("service").agg(**told).order_by("service")


def contrast(service: str, operation: str | None = None) -> ibis.Table:
    """Each attribute's value among a service's failing and passing spans: the counts of `suspect.contrast`."""
    from ibis import _, desc

    of = table("span_attributes").filter(_.service == service)
    if operation is not None:
        of = of.filter(_.name == operation)
    return (
        of.group_by("attribute", "value")
        .agg(
            failing=(_.status == "error").ifelse(1, 0).sum(),
            passing=(_.status == "error").ifelse(0, 1).sum(),
        )
        .filter(_.failing > 0)
        .order_by(desc("failing"), "passing", "attribute", "value")
    )


def edges() -> ibis.Table:
    """The service map: calls and failures from one service to another."""
    from ibis import _

    above, below = table("spans"), table("spans").view()
    joined = above.join(
        below,
        (above.trace_id == below.trace_id) & (above.span_id == below.parent_span_id) & (above.service != below.service),
    ).select(caller=above.service, callee=below.service, status=below.status, duration_ns=below.duration_ns)
    return (
        joined.group_by("caller", "callee")
        .agg(
            calls=_.count(),
            errors=(_.status == "error").ifelse(1, 0).sum(),
            p95_ns=_.duration_ns.approx_quantile(0.95),
        )
        .order_by("caller", "callee")
    )


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


def named(end_ns: int, services: Sequence[str]) -> dict[str, Question]:
    """The questions that a person asks by name, about a scope that ends at `end_ns`."""
    service = services[0] if services else ""
    return {
        "signatures": Question(signatures, ("errors",), "errors by service, operation and type"),
        "rates": Question(rates, ("spans",), "requests, failures, p50 and p95 by operation and minute"),
        "burn": Question(lambda: burn(end_ns), ("spans",), "requests and failures in 5 m, 30 m, 1 h and 6 h"),
        "contrast": Question(
            lambda: contrast(service), ("span_attributes",), "attributes of failing and passing spans"
        ),
        "edges": Question(edges, ("spans",), "the service map"),
        "trace": Question(trace, ("spans",), "one trace whole; name it with --trace"),
    }
