"""Which names of the environment the tree's own code asks for: a value that nobody recorded is seen to be missed."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

ALL = "(all of it)"
_BETWEEN = {code.__code__.co_filename for code in (os.getenv, os.path.expandvars, Mapping.get)}
"""Files of frames that stand between who asks and the environment: `os.getenv`, `os.path.expandvars`."""


class Asked:
    """Names that code below `tree` asked for since it was imported, whether they had a value or not."""

    def __init__(self) -> None:
        self.names: set[str] = set()
        self.tree = ""

    def install(self) -> None:
        """Begin to see; `os.environ` and `os.environb` hold the same names."""
        import posix

        seen = _Seen(vars(os.environ)["_data"])
        seen.asked = self
        vars(os.environ)["_data"] = vars(os.environb)["_data"] = seen
        posix.environ.clear()

    def note(self, name: str) -> None:
        """Write one name down when the tree's own code asks for it, not a library."""
        if not self.tree:
            return
        frame: Any = sys._getframe(2)
        while frame is not None and frame.f_code.co_filename in _BETWEEN:
            frame = frame.f_back
        if frame is not None and frame.f_code.co_filename.startswith(self.tree):
            self.names.add(name[:200])


class _Seen(dict[bytes, bytes]):
    """What lies beneath `os.environ`, by encoded names."""

    asked: Asked

    def __getitem__(self, name: bytes) -> bytes:
        self.asked.note(os.fsdecode(name))
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, bytes):
            self.asked.note(os.fsdecode(name))
        return super().__contains__(name)

    def __iter__(self) -> Iterator[bytes]:
        self.asked.note(ALL)
        return super().__iter__()

    def get(self, name: bytes, default: Any = None) -> Any:
        self.asked.note(os.fsdecode(name))
        return super().get(name, default)
