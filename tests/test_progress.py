"""The bar in a notebook: shown while work is done, gone afterwards, hostile words stay text."""

import nbformat
import papermill

from shadowlab.report.run import OwnKernel

WORK = """
from shadowlab.progress import NotebookBars
bars = NotebookBars()
for n in range(1, 4):
    bars("work <b>one</b>", n, 3)
for n in range(1, 4):
    bars("work two", n, 3)
"""
HALF = "bars('cut short', 1, 3)\nbars.close()"
RUNNING = "bars('still <i>running</i>', 1, 3)"


def test_a_saved_notebook_holds_no_dead_bars(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (WORK, HALF, RUNNING)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done = papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), None, kernel_name="python3", language="python", progress_bar=False,
        kernel_manager_class=OwnKernel,
    )  # fmt: skip
    shown = [[output.data["text/html"] for output in cell.outputs] for cell in done.cells]
    assert shown[:2] == [[""], [""]]
    assert len(shown[2]) == 1
    assert "<progress value='1' max='3'></progress> still &lt;i&gt;running&lt;/i&gt; 1 of 3" in shown[2][0]
