"""A private copy of the source at a revision, with a patch applied when there is one."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from shadowlab import errors
from shadowlab.source import Source

_THEN = 1_577_836_800
"""2020-01-01, what a replay's clock says while the service is imported."""


@contextlib.contextmanager
def tree_of(source: Source, revision: str, patch: str | None = None) -> Iterator[Path]:
    """The tree at `revision`, patched; gone when the block ends. The original is never written.

    Raises `SourceError` when there is no such revision, `PatchError` when the unified diff does not apply.
    """
    with source.checked_out(revision) as folder:
        if patch is not None:
            apply(folder, patch)
        yield folder


def apply(folder: Path, patch: str, *, reverse: bool = False) -> None:
    """Apply a unified diff to a private copy; raises `PatchError`. Paths cannot lead out of the folder."""
    if not patch.strip():
        raise errors.PatchError("the patch is empty", hint="name a unified diff, as `git diff` writes it")
    content = (patch if patch.endswith("\n") else f"{patch}\n").encode()
    if b"\n@@" not in content and b"diff --git" not in content:
        raise errors.PatchError("the patch holds no change", hint="name a unified diff, as `git diff` writes it")
    _git(folder, content, "--whitespace=nowarn", *(["--reverse"] if reverse else []))
    # A replay may look at a file's time: it must not be that of the patching.
    for line in _git(folder, content, "--numstat", "-z").split(b"\0"):
        path = folder / os.fsdecode(line.rpartition(b"\t")[2])
        if line and path.is_file() and not path.is_symlink():
            os.utime(path, (_THEN, _THEN))


def _git(folder: Path, patch: bytes, *words: str) -> bytes:
    # Without a ceiling git would take the paths as those of a repository that happens to lie above.
    environment = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "GIT_CEILING_DIRECTORIES": str(folder.parent),
                   "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}  # fmt: skip
    done = subprocess.run(["git", "apply", *words, "-"], cwd=folder, input=patch, capture_output=True, env=environment)
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().removeprefix("error: ").splitlines() or [
            "git refused it"
        ]
        raise errors.PatchError(
            f"the patch does not apply: {complaint[0][:300]}",
            hint="make it again against the revision that is replayed",
        )
    return done.stdout
