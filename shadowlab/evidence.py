"""Which files of a case a verb wrote, and their digests, for the ledger."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shadowlab.case import Case

_TRACKED = ("telemetry", "recordings", "reports", "patches")
_TAKEN_IN = ("telemetry/", "recordings/")
_MANIFEST = "telemetry/manifest.json"
_FEW = 20
"""More files than this are named in a manifest, so that a ledger line stays readable."""


class Evidence:
    """What lay in the case when a verb began. Make it first; ask `written` when the verb is done."""

    def __init__(self, case: Case, *, known: Collection[str] | None = None) -> None:
        """`known` are paths that the ledger names: telemetry and recordings beyond them count as written.

        So what a killed run left is in the ledger with the next one's.
        """
        self._case = case
        self._told = case.path / "ledger.jsonl"
        self._already = self._told.stat().st_size if self._told.exists() else 0
        self._before = {
            path: seen
            for path, seen in self._look().items()
            if known is None or not path.startswith(_TAKEN_IN) or (path in known and path != _MANIFEST)
        }

    def written(self) -> dict[str, str | None]:
        """Path in the case to SHA-256 of every file that is new or changed; None for one that is gone.

        Many files are named by one manifest, `manifests/<sha256>.json`, of the same form.
        """
        now = self._look()
        files: dict[str, str | None] = {
            path: file_digest(self._case.path / path) for path, seen in now.items() if self._before.get(path) != seen
        }
        files |= {path: None for path in (*self._before, *self._named_since()) if path not in now}
        if len(files) <= _FEW:
            return files
        content = json.dumps(files, indent=0, sort_keys=True).encode() + b"\n"
        sha256 = hashlib.sha256(content).hexdigest()
        self._case.put(f"manifests/{sha256}.json", content)
        return {f"manifests/{sha256}.json": sha256}

    def _named_since(self) -> frozenset[str]:
        """What others told of meanwhile: a file of theirs may have come and gone between our two looks."""
        if not self._told.exists():
            return frozenset()
        with self._told.open("rb") as file:
            file.seek(self._already)
            entries = [json.loads(line) for line in file if line.endswith(b"\n")]
        return frozenset(path for path in named(self._case, entries) if path.startswith(_TRACKED))

    def _look(self) -> dict[str, tuple[int, int]]:
        seen = {}
        for folder in _TRACKED:
            for place in _visible(self._case.path / folder):
                with contextlib.suppress(FileNotFoundError):  # a receiver makes and removes files meanwhile
                    stat = place.stat()
                    seen[place.relative_to(self._case.path).as_posix()] = (stat.st_mtime_ns, stat.st_size)
        objectives = self._case.objectives
        if objectives.exists():
            stat = objectives.stat()
            seen[objectives.name] = (stat.st_mtime_ns, stat.st_size)
        return seen


def named(case: Case, entries: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Every path in the case that these ledger entries speak of, by themselves or in a manifest."""
    paths: set[str] = set()
    for entry in entries:
        paths |= entry["files"].keys()
        for path in entry["files"]:
            if path.startswith("manifests/") and (case.path / path).is_file():
                paths |= json.loads((case.path / path).read_bytes()).keys()
    return frozenset(paths)


def _visible(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(place, name) for name in files if not name.startswith("."))


def file_digest(place: Path) -> str:
    """SHA-256 of a file's bytes, 64 lower-case hex digits."""
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
