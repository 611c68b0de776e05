"""One trace as a plotly figure: the interactive twin of `waterfall`, with the same rows in the same order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shadowlab.views import axes, style
from shadowlab.views.spans import Bar, Row, failed, loud, spelled_ns
from shadowlab.views.svg import cut

_ROW, _LINE, _MOST_LOGS, _NAMES = 24, 17, 24, 300


def figure(bars: Sequence[Bar], logs: Sequence[Row], *, title: str, low: int, high: int) -> Any:
    """A bar for each of `bars`, a triangle for each of `logs` on its span's row, and the logs' words beneath.

    Times are nanoseconds; `low` is where the axis begins and `high` where it ends.
    """
    import plotly.graph_objects as go

    picture = go.Figure()
    for n, (service, rows) in enumerate(_by_service(bars).items()):
        picture.add_bar(
            y=rows, x=[bars[row].span["end_ns"] - bars[row].span["start_ns"] for row in rows],
            base=[bars[row].span["start_ns"] - low for row in rows], orientation="h", name=service, showlegend=True,
            marker={"color": style.CYCLE[n % (len(style.CYCLE) - 1)],
                    "line": {"color": style.VERMILLION, "width": [2 * failed(bars[row].span) for row in rows]}},
            text=[spelled_ns(bars[row].span["end_ns"] - bars[row].span["start_ns"]) for row in rows],
            hovertext=[_hover(bars[row].span) for row in rows], hoverinfo="text", textposition="outside",
            cliponaxis=False,
        )  # fmt: skip
    _signs(picture, bars, logs, low)
    _named(picture, bars)
    ticks = axes.round_ticks(high - low)
    lines = _words(picture, logs, low)
    tall = 150 + _ROW * len(bars) + lines
    picture.update_layout(**style.layout())
    picture.update_layout(
        title={"text": title, "y": 1 - 16 / tall, "yanchor": "top"}, barmode="overlay", bargap=0.35, height=tall,
        margin={"l": _NAMES, "r": 70, "t": 100, "b": 40 + lines},
        xaxis={"side": "top", "tickvals": ticks, "ticktext": [spelled_ns(v) if v else "0" for v in ticks],
               "range": [0, (high - low) * 1.02]},
        yaxis={"visible": False, "range": [len(bars) - 0.4, -0.6]},
        legend={"orientation": "h", "x": 0, "xref": "container", "yref": "container", "yanchor": "top",
                "y": 1 - 44 / tall},
    )  # fmt: skip
    return picture


def _by_service(bars: Sequence[Bar]) -> Mapping[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for n, bar in enumerate(bars):
        rows.setdefault(bar.span["service"], []).append(n)
    return rows


def _named(figure: Any, bars: Sequence[Bar]) -> None:
    """The spans' names at the left, each as far in as its span is deep."""
    for row, bar in enumerate(bars):
        indent = 14 * min(bar.depth, 12)
        words = ("✗ " if failed(bar.span) else "") + str(bar.span["name"])
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", xshift=indent + 12 - _NAMES, y=row, yanchor="middle", showarrow=False,
            text=cut(words, _NAMES - indent - 20), font={"color": style.VERMILLION if failed(bar.span) else style.INK},
        )  # fmt: skip


def _hover(span: Row) -> str:
    took = spelled_ns(span["end_ns"] - span["start_ns"])
    text = f"{span['service']}: {span['name']} ({span.get('kind') or 'internal'}), {took}"
    return (text + (f", {span['status_message']}" if span.get("status_message") else ""))[:300]


def _signs(figure: Any, bars: Sequence[Bar], logs: Sequence[Row], low: int) -> None:
    rows = {bar.span["span_id"]: n for n, bar in enumerate(bars)}
    placed = [(rows[log["span_id"]], log) for log in logs[:200] if log.get("span_id") in rows]
    if placed:
        figure.add_scatter(
            x=[log["at_ns"] - low for _, log in placed], y=[row - 0.4 for row, _ in placed], mode="markers",
            name="log records", hoverinfo="text", hovertext=[str(log.get("body") or "")[:300] for _, log in placed],
            marker={"symbol": "triangle-down", "size": 8,
                    "color": [style.VERMILLION if loud(log) else style.INK for _, log in placed]},
        )  # fmt: skip


def _words(figure: Any, logs: Sequence[Row], low: int) -> int:
    """The logs as lines below the axis; how many pixels they take."""
    ordered = sorted(logs, key=lambda log: int(log["at_ns"]))
    lines = [
        (f"+{spelled_ns(log['at_ns'] - low)}  {str(log.get('severity') or '')[:9].lower()}  "
         f"{cut(' '.join(str(log.get('body') or '').split()), 640, 11, mono=True)}", loud(log))
        for log in ordered[:_MOST_LOGS]
    ]  # fmt: skip
    if len(ordered) > _MOST_LOGS:
        lines.append((f"{len(ordered) - _MOST_LOGS} more are not shown", False))
    for n, (words, marked) in enumerate(lines):
        figure.add_annotation(
            x=0, xref="paper", xanchor="left", xshift=12 - _NAMES, y=0, yref="paper", yanchor="top",
            yshift=-10 - _LINE * n, text=words, showarrow=False, align="left",
            font={"family": style.MONO, "size": 11, "color": style.VERMILLION if marked else style.INK},
        )  # fmt: skip
    return _LINE * len(lines)
