"""The figures of every stage in one place, and how records look in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowlab import views
from shadowlab.records import GateReport, Suspect, Triage

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation
    from shadowlab.telemetry import Trace

Shown = views.Page | views.Picture


class Plots:
    """Pictures of an investigation's records, each with a static twin; `.figure` is the plotly figure to change.

    A record that is not there yet, None, is said to be missing.
    """

    def __init__(self, investigation: Investigation) -> None:
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
        """The services in the order in which they are blamed."""
        from shadowlab.triage import plots

        return views.missing("triage") if triage is None else views.picture(plots.plot_services(triage))

    def waterfall(self, trace: Trace | Suspect | Triage | str | None) -> Shown:
        """One trace's spans over time, with its logs; a static picture.

        Of a suspect it is the first exemplar, of a triage its top suspect's.
        """
        from shadowlab.views import waterfall

        asked = _top(trace) if isinstance(trace, Suspect | Triage) else trace
        named = next(iter(asked.exemplars), None) if isinstance(asked, Suspect) else asked
        if named is None:
            return views.missing("triage")
        found = self._inv.trace(named) if isinstance(named, str) else named
        return waterfall.draw(*_rows(found), trace_id=found.trace_id)

    def gates(self, report: GateReport | None) -> Shown:
        """Every interval of a gate report against its limit."""
        from shadowlab.gates import plots

        return views.missing("gate") if report is None else views.picture(plots.plot_gates(report))


def _top(found: Suspect | Triage | None) -> Suspect | None:
    return next(iter(found.suspects), None) if isinstance(found, Triage) else found


def _rows(trace: Trace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A trace's spans and logs as rows; exceptions stand among the logs."""
    spans: list[dict[str, Any]] = []
    logs = [
        {"at_ns": log.at_ns or trace.start_ns, "span_id": log.span_id, "severity": log.severity, "body": log.body}
        for log in trace.logs
    ]
    for span in trace.spans:
        start = span.start_ns or trace.start_ns
        bar = {name: getattr(span, name) for name in ("span_id", "parent_span_id", "name", "kind", "status")}
        spans.append({**bar, "service": span.service or "?", "status_message": span.status_message,
                      "start_ns": start, "end_ns": start + (span.duration_ns or 0)})  # fmt: skip
        for event in span.events:
            told = event["attributes"] or {}
            if event["name"] == "exception":
                body = f"{told.get('exception.type')}: {told.get('exception.message')}"
                sign = {"at_ns": event["at_ns"] or start, "span_id": span.span_id}
                logs.append({**sign, "severity": "EXCEPTION", "body": body})
    return spans, logs


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
