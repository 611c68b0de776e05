"""The figures of every stage in one place, and how records look in a notebook."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shadowlab import views
from shadowlab.records import GateReport, Suspect, Triage

if TYPE_CHECKING:
    from shadowlab.opened import Opened
    from shadowlab.telemetry import Trace

Shown = views.Page | views.Picture


class Plots:
    """Pictures of an investigation's records, each with a static twin; `.figure` is the plotly figure to change.

    A record that is not there yet, None, is said to be missing.
    """

    def __init__(self, investigation: Opened) -> None:
        self._inv = investigation

    def burn(self, triage: Triage | None) -> Shown:
        """Burn rate per objective and window, with the alerting thresholds."""
        from shadowlab.triage import plots

        return views.missing("triage") if triage is None else views.picture(plots.plot_burn(triage))

    def timeline(self, triage: Triage | None) -> Shown:
        """Errors over time, stacked by fingerprint, with changes marked."""
        from shadowlab.triage import plots

        return views.missing("triage") if triage is None else views.picture(plots.plot_timeline(triage))

    def contrast(self, suspect: Suspect | Triage | None) -> Shown:
        """Paired bars of what sets a suspect's failing requests apart; of a triage, its top suspect's."""
        from shadowlab.triage import plots

        top = _top(suspect)
        return views.missing("triage") if top is None else views.picture(plots.plot_contrast(top))

    def services(self, triage: Triage | None) -> Shown:
        """Who calls whom, with the way to the service that is blamed."""
        from shadowlab.triage import page, plots

        if triage is None:
            return views.missing("triage")
        return replace(page.service_map(triage), figure=plots.plot_services(triage))

    def waterfall(self, trace: Trace | Suspect | Triage | str | None) -> Shown:
        """One trace's spans over time, with its logs.

        Of a suspect it is the first exemplar, of a triage its top suspect's.
        """
        shown = _top(trace) if isinstance(trace, Suspect | Triage) else trace
        named = next(iter(shown.exemplars), None) if isinstance(shown, Suspect) else shown
        if named is None:
            return views.missing("triage")
        found = self._inv.trace(named) if isinstance(named, str) else named
        return found.plot_waterfall()

    def gates(self, report: GateReport | None) -> Shown:
        """Every interval of a gate report against its limit."""
        from shadowlab.gates import plots

        return views.missing("gate") if report is None else views.picture(plots.plot_gates(report))

    def page(self, record: Triage | Suspect) -> str:
        """A triage or one of its suspects as a small static page, HTML that needs no script."""
        from shadowlab import triage

        return triage.html(record) if isinstance(record, Triage) else triage.suspect_html(record)


def _top(found: Suspect | Triage | None) -> Suspect | None:
    return next(iter(found.suspects), None) if isinstance(found, Triage) else found


def show_in_notebooks() -> None:
    """Let IPython show a triage and its suspects as the triage stage draws them."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None:
        return

    def drawn(name: str) -> Any:
        def draw(record: Any) -> str:
            from shadowlab import triage

            return str(getattr(triage, name)(record))

        return draw

    formatter = shell.display_formatter.formatters["text/html"]
    formatter.for_type(Triage, drawn("html"))
    formatter.for_type(Suspect, drawn("suspect_html"))
