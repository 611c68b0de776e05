"""Stand-ins are put into a library when it is imported, whatever was done before that."""

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from shadowlab.replay.inside.import_hooks import ImportHooks

NAMES = ("late_one", "late_two")


@pytest.fixture
def came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the libraries that arrived, in order."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text("THERE = True\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    came: list[str] = []
    ImportHooks({name: lambda module: came.append(module.__name__) for name in NAMES}).install()
    yield came
    for name in NAMES:
        sys.modules.pop(name, None)


def test_a_library_that_was_only_looked_for_is_still_waited_for(came: list[str]) -> None:
    assert importlib.util.find_spec("late_one") is not None
    assert came == []
    importlib.import_module("late_one")
    assert came == ["late_one"]


def test_a_library_keeps_its_own_loader(came: list[str]) -> None:
    module = importlib.import_module("late_one")
    assert type(module.__spec__.loader) is type(importlib.import_module("json").__spec__.loader)
