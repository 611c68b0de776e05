"""Reports: what a template makes of a case, what it leaves out, and what becomes of a bad one."""

import json
import re
import resource
from pathlib import Path

import nbformat
import pytest
from made import case_in, triage
from playwright.sync_api import sync_playwright

import shadowlab as sl
from shadowlab import errors, report, views
from shadowlab.audit import statements, verify
from shadowlab.bundle import folder
from shadowlab.case import Case
from shadowlab.report.page import page

CELLS = (
    ("code", ["parameters"], 'case = "."\ngreeting = "hello"'),
    ("markdown", [], "# A <report>\n\n## First part\n\nwords"),
    ("code", [], "import shadowlab as sl\nfrom shadowlab import views\ninv = sl.open(case, create=False)"),
    ("code", [], "views.glance(inv.latest(sl.Triage))"),
    ("code", [], 'import sys, plotly.graph_objects as go\nprint(greeting, sys.prefix, "<script>alert(1)</script>")'),
    ("code", [], "go.Figure(go.Bar(x=['a'], y=[1]), layout={'title': 'a figure'})"),
)


def template(place: Path, cells: tuple[tuple[str, list[str], str], ...] = CELLS) -> str:
    notebook = nbformat.v4.new_notebook()
    for number, (kind, tags, source) in enumerate(cells):
        make = nbformat.v4.new_code_cell if kind == "code" else nbformat.v4.new_markdown_cell
        cell = make(source, id=f"c{number}")
        cell.metadata["tags"] = tags
        notebook.cells.append(cell)
    nbformat.write(notebook, place)
    return str(place)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Case, report.Report, list[tuple[str, int, int]]]:
    folder = tmp_path_factory.mktemp("report")
    case, told = case_in(folder / "case"), []
    done = report.render(
        case, template(folder / "own.ipynb"), {"greeting": "bonjour"}, progress=lambda *step: told.append(step)
    )
    return case, done, told


def notebook_of(made) -> str:
    return (made[0].path / made[1].notebook).read_text()


def page_of(made) -> str:
    return (made[0].path / made[1].html).read_text()


def test_the_notebook_is_valid_and_holds_its_results(made):
    notebook = nbformat.reads(notebook_of(made), as_version=4)
    nbformat.validate(notebook)
    assert "bonjour" in notebook_of(made)
    assert "29× over 5m" in notebook_of(made)
    assert not any(out.output_type == "error" for c in notebook.cells for out in c.get("outputs", ()))


def test_nothing_of_this_machine_is_in_the_notebook_or_the_page(made):
    for text in (notebook_of(made), page_of(made)):
        for leak in (str(made[0].path), str(Path.home()) + "/", "papermill", "start_time", "kernel-"):
            assert leak not in text


def test_the_same_case_gives_the_same_notebook(made, tmp_path):
    again = report.render(made[0], template(tmp_path / "own.ipynb"), {"greeting": "bonjour"})
    assert again == made[1]


def test_a_figure_is_live_and_static_in_the_notebook(made):
    notebook = json.loads(notebook_of(made))
    content = notebook["cells"][-1]["outputs"][0]["data"]
    assert {"application/vnd.plotly.v1+json", "image/svg+xml"} <= content.keys()
    assert "a figure" in "".join(content["image/svg+xml"])


def test_the_page_fetches_nothing_and_runs_only_its_own_scripts(made):
    page = page_of(made)
    shell = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert "default-src 'none'" in shell
    assert not re.search(r"""(?:src|href)=["']?(?:https?:)?//""", shell)
    assert "<script>alert" not in shell
    assert "&lt;script&gt;alert(1)" in shell
    assert page.count("plotly.js v") == 1


def test_the_page_links_to_its_parts_and_has_a_title(made):
    assert "<title>A &lt;report&gt;</title>" in page_of(made)
    assert '<a href="#First-part">First part</a>' in page_of(made)


def test_the_links_stand_behind_the_title_or_before_everything():
    titled = [{"cell_type": "markdown", "source": "# Title\n\n## Part"}]
    assert re.search(r"<main>.*</h1><nav><ol><li>", page(json.dumps({"cells": titled}), title="t"), re.DOTALL)
    bare = [{"cell_type": "markdown", "source": "## Part"}]
    assert re.search(r"<main>\s*<nav><ol><li>", page(json.dumps({"cells": bare}), title="t"))


@pytest.mark.slow
def test_a_narrow_screen_begins_with_the_title_and_paper_squeezes_as_it_must(tmp_path):
    wide = views.grid([f"heading {n}" for n in range(8)], [["some words"] * 8], alt="wide").html
    table = {"output_type": "execute_result", "data": {"text/html": wide}}
    cells = [{"cell_type": "markdown", "source": "# Title\n\n## Part"},
             {"cell_type": "code", "source": "table", "outputs": [table]}]  # fmt: skip
    (tmp_path / "page.html").write_text(page(json.dumps({"cells": cells}), title="t"))
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"])
        shown = browser.new_context(offline=True, viewport={"width": 420, "height": 800}).new_page()
        shown.goto((tmp_path / "page.html").as_uri())
        title, links = (shown.locator(part).bounding_box() for part in ("h1", "nav"))
        assert title["y"] + title["height"] <= links["y"]
        assert shown.evaluate("document.documentElement.scrollWidth") == 420
        places = [one.bounding_box() for one in shown.locator("td").all()]
        assert all(one["x"] + one["width"] <= 420 for one in places)
        assert [one["y"] for one in places] == sorted({one["y"] for one in places})  # under each other
        heading = "cell => getComputedStyle(cell, '::before').content"
        assert shown.locator("td").nth(7).evaluate(heading) == '"heading 7"'
        shown.emulate_media(media="print")
        assert shown.locator("th").nth(7).is_visible()
        assert shown.locator("table").bounding_box()["width"] < 800
        browser.close()


def test_the_statement_speaks_of_both_files_and_their_records(made):
    case, done, _ = made
    statement, _ = statements.read(case.path / done.statement)
    assert statement["subject"] == {"own.ipynb": done.notebook_sha256, "own.html": done.html_sha256}
    assert statement["predicateType"] == report.PREDICATE
    assert statement["predicate"]["records"]["Triage"] == triage().digest
    assert verify.verify_notebook(case.path / done.notebook).verdict == "pass"
    assert verify.verify_notebook(case.path / done.html).verdict == "pass"


def test_an_investigation_in_a_notebook_is_the_incident_at_a_glance(made):
    html = sl.open(made[0].path)._repr_html_()
    assert f"&lt;Investigation {made[0].path}&gt;" in html
    assert "29× over 5m" in html
    assert "8 of 8 gates" in html


def test_progress_is_told_cell_by_cell(made):
    assert made[2][0] == ("report own", 1, 6)
    assert made[2][-1] == ("report own", 6, 6)


def test_a_failing_cell_is_one_message_and_leaves_the_case_as_it_was(tmp_path):
    case = case_in(tmp_path / "case")
    bad = template(tmp_path / "bad.ipynb", (*CELLS[:3], ("code", [], "inv.latest(sl.Triage).nonsense")))
    with pytest.raises(errors.ReportError, match=r"stopped in this cell: AttributeError: .*nonsense"):
        report.render(case, bad, {})
    assert list(case.reports.iterdir()) == []


def test_a_disk_without_room_for_the_page_leaves_the_report_as_it_was(tmp_path):
    """No file may grow beyond the notebook and a little more, as if the disk were full."""
    case, own = case_in(tmp_path / "case"), template(tmp_path / "own.ipynb")
    report.render(case, own, {"greeting": "bonjour"})
    before = {place.name: place.read_bytes() for place in case.reports.iterdir()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before["own.ipynb"]) + 50_000, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            report.render(case, own, {"greeting": "hello"})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {place.name: place.read_bytes() for place in case.reports.iterdir()} == before


def test_a_kernel_that_dies_is_one_message_and_this_process_stays_where_it_is(tmp_path):
    case, before = case_in(tmp_path / "case"), Path.cwd()
    bad = template(tmp_path / "bad.ipynb", (*CELLS[:3], ("code", [], "import os\nprint(os.getcwd())\nos._exit(1)")))
    with pytest.raises(errors.ReportError, match="template bad did not run: DeadKernelError"):
        report.render(case, bad, {})
    assert Path.cwd() == before
    assert list(case.reports.iterdir()) == []


def test_a_template_or_parameter_that_is_not_there_is_named(tmp_path):
    known = ", ".join(report.templates())
    case = case_in(tmp_path / "case")
    with pytest.raises(errors.ReportError, match=rf"there is no template 'nonsense'\nhint: templates: {known};"):
        report.render(case, "nonsense", {})
    with pytest.raises(errors.ReportError, match="template own has no parameter 'size'\nhint: it has greeting"):
        report.render(case, template(tmp_path / "own.ipynb"), {"size": 3})
    with pytest.raises(errors.ReportError, match="has no parameters cell that sets `case`"):
        report.find(template(tmp_path / "none.ipynb", CELLS[1:]))
    (tmp_path / "foreign.ipynb").write_text("no notebook")
    with pytest.raises(errors.ReportError, match="is no notebook"):
        report.find(str(tmp_path / "foreign.ipynb"))
    (tmp_path / "endless.ipynb").symlink_to("/dev/zero")
    with pytest.raises(errors.ReportError, match="cannot be read: it is longer than 64,000,000 bytes"):
        report.find(str(tmp_path / "endless.ipynb"))


def test_modules_in_the_case_folder_are_not_imported(tmp_path):
    case = case_in(tmp_path / "case")
    for name in ("ipykernel_launcher.py", "shadowlab.py", "plotly.py"):
        (case.reports / name).write_text("raise SystemExit('a module of the case was imported')")
    assert report.render(case, template(tmp_path / "own.ipynb"), {}).template == "own"


@pytest.mark.parametrize("name", report.templates())
def test_a_template_keeps_its_form(name: str):
    chosen = report.find(name)
    notebook = nbformat.read(chosen.path, as_version=4)
    assert chosen.parameters[0] == "case"
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert len(cell.source.splitlines()) <= 5
            assert not cell.outputs
            assert cell.execution_count is None
        assert re.fullmatch(r"[a-z-]+", cell.id)


@pytest.mark.slow
@pytest.mark.parametrize("full", [True, False])
def test_the_first_ten_minutes_run_on_a_full_and_on_an_empty_case(tmp_path: Path, full: bool):
    inv = sl.open(tmp_path / "case")
    if full:
        data = folder("data") / "payments-decimal"
        inv.ingest(data / "traces.otlp.jsonl.gz", data / "logs.otlp.jsonl.gz")
        inv.triage(slo=data / "objective.openslo.yaml")
    page = (inv.case.path / inv.report(template="triage").html).read_text()
    assert ("gateway timed out" in page) is full
    assert ("Not done yet" in page) is not full
