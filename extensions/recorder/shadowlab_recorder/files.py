"""Which files under a declared root a request reads, and what was in them."""

from __future__ import annotations

import builtins
import io
import os
from pathlib import Path
from typing import Any

from shadowlab_recorder.body import Body
from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import current

_roots: list[str] = []
_FILES_LIMIT = 50
_open = builtins.open


def watch(roots: tuple[str, ...]) -> None:
    """Files that are opened for reading under these folders are kept from now on, as they are when they are opened."""
    _roots.extend(os.path.realpath(root) + os.sep for root in roots if os.path.realpath(root) + os.sep not in _roots)
    if builtins.open is _open:
        builtins.open = io.open = _noted_open


def _noted_open(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
    if "r" in mode and "+" not in mode and not isinstance(file, int) and current() is not None:
        quietly(_note, file)
    return _open(file, mode, *args, **kwargs)


def _note(file: Any) -> None:
    place = os.path.realpath(os.fsdecode(file))
    root = next((root for root in _roots if place.startswith(root)), None)
    tape = current()
    if root is None or tape is None or place in tape.files or not os.path.isfile(place):
        return
    if len(tape.files) >= _FILES_LIMIT:
        tape.files_lost = True
        return
    body = Body(tape.request_body.limit, tape.room)
    with _open(place, "rb") as opened:
        while piece := opened.read(1 << 16):
            body.add(piece)
            if body.cut:
                body.size = max(body.size, os.path.getsize(place))
                break
    tape.files[place] = (Path(place).relative_to(root).as_posix(), body)
