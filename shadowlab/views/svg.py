"""SVG by hand: elements from numbers and hostile text, and how wide a text will be."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

# What XML 1.0 forbids even when escaped: one such character of telemetry makes a picture unreadable. And what turns the
# direction of text: `pass` must not be read where `fail` stands.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)


def text_of(value: object) -> str:
    """`value` as text that is safe between tags and in attributes."""
    return html.escape(_FORBIDDEN.sub("\ufffd", str(value)), quote=True)


def number(value: float) -> str:
    """A coordinate in few characters: two decimals, no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, *inside: str, **attributes: object) -> str:
    """One element; `_` in attribute names stands for `-`; `inside` is markup already, None leaves an attribute out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else text_of(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    content = "".join(inside)
    return f"<{name}{written}>{content}</{name}>" if content else f"<{name}{written}/>"


def label(x: float, y: float, text: object, **attributes: object) -> str:
    """Text whose baseline starts, is centred or ends at `x`, `y`."""
    return element("text", text_of(text), x=float(x), y=float(y), **attributes)


def document(width: float, height: float, *inside: str, title: str, family: str, colour: str, paper: str) -> str:
    """A whole SVG document; `title` is read out by screen readers."""
    return element(
        "svg",
        element("title", text_of(title)),
        element("rect", width=float(width), height=float(height), fill=paper),
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=float(width),
        height=float(height),
        role="img",
        font_family=family,
        font_size=12,
        fill=colour,
        style="max-width:100%;height:auto",
    )


def rows(spans: Sequence[tuple[float, float]], gap: float = 8.0) -> list[int]:
    """A row for each label, from its two ends: the lowest in which it lies on no label before it."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for low, high in spans:
        free = (n for n, row in enumerate(taken) if all(high + gap <= a or b + gap <= low for a, b in row))
        n = next(free, len(taken))
        taken += [[]] * (n == len(taken))
        taken[n] = [*taken[n], (low, high)]
        found.append(n)
    return found


def width_of(text: str, size: float = 12, *, mono: bool = False) -> float:
    """About how wide `text` is in pixels; no font is asked."""
    if mono:
        return len(text) * size * 0.602
    narrow = sum(c in "il.,:;|!'()[] jft" for c in text)
    return (len(text) - narrow) * size * 0.63 + narrow * size * 0.36


def cut(text: str, room: float, size: float = 12, *, mono: bool = False) -> str:
    """`text`, shortened with an ellipsis to fit `room` pixels."""
    if width_of(text, size, mono=mono) <= room:
        return text
    while text and width_of(text + "…", size, mono=mono) > room:
        text = text[:-1]
    return text + "…"
