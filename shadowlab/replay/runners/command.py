"""A runner of the user's own: any program that keeps the contract."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
from pathlib import Path

from shadowlab import errors
from shadowlab.replay.environments import Environment, interpreters
from shadowlab.replay.runners import Tool
from shadowlab.source import Service

READS = "SHADOWLAB_RUNNER_READS"
"""Names further paths that runners may read, separated by colons; a tree may not choose them."""
_PROGRAMS = ("/usr/bin", "/bin", "/usr/local/bin")


class Command:
    """Runs `runner` of `shadowlab.toml`: a program of the tree, or one that is installed."""

    def __init__(self, line: str) -> None:
        self._line = line

    def prepared(self, tree: Path, service: Service, folder: Path) -> Tool:
        """The program as it lies in the tree or on the path; raises `SourceError` when there is none."""
        words = shlex.split(self._line)
        own = (tree / words[0]).resolve() if words else tree
        inside = own.is_relative_to(tree) and own.is_file()
        found = str(own) if inside else shutil.which(words[0]) if words else None
        if found is None or not os.access(found, os.X_OK):
            raise errors.SourceError(
                f"the runner {self._line!r} is no program of the tree, and none that is installed",
                hint="make it executable and name it with its path in the tree; docs/runners.md says what it does",
            )
        program = Path(found).resolve()
        digest = hashlib.sha256(program.read_bytes()).hexdigest()
        allowed = tuple(place for place in os.environ.get(READS, "").split(":") if place)
        return Tool(
            command=(str(program), *words[1:]),
            tree=tree,
            environment=Environment(interpreter=interpreters.here(), digest=digest, how=f"the runner `{self._line}`",
                                    packages={}, runtime=f"runner {words[0]}"),
            readable=(str(program), *_PROGRAMS, *allowed),
        )  # fmt: skip
