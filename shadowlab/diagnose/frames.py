"""Map what a traceback names to the files of the source."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from shadowlab.records import Frame

_LIBRARY = re.compile(r"(?:^|/)(?:site-packages|dist-packages|\.venv|venv|\.tox|\.nox|lib/python3(?:\.\d+)?)/")


def map_frames(frames: Sequence[Frame], *, prefixes: Sequence[str], files: Collection[str]) -> tuple[Frame, ...]:
    """`frames` with `file` relative to the tree and `in_app` set where the tree has that file.

    `prefixes` are the production folders of `shadowlab.toml`'s `frames`; `files` are the tree's paths. What lies in
    site-packages, a virtual environment or the standard library is never in-app, whatever it is called.
    """
    return tuple(_map(frame, prefixes, files) for frame in frames)


def _map(frame: Frame, prefixes: Sequence[str], files: Collection[str]) -> Frame:
    found = locate(frame.file, prefixes=prefixes, files=files)
    return replace(frame, in_app=False) if found is None else replace(frame, file=found, in_app=True)


def locate(path: str, *, prefixes: Sequence[str], files: Collection[str]) -> str | None:
    """The tree's file that production names `path`, or None when it is a library's, unknown or ambiguous."""
    path = path.replace("\\", "/")
    if path.startswith("<") or ".." in PurePosixPath(path).parts or _LIBRARY.search(path):
        return None
    inside = _strip(path, prefixes)
    if inside is not None:
        return _only([file for file in files if file == inside or file.endswith(f"/{inside}")], inside)
    if path in files:
        return path
    # Only where nobody said what production looks like may a path be guessed by its end.
    if prefixes or not path.startswith("/"):
        return None
    return max((file for file in files if path.endswith(f"/{file}")), key=len, default=None)


def _strip(path: str, prefixes: Sequence[str]) -> str | None:
    for prefix in sorted(prefixes, key=len, reverse=True):
        folder = prefix.rstrip("/") + "/"
        if path.startswith(folder):
            return path[len(folder) :]
    return None


def _only(found: Sequence[str], exact: str) -> str | None:
    """`exact` when it is there, else the only one; two files of one name are a guess, and none is made."""
    if exact in found:
        return exact
    return found[0] if len(found) == 1 else None
