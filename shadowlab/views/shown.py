"""What a view gives back: something that a notebook, a page, a code host and a printer can all show."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from shadowlab.views import still

PLOTLY = "application/vnd.plotly.v1+json"


@dataclass(frozen=True, slots=True)
class Picture:
    """A static SVG, with an interactive twin where a plotly renderer is at hand.

    Code hosts, e-mail and printers show the SVG; JupyterLab shows `figure` when there is one.
    """

    svg: str
    alt: str
    """What it shows, in one line."""
    figure: Any = None
    """The plotly figure, or None."""

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"

    def _repr_mimebundle_(
        self, include: Collection[str] | None = None, exclude: Collection[str] | None = None
    ) -> dict[str, Any]:
        bundle: dict[str, Any] = {"image/svg+xml": self.svg, "text/plain": repr(self)}
        if self.figure is not None:
            bundle[PLOTLY] = _inert(json.loads(self.figure.to_json()))
        return bundle


def _inert(value: Any) -> Any:
    """A figure's JSON in which no text is markup: plotly makes links of `<a href>` in a name that telemetry gave."""
    match value:
        case dict():
            return {key: _inert(inside) for key, inside in value.items()}
        case list():
            return [_inert(inside) for inside in value]
        case str():
            return value.replace("<", "&lt;")
        case _:
            return value


@dataclass(frozen=True, slots=True)
class Page:
    """A static piece of HTML; everything in it that came from outside is escaped."""

    html: str
    alt: str

    def __repr__(self) -> str:
        return f"<Page: {self.alt}>"

    def _repr_html_(self) -> str:
        return self.html


def picture(figure: Any) -> Picture:
    """A plotly figure with its static twin."""
    alt = str(figure.layout.meta or figure.layout.title.text or "figure")
    return Picture(svg=still.draw(figure), alt=still.plain(alt), figure=figure)
