"""Triage as plotly figures: readable on paper, in grey, and without red-green vision."""

from __future__ import annotations

from typing import Any

from shadowlab.records import Suspect, Triage
from shadowlab.views import style

_HATCH = ("", "/", "x", "-", "+", ".", "\\", "|")
_THRESHOLDS = {14.4: "page at 14.4x (1h and 5m)", 6.0: "page at 6x (6h and 30m)", 1.0: "1x spends the budget exactly"}


def plot_burn(triage: Triage) -> Any:
    """Burn rates per objective and window, a bar each, with the alerting factors as lines. Unit: times the allowed."""
    figure = _figure("How fast the error budget burns", "burn rate (times the allowed)")
    for n, objective in enumerate(triage.objectives):
        names = list(objective.windows)
        rates = [objective.windows[name].burn_rate for name in names]
        figure.add_bar(
            x=names,
            y=[rate or 0 for rate in rates],
            name=f"{objective.name} ({objective.target:.6g})",
            text=["no requests" if rate is None else f"{rate:.1f}x" for rate in rates],
            textposition="outside",
            cliponaxis=False,
            marker={"pattern": {"shape": _HATCH[n % len(_HATCH)]}, "color": style.CYCLE[n % len(style.CYCLE)]},
        )
    highest = max((w.burn_rate or 0 for o in triage.objectives for w in o.windows.values()), default=0)
    for factor, words in _THRESHOLDS.items():
        if factor == 1.0 or factor <= 2 * highest:
            figure.add_hline(y=factor, line={"dash": "dash", "color": style.QUIET, "width": 1})
            figure.add_annotation(
                x=1, xref="paper", y=factor, text=words, showarrow=False, xanchor="left", yanchor="middle", xshift=6,
                font={"size": 10, "color": style.QUIET},
            )  # fmt: skip
    figure.update_layout(
        barmode="group", xaxis={"title": {"text": "window"}, "type": "category"}, yaxis_rangemode="tozero",
        margin={"r": 165},
    )  # fmt: skip
    return figure


def plot_timeline(triage: Triage) -> Any:
    """Errors per slice of time, stacked by suspect, requests as a line on the right, changes as marked times."""
    figure = _figure("Errors over time", "errors per slice")
    at = [slice.at for slice in triage.timeline]
    for n, suspect in enumerate(triage.suspects):
        counts = [slice.by_fingerprint.get(suspect.fingerprint, 0) for slice in triage.timeline]
        marker = {"color": style.CYCLE[n % len(style.CYCLE)], "pattern": {"shape": _HATCH[n % len(_HATCH)]}}
        figure.add_bar(x=at, y=counts, name=_short(suspect.title, 48), marker=marker)
    figure.add_scatter(
        x=at, y=[slice.total for slice in triage.timeline], name="requests (right)", yaxis="y2", mode="lines",
        line={"color": style.QUIET, "width": 1, "dash": "dot"},
    )  # fmt: skip
    followed = {s.change.at: s.change for s in triage.suspects if s.change}
    for change in triage.changes:
        if at and at[0] <= change.at <= triage.at:
            linked = change.at in followed
            colour = style.VERMILLION if linked else style.QUIET
            figure.add_vline(x=change.at, line={"color": colour, "width": 2 if linked else 1, "dash": "dash"})
            figure.add_annotation(
                x=change.at, y=1, yref="paper", yanchor="bottom", showarrow=False, text=f"{change.kind} {change.after}",
                font={"size": 10, "color": colour},
            )  # fmt: skip
    figure.update_layout(
        barmode="stack",
        bargap=0.05,
        xaxis={"type": "date"},
        yaxis2={"overlaying": "y", "side": "right", "rangemode": "tozero", "showgrid": False,
                "tickmode": "auto", "title": {"text": "requests per slice"}},
    )  # fmt: skip
    return figure


def plot_contrast(suspect: Suspect) -> Any:
    """Paired bars: the share of failing and of passing requests that have each telling attribute."""
    figure = _figure("What sets the failing requests apart", "share of requests")
    shown = suspect.contrast[::-1]
    names = [_short(f"{c.attribute} = {c.value}", 60) for c in shown]
    pairs = (
        ("passing", [c.baseline for c in shown], style.SKY, "/"),
        ("failing", [c.selection for c in shown], style.VERMILLION, ""),
    )
    for name, shares, colour, hatch in pairs:
        figure.add_bar(
            y=names, x=shares, name=name, orientation="h", text=[f"{share:.1%}" for share in shares],
            textposition="outside", cliponaxis=False, marker={"color": colour, "pattern": {"shape": hatch}},
        )  # fmt: skip
    if not shown:
        _say(figure, "no attribute sets the failing requests apart")
    figure.update_layout(
        barmode="group",
        xaxis={"range": [0, 1.12], "tickformat": ".0%", "title": {"text": "share of requests"}},
        yaxis={"title": {"text": ""}, "type": "category"},
        height=max(240, 120 + 52 * len(shown)),
    )
    return figure


def plot_services(triage: Triage) -> Any:
    """The services in the order in which they are blamed, with their scores (0 to 1)."""
    figure = _figure("Where it starts", "")
    shown = triage.services[:15][::-1]
    figure.add_bar(
        y=[b.service for b in shown], x=[b.score for b in shown], orientation="h", marker={"color": style.BLUE},
        text=[f"{b.score:.2f}  {b.evidence[0] if b.evidence else ''}" for b in shown], textposition="outside",
        cliponaxis=False, showlegend=False,
    )  # fmt: skip
    if not shown:
        _say(figure, "no service has an error in the window")
    figure.update_layout(
        xaxis={"range": [0, 1.6], "title": {"text": "share of what is broken"}}, yaxis={"type": "category"},
        height=max(220, 120 + 34 * len(shown)),
    )  # fmt: skip
    return figure


def _figure(title: str, unit: str) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(**style.layout())
    figure.update_layout(
        title={"text": title, "font": {"size": 15}}, height=380, margin={"l": 60, "r": 60, "t": 70, "b": 100},
        legend={"orientation": "h", "yref": "container", "y": 0.01, "yanchor": "bottom"},
        yaxis={"title": {"text": unit}},
    )  # fmt: skip
    return figure


def _say(figure: Any, words: str) -> None:
    figure.add_annotation(x=0.5, y=0.5, xref="paper", yref="paper", text=words, showarrow=False)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
