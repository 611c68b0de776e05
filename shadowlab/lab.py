"""JupyterLab on a case: a notebook beside the case folder, made once from the first tutorial."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.bundle import folder
from shadowlab.case import open_case
from shadowlab.writing import write

_FIRST = "01-first-incident.ipynb"


def open_lab(case: Path | None) -> None:
    """Become JupyterLab; on a notebook about `case` when one is named. Returns never.

    Raises `CaseError` when the folder is no case.
    """
    words = [sys.executable, "-m", "jupyterlab"]
    if os.geteuid() == 0:
        words.append("--allow-root")  # Jupyter refuses otherwise; a container often has no other user
    if case is not None:
        notebook = notebook_for(case)
        words += [f"--ServerApp.root_dir={notebook.parent}", str(notebook)]
    os.execv(sys.executable, words)


def notebook_for(case: Path) -> Path:
    """`CASE.ipynb` beside the case: the first tutorial with its `case` parameter set; kept when it is there."""
    open_case(case, create=False)
    place = case.resolve().with_suffix(".ipynb")
    if not place.exists():
        template = folder("notebooks") / _FIRST
        if not template.exists():
            raise errors.ReportError(f"the tutorial {_FIRST} is missing from this installation")
        document = json.loads(template.read_text())
        _set_case(document, case.resolve().name)
        write(place, json.dumps(document, indent=1, ensure_ascii=False).encode() + b"\n")
    return place


def _set_case(document: dict[str, Any], name: str) -> None:
    for cell in document["cells"]:
        if "parameters" in cell.get("metadata", {}).get("tags", []):
            cell["source"] = f"case = {name!r}\n"
