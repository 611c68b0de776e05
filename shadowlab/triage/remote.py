"""Objectives measured in the larger store that a case was pulled from.

A slice holds an incident, and a burn rate needs hours of requests: these are counted where they lie, by the same
question that a case is asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shadowlab.telemetry import questions
from shadowlab.triage import burn
from shadowlab.triage.burn import USUAL, Extent, since
from shadowlab.triage.slo import ObjectiveSpec
from shadowlab.triage.tables import Rows
from shadowlab.triage.tallies import Ask, Tally, of_services

if TYPE_CHECKING:
    from shadowlab.telemetry.larger import Engine


@dataclass(frozen=True, slots=True)
class Remote:
    """What the larger store says of objectives."""

    data: Extent
    """From when to when it has telemetry, within the six hours that are looked at."""
    tallies: Mapping[int, Tally] = field(default_factory=dict)
    """Requests of the objectives that it can measure, by their place in the list."""
    notes: tuple[str, ...] = ()


def measured(
    archive: Engine | None, specs: Sequence[ObjectiveSpec], *, at_ns: int, low_ns: int, data: Extent
) -> Remote:
    """What `archive` says of the objectives that count all requests of a service; nothing without an archive.

    Others select by attributes, which every store spells its own way: they are measured over the slice. Raises
    `QueryError`.
    """
    plain = {n: spec for n, spec in enumerate(specs) if spec.whole}
    if archive is None or not plain:
        return Remote(data)
    from shadowlab.telemetry.larger import Scope, answer
    from shadowlab.telemetry.questions import expressions

    services = tuple(sorted({spec.service for spec in plain.values()}))
    start_ns = since(at_ns, USUAL)
    extent = expressions.Question(expressions.extent, ("spans",), "", questions.LONGEST_NS)
    (there,) = answer(archive, extent, Scope(start_ns, at_ns + 1, services)).rows()
    first_ns = min(data.first_ns, max(start_ns, there["start_ns"]) if there["spans"] else data.first_ns)
    ages = [age for spec in plain.values() for age in burn.ages(spec, at_ns=at_ns, low_ns=low_ns, first_ns=first_ns)]
    by_service = of_services(_asking(archive, services), services, at_ns, ages)
    told = f"{len(plain)} of {len(specs)} objectives are measured in {archive.name}, all else in what was pulled"
    return Remote(Extent(first_ns, data.last_ns), {n: by_service[spec.service] for n, spec in plain.items()}, (told,))


def _asking(archive: Engine, services: tuple[str, ...]) -> Ask:
    from shadowlab.telemetry.larger import Scope, answer
    from shadowlab.telemetry.questions import expressions

    def ask(*, end_ns: int, step_ns: int, since_ns: int, until_ns: int) -> Rows:
        counted = expressions.Question(
            lambda: expressions.slots_of_services(end_ns, step_ns, since_ns, until_ns),
            ("requests",),
            "",
            questions.LONGEST_NS,
        )
        return answer(archive, counted, Scope(since_ns + 1, until_ns + 1, services))

    return ask
