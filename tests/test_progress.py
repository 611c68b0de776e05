"""The bar in a notebook: shown while work is done, gone afterwards, hostile words stay text."""

import nbformat
import papermill

from shadowlab.progress import NotebookBars
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
STEPS = "for n in range(3):\n    bars(f'step {n}', n, 3)"
LATER = "bars('another', 1, 3)"


def test_a_saved_notebook_holds_no_dead_bars(tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in (WORK, HALF, STEPS, LATER)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "in.ipynb")
    done = papermill.execute_notebook(
        str(tmp_path / "in.ipynb"), None, kernel_name="python3", language="python", progress_bar=False,
        kernel_manager_class=OwnKernel,
    )  # fmt: skip
    shown = [[output.data["text/html"] for output in cell.outputs] for cell in done.cells]
    assert shown == [[""], [""], [""], [""]]


def test_one_bar_is_shown_at_a_time_and_hostile_words_stay_text(monkeypatch):
    shown = []
    bars = NotebookBars()
    monkeypatch.setattr(bars, "_show", shown.append)
    bars("first", 0, 3)
    bars("still <i>running</i>", 1, 3)
    assert len(shown) == 2
    assert shown[1].count("<progress") == 1
    assert "<progress value='1' max='3'></progress> still &lt;i&gt;running&lt;/i&gt; 1 of 3" in shown[1]
