"""Colours and type that every picture shares: readable on paper, in grey, and without red-green vision.

The colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/). No meaning hangs on a colour alone: verdicts carry
a sign and a word as well.
"""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

INK, QUIET, LINE, PAPER, WASH = "#1f2933", "#61707f", "#d5dbe1", "#ffffff", "#f4f6f8"
BLUE, VERMILLION, GREEN, ORANGE, SKY, PURPLE = "#0072b2", "#c94f00", "#008a64", "#e69f00", "#56b4e9", "#b0598a"
CYCLE = (BLUE, ORANGE, GREEN, PURPLE, SKY, VERMILLION)

RULE, FAINT, TRACK = "rgba(97,112,127,.35)", "opacity:.72", "rgba(97,112,127,.2)"
"""For HTML that has no paper of its own: a line, quiet text and an empty bar, on white and on a dark theme alike."""

SANS = "system-ui, 'Segoe UI', 'Liberation Sans', 'DejaVu Sans', sans-serif"
MONO = "ui-monospace, 'SF Mono', 'Liberation Mono', 'DejaVu Sans Mono', monospace"

_VERDICTS: Mapping[str, tuple[str, str]] = {
    "pass": ("✓", GREEN),
    "reproduced": ("✓", GREEN),
    "confirmed": ("✓", GREEN),
    "controlled": ("✓", GREEN),
    "fail": ("✗", VERMILLION),
    "diverged": ("✗", VERMILLION),
    "refuted": ("✗", VERMILLION),
    "observed-uncontrolled": ("!", VERMILLION),
    "supported": ("~", BLUE),
}


def badge(word: str) -> str:
    """A verdict, outcome or status as HTML: a sign and the word, coloured."""
    sign, colour = _VERDICTS.get(word, ("?", QUIET))
    return f"<b style='color:{colour};white-space:nowrap'>{sign}&nbsp;{html.escape(word)}</b>"


def layout() -> dict[str, Any]:
    """What a plotly figure of shadowlab's looks like, for `figure.update_layout(**layout())`."""
    axis = {"gridcolor": "#e8ecef", "linecolor": LINE, "zerolinecolor": LINE, "tickcolor": LINE, "automargin": True}
    return {
        "template": "none",
        "paper_bgcolor": PAPER,
        "plot_bgcolor": PAPER,
        "colorway": list(CYCLE),
        "height": 340,
        "title": {"x": 0.012, "xanchor": "left", "font": {"size": 15}},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        "font": {"family": SANS, "size": 12, "color": INK},
        "hoverlabel": {"font": {"family": MONO, "size": 11}, "bgcolor": PAPER},
        "xaxis": axis,
        "yaxis": axis,
    }
