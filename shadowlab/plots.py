"""The figures of every stage in one place, and how records look in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowlab.records import GateReport, Suspect, Triage

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation
    from shadowlab.telemetry import Trace


class Plots:
    """Plotly figures of an investigation's records; each is made from the record alone."""

    def __init__(self, investigation: Investigation) -> None:
        self._inv = investigation

    def burn(self, triage: Triage) -> Any:
        """Burn rate per objective and window, with the alerting thresholds."""
        from shadowlab.triage import plots

        return plots.plot_burn(triage)

    def timeline(self, triage: Triage) -> Any:
        """Errors over time, stacked by fingerprint, with changes marked."""
        from shadowlab.triage import plots

        return plots.plot_timeline(triage)

    def contrast(self, suspect: Suspect) -> Any:
        """Paired bars of what sets failing requests apart."""
        from shadowlab.triage import plots

        return plots.plot_contrast(suspect)

    def services(self, triage: Triage) -> Any:
        """The services in the order in which they are blamed."""
        from shadowlab.triage import plots

        return plots.plot_services(triage)

    def waterfall(self, trace: Trace | str) -> Any:
        """One trace's spans over time, with its logs."""
        from shadowlab.views import waterfall

        return waterfall.plot_waterfall(self._inv.trace(trace) if isinstance(trace, str) else trace)

    def gates(self, report: GateReport) -> Any:
        """Every interval of a gate report against its limit."""
        from shadowlab.gates import plots

        return plots.plot_gates(report)


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
