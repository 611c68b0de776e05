"""Which files of a case a verb wrote, and their digests, for the ledger."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from shadowlab.case import Case

_TRACKED = ("telemetry", "recordings", "reports", "patches")
_FEW = 20
"""More files than this are named in a manifest, so that a ledger line stays readable."""


class Evidence:
    """What lay in the case when a verb began. Make it first; ask `written` when the verb is done."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._before = self._look()

    def written(self) -> dict[str, str | None]:
        """Path in the case to SHA-256 of every file that is new or changed; None for one that is gone.

        Many files are named by one manifest, `manifests/<sha256>.json`, of the same form.
        """
        now = self._look()
        files: dict[str, str | None] = {
            path: _digest(self._case.path / path) for path, seen in now.items() if self._before.get(path) != seen
        }
        files |= {path: None for path in self._before if path not in now}
        if len(files) <= _FEW:
            return files
        content = json.dumps(files, indent=0, sort_keys=True).encode() + b"\n"
        sha256 = hashlib.sha256(content).hexdigest()
        self._case.put(f"manifests/{sha256}.json", content)
        return {f"manifests/{sha256}.json": sha256}

    def _look(self) -> dict[str, tuple[int, int]]:
        seen = {}
        for folder in _TRACKED:
            for place in (self._case.path / folder).rglob("*"):
                if place.is_file() and not place.name.startswith("."):
                    stat = place.stat()
                    seen[place.relative_to(self._case.path).as_posix()] = (stat.st_mtime_ns, stat.st_size)
        objectives = self._case.path / "objectives.yaml"
        if objectives.exists():
            stat = objectives.stat()
            seen["objectives.yaml"] = (stat.st_mtime_ns, stat.st_size)
        return seen


def _digest(place: Path) -> str:
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
