"""A gate report: what was seen, what was allowed, and the intervals drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import traitlets

from shadowlab import views
from shadowlab.records import GateReport, Plan, Verdict
from shadowlab.views import Page
from shadowlab.widgets.view import View, script

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation


class Gates(View):
    """The gates of `report`. With `inv` and a pass the button plans the rollout."""

    _esm = script("gates.js")
    verdict = traitlets.Unicode().tag(sync=True)
    statistics = traitlets.Unicode().tag(sync=True)
    """The statistics as static HTML."""
    intervals = traitlets.Unicode().tag(sync=True)
    """SVG of the intervals; empty without an investigation."""

    def __init__(self, report: GateReport, *, inv: Investigation | None = None) -> None:
        self.report = report
        self._pages = (views.gates(report), views.statistics(report))
        picture = inv.plots.gates(report) if inv is not None and any(g.statistic for g in report.gates) else None
        super().__init__(
            inv=inv if report.verdict is Verdict.PASS else None,
            button="Plan the rollout",
            page=self._pages[0].html,
            statistics=self._pages[1].html,
            intervals=picture.svg if isinstance(picture, views.Picture) else "",
            verdict=str(report.verdict),
        )

    def verb(self, inv: Investigation) -> Plan:
        """Plan the rollout; nothing is deployed."""
        return inv.rollout(self.report)

    def pages(self) -> tuple[Page, ...]:
        """The gates, then their statistics."""
        return self._pages
