"""Triage as plotly figures: readable on paper, in grey, and without red-green vision."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from itertools import pairwise
from typing import Any

from shadowlab.records import Suspect, Triage
from shadowlab.records.base import percent
from shadowlab.triage import charts
from shadowlab.views import servicemap, style
from shadowlab.views.svg import rows, width_of

_MOST = 3
"""Objectives that have room beside each other."""
_HATCH = ("", "/", "x", "-", "+", ".", "\\", "|")
_THRESHOLDS = {14.4: "page at 14.4x (1h and 5m)", 6.0: "page at 6x (6h and 30m)", 1.0: "1x spends the budget exactly"}


def plot_burn(triage: Triage) -> Any:
    """Burn rates per objective and window, a bar each, with the alerting factors as lines. Unit: times the allowed."""
    shown = sorted(triage.objectives, key=lambda o: -o.budget_spent)[:_MOST]
    crowded = sum(len(o.windows) for o in shown) > 10
    more = f" ({_MOST} of {len(triage.objectives)} objectives)" if len(triage.objectives) > _MOST else ""
    figure = _figure(f"How fast the error budget burns{more}", "burn rate (times the allowed)")
    for n, objective in enumerate(shown):
        names = list(objective.windows)
        rates = [objective.windows[name].burn_rate for name in names]
        figure.add_bar(
            x=names,
            y=[rate or 0 for rate in rates],
            name=f"{escape(objective.name)} ({percent(objective.target)})",
            text=[_rate(rate, crowded) for rate in rates],
            textposition="outside",
            cliponaxis=False,
            marker={"pattern": {"shape": _HATCH[n % len(_HATCH)]}, "color": style.CYCLE[n % len(style.CYCLE)]},
        )
    highest = max((w.burn_rate or 0 for o in shown for w in o.windows.values()), default=0)
    said = highest * 2
    for factor, words in _THRESHOLDS.items():
        if (factor == 1.0 and not highest) or factor <= 2 * highest:
            figure.add_hline(y=factor, line={"dash": "dash", "color": style.QUIET, "width": 1}, layer="below")
            if said - factor < highest / 16:
                continue  # its words would lie on those above
            said = factor
            figure.add_annotation(
                x=1, xref="paper", y=factor, text=words, showarrow=False, xanchor="left", yanchor="middle", xshift=6,
                font={"size": 10, "color": style.QUIET},
            )  # fmt: skip
    figure.update_layout(
        barmode="group", xaxis={"title": {"text": "window"}, "type": "category"}, yaxis_rangemode="tozero",
        margin={"r": 165},
    )  # fmt: skip
    return figure


def _rate(rate: float | None, crowded: bool) -> str:
    if rate is None:
        return "–" if crowded else "no requests"
    return f"{rate:.0f}x" if crowded and rate >= 10 else f"{rate:.1f}x"


def plot_timeline(triage: Triage) -> Any:
    """Errors per slice of time, stacked by suspect, requests as a line on the right, changes as marked times."""
    width = charts.width(triage)
    told = charts.spoken(width)
    figure = _figure("Errors over time", f"errors in {told}")
    at = [slice.at for slice in triage.timeline]
    # a bar stands on its slice, not around the slice's start; plotly tells widths of time in milliseconds
    bar = {"offset": 0, "width": 950 * width.total_seconds()}
    for n, suspect in enumerate(triage.suspects):
        counts = [slice.by_fingerprint.get(suspect.fingerprint, 0) for slice in triage.timeline]
        marker = {"color": style.CYCLE[n % len(style.CYCLE)], "pattern": {"shape": _HATCH[n % len(_HATCH)]}}
        figure.add_bar(x=at, y=counts, name=escape(_short(f"{n + 1}. {suspect.title}", 48)), marker=marker, **bar)
    figure.add_scatter(
        x=[start + width / 2 for start in at], y=[slice.total for slice in triage.timeline], name="requests (right)",
        yaxis="y2", mode="lines", line={"color": style.QUIET, "width": 1, "dash": "dot"},
    )  # fmt: skip
    _mark(figure, triage)
    figure.update_layout(
        barmode="stack",
        legend={"traceorder": "normal"},
        xaxis={"type": "date", "title": {"text": "time (UTC)"}},
        yaxis2={"overlaying": "y", "side": "right", "rangemode": "tozero", "showgrid": False,
                "tickmode": "auto", "title": {"text": f"requests in {told}"}},
    )  # fmt: skip
    return figure


def _mark(figure: Any, triage: Triage) -> None:
    """A line for each change, its words above it in rows that do not overlap; the newest dozen."""
    first = triage.timeline[0].at if triage.timeline else triage.at
    followed = {(c.at, c.after) for s in triage.suspects if (c := s.change)}
    shown = [c for c in triage.changes if first <= c.at <= triage.at][-12:]
    length = (triage.at - first).total_seconds() or 1.0
    shares = [(c.at - first).total_seconds() / length for c in shown]
    words = [_short(f"{c.kind} {c.service} {c.after}", 40) for c in shown]
    levels = rows([_reach(share, said) for share, said in zip(shares, words, strict=True)])
    for level, change, share, said in zip(levels, shown, shares, words, strict=True):
        linked = (change.at, change.after) in followed
        colour = style.VERMILLION if linked else style.QUIET
        figure.add_vline(x=change.at, line={"color": colour, "width": 2 if linked else 1, "dash": "dash"})
        figure.add_annotation(
            x=change.at, y=1, yref="paper", yanchor="bottom", showarrow=False, yshift=13 * level,
            xanchor=_anchor(share), text=escape(said), font={"size": 10, "color": colour},
        )  # fmt: skip
    figure.update_layout(margin_t=70 + 13 * max(0, max(levels, default=0) - 1))


def _anchor(share: float) -> str:
    """Words at an edge of the figure stay inside it."""
    return "left" if share < 0.15 else "right" if share > 0.85 else "center"


def _reach(share: float, said: str) -> tuple[float, float]:
    """From where to where the words of a change reach, in pixels of a narrow figure."""
    wide = width_of(said, 10)
    start = share * 600 - wide * {"left": 0.0, "center": 0.5, "right": 1.0}[_anchor(share)]
    return start, start + wide


def plot_contrast(suspect: Suspect) -> Any:
    """Paired bars: the share of failing and of passing requests that have each telling attribute."""
    figure = _figure("What sets the failing requests apart", "share of requests")
    shown = suspect.contrast[::-1]
    names = [c.said for c in shown]
    pairs = (
        ("passing", [c.baseline for c in shown], style.SKY, "/"),
        ("failing", [c.selection for c in shown], style.VERMILLION, ""),
    )
    for name, shares, colour, hatch in pairs:
        figure.add_bar(
            y=[escape(name) for name in names], x=shares, name=name, orientation="h",
            text=[f"{share:.1%}" for share in shares],
            textposition="outside", cliponaxis=False, marker={"color": colour, "pattern": {"shape": hatch}},
        )  # fmt: skip
    for n, said in enumerate(names):  # above its bars, where there is room for all of it on a narrow screen, too
        figure.add_annotation(
            x=0, y=n + 0.3, text=escape(_short(said, 120)), showarrow=False, xanchor="left", yanchor="bottom",
            font={"size": 12, "color": style.INK},
        )  # fmt: skip
    if not shown:
        _say(figure, "no attribute sets the failing requests apart")
    figure.update_layout(
        barmode="group",
        bargap=0.4,
        xaxis={"range": [0, 1.12], "tickformat": ".0%", "title": {"text": "share of requests"}},
        yaxis={"title": {"text": ""}, "type": "category", "tickvals": [], "ticktext": []},
        margin={"l": 24},
        height=max(260, 170 + 66 * len(shown)),
    )
    return figure


def plot_services(triage: Triage) -> Any:
    """Who calls whom: callers at the left, the way to the blamed service thick, its score beside it."""
    figure = _figure("Who calls whom, and where it starts", "")
    calls = [(e.caller, e.callee, e.calls, e.errors) for e in triage.edges]
    listed = servicemap.shown(calls, triage.blamed_path)
    at = servicemap.places(listed, triage.blamed_path)
    way = set(pairwise(triage.blamed_path))
    for caller, callee, count, failed in listed:
        marked = (caller, callee) in way
        (x1, y1), (x2, y2) = at[caller], at[callee]
        colour = style.VERMILLION if marked else style.QUIET
        figure.add_scatter(
            x=[x1, x2], y=[-y1, -y2], mode="lines", showlegend=False,
            line={"color": colour, "width": 4 if marked else 1},
        )  # fmt: skip
        words = f"{count:,}" + (f", {failed / count:.1%} fail" if failed and count else "")
        figure.add_annotation(
            x=(x1 + x2) / 2, y=-(y1 + y2) / 2, text=words, showarrow=False, yanchor="bottom",
            font={"size": 10, "color": colour}, bgcolor="rgba(255,255,255,0.8)",
        )  # fmt: skip
    _nodes(figure, triage, at)
    if not listed:
        _say(figure, "no service calls another")
    lines = {row for _, row in at.values()} or {0.0}
    hidden = {"showgrid": False, "showticklabels": False, "zeroline": False, "showline": False, "ticks": ""}
    figure.update_layout(
        xaxis={**hidden, "range": [-0.5, max(column for column, _ in at.values()) + 0.9] if listed else [-1, 1],
               "title": {"text": "callers → callees" if listed else ""}},
        yaxis={**hidden, "range": [-max(lines) - 0.7, -min(lines) + 0.7]},
        height=max(260, round(150 + 80 * (max(lines) - min(lines) + 1))),
    )  # fmt: skip
    return figure


def _nodes(figure: Any, triage: Triage, at: Mapping[str, tuple[int, float]]) -> None:
    """A point and its words for every service: a cross where it starts, a diamond on the way there."""
    scores = {b.service: b.score for b in triage.services if b.score > 0}
    blamed = triage.blamed_path[-1] if triage.blamed_path else None
    groups = (
        ("where it starts", "x", style.VERMILLION, [n for n in at if n == blamed]),
        ("on the way", "diamond", style.VERMILLION, [n for n in at if n in triage.blamed_path and n != blamed]),
        ("other services", "circle", style.BLUE, [n for n in at if n not in triage.blamed_path]),
    )
    for name, symbol, colour, names in groups:
        if names:
            figure.add_scatter(
                x=[at[n][0] for n in names], y=[-at[n][1] for n in names], mode="markers+text", name=name,
                text=[escape(n) + (f" ({scores[n]:.2f})" if n in scores else "") for n in names],
                textposition="bottom center", marker={"symbol": symbol, "size": 14, "color": colour},
            )  # fmt: skip


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
    figure.add_annotation(x=0.5, y=0.9, xref="paper", yref="paper", text=words, showarrow=False)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
