"""Report templates: notebooks with a cell tagged `parameters`, in a checkout, in a wheel, or one of your own."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from shadowlab import errors, reading
from shadowlab.bundle import folder

_LONGEST: Final = 64_000_000
"""Bytes of a notebook that is still read."""


@dataclass(frozen=True, slots=True)
class Template:
    """A notebook to fill."""

    name: str
    path: Path
    title: str
    """Its first heading."""
    parameters: tuple[str, ...]
    """Names that its parameters cell sets."""
    cells: int
    """How many cells there are to run."""
    sha256: str

    def accept(self, parameters: Mapping[str, Any]) -> None:
        """Raises `ReportError` when a parameter is not one of the template's."""
        own = [name for name in self.parameters if name != "case"]
        strange = [name for name in parameters if name not in own]
        if strange:
            raise errors.ReportError(
                f"template {self.name} has no parameter {strange[0]!r}",
                hint=f"it has {', '.join(own)}" if own else "it has none",
            )


def templates() -> tuple[str, ...]:
    """The names of the templates that come with shadowlab."""
    return tuple(sorted(place.stem for place in folder("templates").glob("*.ipynb")))


def find(name: str) -> Template:
    """The template called `name`, or the notebook at path `name` when it ends in `.ipynb`."""
    place = Path(name) if name.endswith(".ipynb") else folder("templates") / f"{name}.ipynb"
    known = f"templates: {', '.join(templates())}; or name a notebook, PATH.ipynb"
    if not name.endswith(".ipynb") and name not in templates():
        raise errors.ReportError(f"there is no template {name!r}", hint=known)
    try:
        content = reading.content(place, _LONGEST)
        cells = json.loads(content)["cells"]
        sources = [(c["cell_type"], _tags(c), _text(c["source"])) for c in cells]
    except OSError as exc:
        raise errors.ReportError(f"{place} cannot be read: {exc.strerror}", hint=known) from exc
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise errors.ReportError(f"{place} is no notebook", hint="templates are Jupyter notebooks, format 4") from exc
    return Template(
        name=_safe(place.stem),
        path=place,
        title=_heading(sources) or place.stem,
        parameters=_parameters(place, sources),
        cells=sum(kind == "code" and bool(text.strip()) for kind, _, text in sources),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _safe(stem: str) -> str:
    """A name for files in the case."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", stem).strip(".-") or "report"


def _tags(cell: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(cell.get("metadata", {}).get("tags", ()))


def _text(source: str | list[str]) -> str:
    return source if isinstance(source, str) else "".join(source)


def _heading(sources: list[tuple[str, tuple[str, ...], str]]) -> str | None:
    for kind, _, text in sources:
        if kind == "markdown" and (found := re.search(r"^#\s+(.+)$", text, re.MULTILINE)):
            return found[1].strip()
    return None


def _parameters(place: Path, sources: list[tuple[str, tuple[str, ...], str]]) -> tuple[str, ...]:
    """Names set in the parameters cell; raises `ReportError` when there is no such cell or it sets no `case`."""
    cell = next((text for kind, tags, text in sources if kind == "code" and "parameters" in tags), None)
    try:
        body = ast.parse(cell or "").body
    except SyntaxError as exc:
        raise errors.ReportError(f"{place}: the parameters cell is no Python: {exc.msg}") from exc
    names = [t.id for node in body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)]
    names += [n.target.id for n in body if isinstance(n, ast.AnnAssign) and isinstance(n.target, ast.Name)]
    if "case" not in names:
        raise errors.ReportError(
            f"{place} has no parameters cell that sets `case`",
            hint='tag a code cell `parameters` and let it say case = "."',
        )
    return tuple(names)
