"""`shadowlab lab` opens a notebook about the case in a real JupyterLab."""

import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from shadowlab import errors
from shadowlab.case import open_case
from shadowlab.lab import notebook_for


def test_the_notebook_is_about_the_case_and_is_kept(tmp_path: Path) -> None:
    open_case(tmp_path / "checkout-5xx")
    place = notebook_for(tmp_path / "checkout-5xx")
    assert place == tmp_path / "checkout-5xx.ipynb"
    assert "case = 'checkout-5xx'" in place.read_text()
    place.write_text("mine")
    assert notebook_for(tmp_path / "checkout-5xx").read_text() == "mine"


def test_a_folder_that_is_no_case_gets_no_notebook(tmp_path: Path) -> None:
    with pytest.raises(errors.CaseError, match="is no case"):
        notebook_for(tmp_path)
    assert list(tmp_path.parent.glob(f"{tmp_path.name}.ipynb")) == []


@pytest.mark.slow
def test_jupyterlab_serves_the_notebook(tmp_path: Path) -> None:
    open_case(tmp_path / "case")
    own = {f"JUPYTER_{name}_DIR": str(tmp_path / name) for name in ("CONFIG", "DATA", "RUNTIME")}
    lab = subprocess.Popen(
        [sys.executable, "-m", "shadowlab", "lab", str(tmp_path / "case")],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **own, "BROWSER": "true"},
    )  # fmt: skip
    try:
        assert lab.stderr is not None
        found = next(m for line in lab.stderr if (m := re.search(r"(http://127\.0\.0\.1:\d+)/lab\S*token=(\w+)", line)))
        assert _asked(f"{found[1]}/api/contents/case.ipynb?token={found[2]}")["type"] == "notebook"
    finally:
        lab.terminate()
        lab.wait(timeout=30)


def _asked(url: str) -> dict[str, Any]:
    """The JSON at `url`, once the server that has announced itself also listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
