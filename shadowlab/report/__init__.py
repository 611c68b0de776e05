"""Fill a notebook template from a case and run it.

What is written: an executed notebook, a page that needs no network, and a signed statement over both. A template that
fails, or a disk without room for them, leaves the three as they were.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

import shadowlab
from shadowlab import writing
from shadowlab.audit import statements
from shadowlab.case import Case
from shadowlab.progress import Progress
from shadowlab.records import STORY, Report
from shadowlab.report.templates import Template, find, templates

__all__ = ["PREDICATE", "Template", "find", "render", "templates"]

PREDICATE = "urn:shadowlab:report:v1"
"""The `predicateType` of a report's statement."""


def render(
    case: Case,
    template: str,
    parameters: Mapping[str, Any],
    *,
    progress: Progress | None = None,
) -> Report:
    """Run `template` (a name, or the path of a notebook of your own) over a case.

    Writes `reports/<name>.ipynb`, `.html` and `.statement.json`. `parameters` fill the template's parameters cell; they
    are readable in the notebook, so no secret belongs there. Raises `ReportError` with the failing cell's error.
    """
    from shadowlab.report import clean, page, run

    chosen = find(template)
    chosen.accept(parameters)
    notebook = run.execute(chosen, parameters, folder=case.reports, progress=progress)
    content = clean.tidy(notebook, chosen, case)
    shown = page.page(content, title=chosen.title).encode()
    written = {f"{chosen.name}.ipynb": content.encode(), f"{chosen.name}.html": shown}
    digests = {name: hashlib.sha256(bytes_).hexdigest() for name, bytes_ in written.items()}
    with case.writing("report"), ExitStack() as places:  # each is in its place when all of them have room
        for name, bytes_ in written.items():
            file = places.enter_context(writing.written(case.reports / name))
            file.write(bytes_)
            file.flush()
        statement = statements.sign(
            case,
            subjects=list(digests.items()),
            predicate_type=PREDICATE,
            predicate=_predicate(case, chosen, parameters),
            name=chosen.name,
        )
    return Report(
        notebook=f"reports/{chosen.name}.ipynb",
        html=f"reports/{chosen.name}.html",
        statement=statement.relative_to(case.path).as_posix(),
        template=chosen.name,
        notebook_sha256=digests[f"{chosen.name}.ipynb"],
        html_sha256=digests[f"{chosen.name}.html"],
    )


def _predicate(case: Case, template: Template, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """What the statement says of the two files: how they were made, and from which records."""
    kept = {kind.__name__: record.digest for kind in STORY if (record := case.latest(kind.__name__)) is not None}
    return {
        "template": {"name": template.name, "digest": {"sha256": template.sha256}},
        "parameters": {name: str(value) for name, value in parameters.items()},
        "records": kept,
        "version": shadowlab.__version__,
    }
