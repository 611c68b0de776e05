"""The views in a real JupyterLab, clicked by a real browser."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from made import case_in
from playwright.sync_api import Page, expect, sync_playwright

pytestmark = pytest.mark.slow
expect.set_options(timeout=60_000)

CELLS = (
    "import shadowlab as sl\nfrom shadowlab import widgets\ninv = sl.open('case')",
    "chosen = widgets.Suspects(inv.latest(sl.Triage), inv=inv)\nchosen",
    "review = widgets.PatchReview(inv.latest(sl.Proposal))\nreview",
    "inv.plots.gates(inv.latest(sl.GateReport))",
    "print('CHOSEN', chosen.selected.title, '|', review.decision)",
)
QUIET = "--no-first-run --disable-background-networking --disable-component-update --disable-sync --disable-quic"
CHROMIUM = ["--no-sandbox", "--disable-gpu", *QUIET.split()]


def notebook(place: Path) -> None:
    """Cells that show the views of a case made by hand."""
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in CELLS])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(made, place)


def settled(folder: Path) -> dict[str, str]:
    """An environment in which the lab reads and writes nothing of this person's, and asks nobody for news."""
    quiet = folder / "settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps({"fetchNews": "false", "checkForUpdates": False}))
    names = ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR")
    own = {f"JUPYTER_{name}": str(folder / name.lower()) for name in names}
    lab = {"JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTERLAB_WORKSPACES_DIR": str(folder / "spaces")}
    return {**os.environ, **own, **lab}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running JupyterLab over a case and a notebook; its address with the token."""
    root = tmp_path_factory.mktemp("lab")
    case_in(root / "case")
    notebook(root / "views.ipynb")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = (
        f"-m jupyterlab --no-browser --ip=127.0.0.1 --port={port} --ServerApp.port_retries=0 --allow-root "
        "--IdentityProvider.token=T --LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate "
        f"--LabApp.extension_manager=readonly --LabApp.expose_app_in_browser=True --ServerApp.root_dir={root}"
    )
    log = (root / "lab.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, *words.split()], env=settled(tmp_path_factory.mktemp("own")), stderr=log, stdout=log
    )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/status?token=T", server)
        yield f"http://127.0.0.1:{port}/lab/tree/views.ipynb?token=T"
    finally:
        server.terminate()
        server.wait(timeout=20)
        log.close()


def _wait_for(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert server.poll() is None, "JupyterLab ended before it answered"
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except OSError:
            time.sleep(0.25)
    raise AssertionError("JupyterLab did not answer within a minute")


@pytest.fixture
def page(lab: str) -> Iterator[Page]:
    """The notebook, opened and run."""
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        shown = browser.new_page(viewport={"width": 1300, "height": 1600})
        shown.goto(lab)
        shown.wait_for_selector(".jp-Notebook .jp-Cell", timeout=60_000)
        shown.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'", timeout=60_000
        )
        do(shown, "notebook:run-all-cells")
        yield shown
        browser.close()


def do(page: Page, command: str) -> None:
    """Start a command of the lab; nobody waits for its promise."""
    page.evaluate(f"() => {{ window.jupyterapp.commands.execute('{command}') }}")


def test_a_suspect_is_chosen_and_a_patch_rejected_with_a_reason(page: Page):
    page.get_by_role("option", name="ReadTimeout: gateway").click(timeout=60_000)
    expect(page.get_by_role("option", name="ReadTimeout: gateway")).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("option", name="ReadTimeout: gateway")).to_contain_text("4 events · 0 recordings")
    page.get_by_label("reason").fill("round it instead")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".sl-decided")).to_have_text("rejected: round it instead")
    expect(page.locator(".js-plotly-plot")).to_be_visible()
    page.locator(".jp-Cell").nth(4).click()
    do(page, "notebook:run-cell")
    told = page.locator(".jp-OutputArea-output").filter(has_text="CHOSEN ReadTimeout: gateway |")
    expect(told).to_contain_text("accepted=False, reason='round it instead'")
    if place := os.environ.get("SHADOWLAB_SCREENSHOT"):
        page.screenshot(path=place)


def test_a_verb_that_fails_says_so_in_its_view(page: Page):
    page.get_by_role("button", name="Replay it 20 times").click(timeout=60_000)
    expect(page.locator(".sl-failed")).to_contain_text("hint:")
