"""The tutorials: nothing of a run is kept in git, and each runs from top to bottom."""

import re
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

import shadowlab as sl
from shadowlab.bundle import folder
from shadowlab.case import open_case
from shadowlab.report.run import OwnKernel
from tests.conftest import Told

NOTEBOOKS = sorted(folder("notebooks").glob("*.ipynb"))
TEMPLATES = sorted(folder("templates").glob("*.ipynb"))


def executed(tutorial: str, case: Path) -> dict[str, list[Any]]:
    """The outputs of a tutorial's code cells, by the cell's id, when it is run on a case."""
    done = papermill.execute_notebook(
        str(folder("notebooks") / f"{tutorial}.ipynb"), None, {"case": str(case)},
        kernel_name="python3", progress_bar=False, kernel_manager_class=OwnKernel, cwd=str(case.parent),
    )  # fmt: skip
    return {cell.id: cell.outputs for cell in done.cells if cell.cell_type == "code"}


@pytest.mark.parametrize("place", [*NOTEBOOKS, *TEMPLATES], ids=lambda place: place.stem)
def test_a_notebook_in_git_has_no_outputs_and_keeps_its_form(place: Path):
    notebook = nbformat.read(place, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(not cell.outputs and cell.execution_count is None for cell in code)
    assert all(re.fullmatch(r"[a-z-]+", cell.id) for cell in notebook.cells)
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert next(cell for cell in code if "parameters" in cell.metadata.get("tags", [])).source.startswith("case = ")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_first_tutorial_runs_from_top_to_bottom(told: Told, tmp_path: Path):
    case = told.copy(tmp_path)
    shown = executed("01-first-incident", case)
    assert not any(
        output.output_type == "stream" and output.name == "stderr" for out in shown.values() for output in out
    )
    for view in ("suspects", "diff", "propose", "gate"):
        assert "application/vnd.jupyter.widget-view+json" in shown[view][-1].data
        assert "<table" in shown[view][-1].data["text/html"]
    for figure in ("burn", "timeline", "waterfall", "intervals"):
        assert "image/svg+xml" in shown[figure][-1].data
    inv = sl.open(open_case(case).path)
    assert inv.latest(sl.GateReport).verdict == "pass"
    assert inv.verify().verdict == "pass"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_second_tutorial_proves_names_and_compares(told: Told, tmp_path: Path):
    case = told.copy(tmp_path)
    shown = executed("02-replay-and-divergence", case)
    assert "reproduced" in shown["proved"][-1].data["text/html"]
    assert "observed-uncontrolled" in shown["named"][-1].data["text/html"]
    assert "perturbation" in shown["named"][-1].data["text/html"]
    assert "pass: 4 fixed, 4 unchanged" in shown["compare"][-1].data["text/plain"]
    assert "diverged\n  recorded: POST /charges -> 500 TypeError" in shown["diverged"][-1].text
    assert "returned becomes RuntimeError" in shown["explore"][-1].data["text/plain"]
    assert "reproduced 10/10" in shown["found"][-1].data["text/plain"]
    inv = sl.open(open_case(case).path)
    assert inv.latest(sl.Minimised).parts[-1].after == 1
    assert inv.verify().verdict == "pass"
