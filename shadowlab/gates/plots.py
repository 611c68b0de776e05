"""A gate report as a plotly figure: every interval against its limit, readable in print."""

from __future__ import annotations

from typing import Any

from shadowlab.records import Gate, GateReport, Statistic, Verdict
from shadowlab.views import style

_MARKS = {
    Verdict.PASS: ("circle", style.GREEN),
    Verdict.FAIL: ("x", style.VERMILLION),
    Verdict.INCONCLUSIVE: ("diamond-open", style.QUIET),
}


_NAMES = 210
"""Pixels at the left for the gates' names; what is told of a gate begins there, too, or its end would be cut."""


def plot_gates(report: GateReport) -> Any:
    """One row a statistical gate, on an axis of its own unit: estimate, interval, limit, sample size, p or e-value."""
    from plotly.subplots import make_subplots

    gates = [(gate, gate.statistic) for gate in report.gates if gate.statistic is not None]
    rows = max(1, len(gates))
    figure = make_subplots(rows=rows, cols=1, vertical_spacing=0.5 / rows)
    for row, (gate, statistic) in enumerate(gates, 1):
        _row(figure, row, gate, statistic)
    if not gates:
        figure.add_annotation(
            text="no gate with an interval ran", showarrow=False, x=0.5, y=0.5, xref="paper", yref="paper"
        )
    layout = {key: value for key, value in style.layout().items() if key not in ("xaxis", "yaxis")}
    figure.update_layout(
        **{**layout, "height": 110 + 105 * rows, "showlegend": False},
        margin={"l": _NAMES, "r": 24, "t": 76, "b": 34},
        title_text=f"Gates with their limits: {report.verdict}",
    )
    figure.update_xaxes(**style.layout()["xaxis"])
    figure.update_yaxes(showgrid=False, zeroline=False)
    return figure


def _row(figure: Any, row: int, gate: Gate, statistic: Statistic) -> None:
    low, high = statistic.interval
    middle = statistic.estimate if statistic.estimate is not None else _middle(low, high)
    mark, colour = _MARKS[gate.verdict]
    bars = {
        "type": "data", "symmetric": False, "array": [(high if high is not None else middle) - middle],
        "arrayminus": [middle - (low if low is not None else middle)], "thickness": 3, "width": 8, "color": colour,
    }  # fmt: skip
    figure.add_scatter(
        x=[middle], y=[gate.name], error_x=bars, mode="markers", name=gate.name,
        marker={"symbol": mark, "size": 11, "color": colour}, hovertext=[_words(statistic)], row=row, col=1,
    )  # fmt: skip
    for value, dash, ink in ((0.0, "dot", style.QUIET), (statistic.limit, "dash", style.INK)):
        if value is not None:
            figure.add_vline(x=value, line={"dash": dash, "width": 1.5, "color": ink}, row=row, col=1)
    ends = [v for v in (low, high, middle, statistic.limit, 0.0) if v is not None]
    pad = 0.12 * ((max(ends) - min(ends)) or 1.0)
    figure.update_xaxes(range=[min(ends) - pad, max(ends) + pad], row=row, col=1)
    domain = figure.layout["yaxis" if row == 1 else f"yaxis{row}"].domain
    words = f"{gate.verdict}: candidate minus control in {statistic.unit or 'units'}; {_words(statistic)}"
    figure.add_annotation(
        text=words, x=0, xref="paper", y=domain[1], yref="paper", yanchor="bottom", xanchor="left", showarrow=False,
        xshift=-_NAMES + 8, font={"size": 11, "color": style.QUIET},
    )  # fmt: skip


def _middle(low: float | None, high: float | None) -> float:
    return ((low or 0.0) + (high or 0.0)) / 2


def _words(statistic: Statistic) -> str:
    words = [f"limit {statistic.limit:g}"] if statistic.limit is not None else []
    words.append(f"{statistic.level:.0%} interval")
    words.append(f"n = {statistic.n_control:,} and {statistic.n_candidate:,}")
    words += [f"p {'' if statistic.chance.startswith('<') else '= '}{statistic.chance}"] if statistic.chance else []
    words += [f"e = {statistic.evidence}"] if statistic.evidence else []
    return ", ".join(words)
