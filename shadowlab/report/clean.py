"""Make an executed notebook fit to hand out: the same bytes for the same content, and nothing of this machine in it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import shadowlab
from shadowlab.case import Case
from shadowlab.report.templates import Template
from shadowlab.views import picture

_PLOTLY, _SVG = "application/vnd.plotly.v1+json", "image/svg+xml"
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_STEERS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def tidy(notebook: Any, template: Template, case: Case) -> str:
    """The executed notebook as text: paths, timings and other traces of the run gone, every figure with a still."""
    import nbformat

    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python", "version": notebook.metadata.language_info.version},
        "shadowlab": {
            "template": template.name,
            "template_sha256": template.sha256,
            "version": shadowlab.__version__,
        },
    }
    for number, cell in enumerate(notebook.cells):
        tags = list(cell.metadata.get("tags", []))
        cell.metadata = {"tags": tags} if tags else {}
        cell["id"] = "injected-parameters" if "injected-parameters" in tags else cell.get("id", f"cell-{number}")
        for output in cell.get("outputs", []):
            _still(output)
            _visible(output)
    text = str(nbformat.writes(notebook))  # type: ignore[no-untyped-call]  # nbformat does not say its types
    for path, word in _places(case).items():
        text = text.replace(path, word)
    return text.rstrip("\n") + "\n"


def _still(output: Any) -> None:
    """Give a bare plotly figure its static twin, so that the notebook shows it where no plotly is."""
    content = output.get("data", {})
    if _PLOTLY in content and _SVG not in content:
        import plotly.graph_objects as go

        figure = {key: value for key, value in content[_PLOTLY].items() if key in ("data", "layout")}
        content[_SVG] = picture(go.Figure(figure)).svg


def _visible(output: Any) -> None:
    """Write out what steers a terminal or turns the direction of text; colours of a cell's own output just go."""
    content = output.get("data", {})
    for kind in content.keys() & {"text/html", "text/plain", "text/markdown", _SVG}:
        content[kind] = _shown(content[kind])
    if output.get("output_type") == "stream":
        output["text"] = _shown(output["text"])


def _shown(text: str | list[str]) -> str:
    text = _COLOUR.sub("", text if isinstance(text, str) else "".join(text))
    return _STEERS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _places(case: Case) -> dict[str, str]:
    """Folders of this machine that an output might name, the longest first, and what stands for them."""
    places = {os.path.abspath(case.path): "CASE", str(case.path.resolve()): "CASE"}
    if kept := case.settings().get("source"):
        places[str((case.path / kept).resolve())] = "SOURCE"
    places |= {str(Path(shadowlab.__file__).parent): "shadowlab", sys.prefix: "PYTHON", str(Path.home()): "~"}
    return {path: places[path] for path in sorted(places, key=len, reverse=True) if len(path) > 3}
