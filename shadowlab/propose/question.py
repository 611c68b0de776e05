"""What every proposer is given, and what it gives back."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Protocol

from shadowlab.case import Case
from shadowlab.diagnose.syntax import Tree
from shadowlab.diagnose.trials import Bench
from shadowlab.progress import Progress
from shadowlab.propose.codemods import Site
from shadowlab.records import Candidate, Diagnosis, Intervention, Risk, Status
from shadowlab.source import Service, Source


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """The structured request, and the evidence behind it."""

    request: Mapping[str, Any]
    case: Case
    diagnosis: Diagnosis
    source: Source
    service: Service
    tree: Tree
    bench: Bench | None
    """Where a diff can be tried; None when the failing recordings cannot be replayed."""
    progress: Progress | None = None

    @property
    def good_answers(self) -> str:
        """Digest of what the failing requests were answered before the confirmed commit; empty when not known."""
        return next((i.answers for i in self._confirmed_commit if i.flipped and i.answers), "")

    @property
    def good_revision(self) -> str:
        """The parent of the confirmed commit; empty when none is confirmed."""
        change = self.diagnosis.suspect_change
        return change.parent or "" if change and self._confirmed_commit else ""

    @property
    def _confirmed_commit(self) -> tuple[Intervention, ...]:
        confirmed = (h for h in self.diagnosis.hypotheses if h.status is Status.CONFIRMED and h.kind == "commit")
        return next((h.interventions for h in confirmed), ())

    def text(self, file: str) -> str | None:
        """A file's text at the failing revision, None when there is no such text file."""
        return self.source.read(file, self.diagnosis.revision) if file in self.tree.files else None

    def sites(self) -> tuple[Site, ...]:
        """The places of the stack, innermost first."""
        error = self.diagnosis.error
        if error is None:
            return ()
        length = _line_length(self)
        return tuple(
            Site(frame.file, frame.function, frame.line, error, self.module(frame.file), length)
            for frame in reversed(error.frames)
            if frame.in_app and frame.line
        )

    def module(self, file: str) -> str:
        """The dotted name by which the service imports a file."""
        entry = self.service.entrypoint.partition(":")[0]
        home = self.tree.module(entry) or ""
        start = home.removesuffix(".py").removesuffix("/__init__").removesuffix(entry.replace(".", "/"))
        path = PurePosixPath(file.removeprefix(start)).with_suffix("")
        return ".".join(path.parts).removesuffix(".__init__")

    def test_folder(self) -> str:
        """The folder with the most of the service's tests, `tests` when it has none."""
        folders = [str(PurePosixPath(f).parent) for f in self.tree.files if PurePosixPath(f).match("test_*.py")]
        return max(sorted(set(folders)), key=folders.count) if folders else "tests"


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """A candidate in the making."""

    diff: str
    tests: tuple[str, ...]
    test_files: tuple[str, ...]
    rationale: str
    surface: str
    expected_perf_ms: float
    rank: int = 0
    """Lower is better; see `shadowlab.propose.trying`."""

    def document(self) -> dict[str, Any]:
        """As `answer.schema.json` has it."""
        risk = {"surface": self.surface, "expected_perf_ms": self.expected_perf_ms}
        return {"diff": self.diff, "tests": list(self.tests), "rationale": self.rationale, "risk": risk}

    def candidate(self, proposer: str) -> Candidate:
        """As a record."""
        return Candidate(
            diff=self.diff, tests=self.tests, rationale=self.rationale, proposer=proposer,
            risk=Risk(surface=self.surface, expected_perf_ms=self.expected_perf_ms), test_files=self.test_files,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Drafts:
    """A proposer's drafts, best first, and why it has no more to say."""

    drafts: tuple[Draft, ...] = ()
    notes: tuple[str, ...] = field(default=())


class Proposer(Protocol):
    """One way to come by candidates; the gates judge them all alike."""

    @property
    def name(self) -> str:
        """`codemod`, `search`, `model`."""

    def propose(self, question: Question) -> Drafts:
        """Drafts, best first; none is an answer too, with a note that says why."""


def _line_length(question: Question) -> int:
    """What the service's linter or formatter allows; 88 when it does not say."""
    for file, keys in (("ruff.toml", ()), (".ruff.toml", ()), ("pyproject.toml", ("tool", "ruff")),
                       ("pyproject.toml", ("tool", "black"))):  # fmt: skip
        try:
            table: Any = tomllib.loads(question.text(file) or "")
        except tomllib.TOMLDecodeError:
            continue
        for key in keys:
            table = table.get(key, {}) if isinstance(table, dict) else {}
        length = table.get("line-length") if isinstance(table, dict) else None
        if isinstance(length, int) and 40 <= length <= 400:
            return length
    return 88
