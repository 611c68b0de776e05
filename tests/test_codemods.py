"""Every codemod keeps its promise, and what it makes is runnable Python in good style."""

import subprocess
import sys
from pathlib import Path

import pytest

from shadowlab.propose.codemods import CODEMODS, Codemod, Example, Rewrite
from shadowlab.propose.codemods.imports import add_import
from shadowlab.propose.timing import cost_ms

EVERY = [pytest.param(codemod, example, id=example.name) for codemod in CODEMODS for example in codemod.examples]


@pytest.mark.parametrize(("codemod", "example"), EVERY)
def test_codemods_do_what_their_examples_say(codemod: Codemod, example: Example):
    made = codemod.rewrite(example.before, example.site, example.variant)
    if example.after is None:
        assert isinstance(made, str)
        assert example.declines in made
    else:
        assert isinstance(made, Rewrite)
        assert made.text == example.after


@pytest.mark.parametrize(("codemod", "example"), [e for e in EVERY if e.values[1].after is not None])
def test_a_codemods_test_fails_before_and_passes_after(codemod: Codemod, example: Example, tmp_path: Path):
    made = codemod.rewrite(example.before, example.site, example.variant)
    assert isinstance(made, Rewrite)
    home = tmp_path / example.site.file
    home.parent.mkdir()
    call = "".join(f"\n{name}()" for name in made.test_names)
    (tmp_path / "run.py").write_text(made.test + call + "\n")
    for text, passes in ((example.before, False), (made.text, True)):
        home.write_bytes(text.encode())
        done = subprocess.run([sys.executable, "-B", "run.py"], cwd=tmp_path, capture_output=True, text=True)
        assert (done.returncode == 0) is passes, done.stderr


def test_what_a_codemod_makes_is_clean_under_ruff_and_mypy_strict(tmp_path: Path):
    for number, (codemod, example) in enumerate(e.values for e in EVERY):
        made = codemod.rewrite(example.before, example.site, example.variant)
        if isinstance(made, Rewrite) and "->" in example.before:
            (tmp_path / f"made_{number}.py").write_bytes(made.text.encode())
    rules = ["check", "--isolated", "--select", "E,F,I,B,UP", "--line-length", "88", "."]
    ruff = subprocess.run([sys.executable, "-m", "ruff", *rules], cwd=tmp_path, capture_output=True, text=True)
    assert ruff.returncode == 0, ruff.stdout
    words = ["--strict", "--ignore-missing-imports", "--cache-dir", str(tmp_path / "cache"), "."]
    mypy = subprocess.run([sys.executable, "-m", "mypy", *words], cwd=tmp_path, capture_output=True, text=True)
    assert mypy.returncode == 0, mypy.stdout


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import json\n", "import json\nfrom decimal import Decimal\n"),
        ("import json\nfrom typing import Any\n", "import json\nfrom decimal import Decimal\nfrom typing import Any\n"),
        ("from decimal import ROUND_UP\nimport json\n", "from decimal import ROUND_UP, Decimal\nimport json\n"),
        ("from abc import ABC\n\nimport x\n", "from decimal import Decimal\nfrom abc import ABC\n\nimport x\n"),
        ('"""Doc."""\n\nimport httpx\n', '"""Doc."""\n\nfrom decimal import Decimal\n\nimport httpx\n'),
    ],
)
def test_an_import_goes_where_the_file_keeps_its_own(before: str, after: str):
    import libcst as cst

    module = cst.parse_module(before)
    made = module.with_changes(body=add_import(module.body, "decimal", "Decimal", beside="json"))
    assert made.code == after


def test_a_codemods_cost_is_measured_and_never_nothing():
    codemod, example = EVERY[0].values
    made = codemod.rewrite(example.before, example.site, example.variant)
    assert isinstance(made, Rewrite)
    assert 0 < cost_ms(made.timed) < 5
