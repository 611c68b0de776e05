"""Packages that are imported once for many replays change no outcome."""

import sys
from pathlib import Path

import orders

from shadowlab.replay import Runner, preload
from shadowlab.replay.sandboxes import shared


def tree(folder: Path, lock: str) -> Path:
    folder.mkdir()
    (folder / "lock.txt").write_text(lock)
    (folder / "tests").mkdir()
    (folder / "tests" / "test_it.py").write_text("import sqlalchemy.orm\n")
    (folder / "httpx.py").write_text("")
    (folder / "app.py").write_text("import os, fastapi.responses\nfrom . import x\nimport httpx\nimport no.such\n")
    (folder / "broken.py").write_text("def :\n")
    return folder


def test_what_the_code_imports_of_the_lock_s_packages_is_known(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree", "fastapi==0.1\nhttpx==0.1\nsqlalchemy==2\nnot-installed==1\n")
    assert preload.modules(place, "lock.txt", sys.path) == ("fastapi.responses",)
    assert preload.modules(place, None, sys.path) == ()


def test_a_lock_outside_of_the_tree_is_not_read(tmp_path: Path) -> None:
    place = tree(tmp_path / "tree", "")
    (tmp_path / "lock.txt").write_text("fastapi==0.1\n")
    (place / "link.txt").symlink_to(tmp_path / "lock.txt")
    assert preload.modules(place, "../lock.txt", sys.path) == preload.modules(place, "link.txt", sys.path) == ()


def test_outcomes_are_equal_with_and_without_what_was_imported_beforehand() -> None:
    told, digests = orders.fixture(orders.passing()), set()
    for lock in ("requirements.lock", "requirements.lock", None):
        service = orders.service()
        unlocked = type(service)(name=service.name, entrypoint=service.entrypoint, kind=service.kind, lock=lock)
        with Runner(orders.TREE, unlocked) as runner:
            digests.add(runner.run(told, repeats=1, perturb=False)[0].digest)
    assert len(digests) == 1
    assert shared._shared
    shared.end_all()
    assert not shared._shared
