"""The workbench: clean trees that no patched code ever runs in, and a private copy for whoever runs some."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.gates import patch, runtime
from shadowlab.gates.roles import Part, Role, parted
from shadowlab.gates.runtime import Runtime
from shadowlab.records import Candidate, Diagnosis, Gate, Recording, Replay, Verdict
from shadowlab.replay import Fixture, Runner, listed
from shadowlab.replay.recording import snapshot
from shadowlab.replay.sandboxes import levels
from shadowlab.scratch import Scratch
from shadowlab.source import Service, Source

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a candidate may cost; the names are those of the proposal's constraints."""

    max_diff_lines: int = 25
    """Lines added and removed, tests not counted."""
    no_api_contract_change: bool = True
    perf_regression_budget_ms: float = 5.0
    error_margin: float = 0.001
    """By how much the candidate's error rate may exceed the control's, as a share."""
    least_sandbox: str = levels.DEFAULT
    """Patched code runs in this sandbox or a stronger one, or not at all."""

    @classmethod
    def of(cls, constraints: Mapping[str, Any] | None) -> Limits:
        """Limits from a proposal's constraints; names that are not ours are left alone."""
        known = {name: value for name, value in (constraints or {}).items() if name in cls.__dataclass_fields__}
        return cls(**known)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bench:
    """Everything that a gate may look at. Made by `prepared`."""

    case: Case | None
    candidate: Candidate
    diagnosis: Diagnosis
    replay: Replay
    source: Source
    revision: str
    service: Service
    base: Path
    """The tree at `revision`. Nothing runs in it."""
    patched: Path
    """`base` with the candidate's change, without its tests. Nothing runs in it."""
    tested: Path
    """`patched` with the candidate's new tests. Nothing runs in it."""
    parts: tuple[Part, ...]
    refusals: tuple[str, ...] = ()
    """Why the diff was not even applied."""
    limits: Limits = Limits()
    alpha: float = 0.05
    seed: int = 0
    sandbox: str = "embedded"
    digests: Mapping[str, str] = field(default_factory=dict)
    recordings: tuple[Recording, ...] = ()
    """What was recorded of the service, by time."""
    runners: dict[Path, Runner] = field(default_factory=dict)
    """By the clean tree that they run a copy of."""
    closing: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    """What is closed when the bench is left."""

    def parts_of(self, role: Role) -> tuple[Part, ...]:
        """The changed files of one role."""
        return tuple(part for part in self.parts if part.role is role)

    def runtime(self, *, tests: bool = False) -> Runtime:
        """What the service's code runs on, with the test tools beside it when `tests` are to run.

        Raises `SourceError` as `runtime.of` does. A patch has no say in it: locks are the judge's own.
        """
        return runtime.of(self.base, self.service, sandbox=self.sandbox, tests=tests)

    @contextlib.contextmanager
    def copy(self, tree: Path) -> Iterator[Path]:
        """A private copy of one of the clean trees to run code in; gone when the block ends.

        Raises `Escaped` when the clean tree was written to: then a patch got out of an earlier copy.
        """
        self.verify(tree)
        with Scratch("shadowlab-run-") as scratch:
            place = scratch.path / "tree"
            shutil.copytree(tree, place, symlinks=True)
            yield place

    def verify(self, tree: Path) -> None:
        """Raise `Escaped` when one of the clean trees is not as it was made."""
        name = next(name for name in ("base", "patched", "tested") if getattr(self, name) == tree)
        if digest(tree) != self.digests[name]:
            raise Escaped(
                f"the judge's own {name} tree was changed while patched code ran",
                hint="the patch wrote outside of its copy; run the gates with --sandbox docker and read it closely",
            )

    def runner(self, tree: Path) -> Runner:
        """A runner on a private copy of one of the clean trees, which all gates share; it ends with the bench.

        A replay writes in a folder of its own, so that the copy stays as it is. Raises `Escaped` as `copy` does.
        """
        self.verify(tree)
        if tree not in self.runners:
            copy = self.closing.enter_context(self.copy(tree))
            made = Runner(copy, self.service, sandbox=self.sandbox, snapshots=self.database)
            self.runners[tree] = self.closing.enter_context(made)
        return self.runners[tree]

    def database(self, fixture: Fixture) -> bytes | None:
        """A recording's database as bytes, None where it has none."""
        return snapshot(self.case, fixture) if self.case else None


class Escaped(errors.SandboxError):
    """Patched code wrote where only the judge may write."""


class Check(Protocol):
    """One gate family: looks at the bench, answers with a gate for each thing that it judged."""

    def __call__(self, bench: Bench, /) -> tuple[Gate, ...]:
        """The gates of this family."""


def did_not_run(name: str, limit: str, why: str) -> Gate:
    """A gate that could not look, and so is no pass."""
    return Gate(name=name, verdict=Verdict.INCONCLUSIVE, observed="did not run", limit=limit, detail=why)


@contextlib.contextmanager
def prepared(
    candidate: Candidate, *, source: Source, revision: str, diagnosis: Diagnosis, replay: Replay,
    case: Case | None = None, limits: Limits | None = None, alpha: float = 0.05, seed: int = 0,
    sandbox: str = "embedded",
) -> Iterator[Bench]:  # fmt: skip
    """A bench with the candidate applied; raises `PatchError` when its diff cannot be read or does not apply.

    A diff that points out of the tree is not applied: the bench then carries the refusals and no part.
    """
    service = source.service(revision)
    named = patch.paths(candidate.diff)
    refusals = tuple(f"{_shown(name)} {why}" for name in named if (why := patch.refused(name)))
    with source.checked_out(revision) as base, Scratch("shadowlab-bench-") as scratch, contextlib.ExitStack() as stack:
        staged, patched, tested = (scratch.path / name for name in ("staged", "patched", "tested"))
        for place in (staged, patched, tested):
            shutil.copytree(base, place, symlinks=True)
        parts: tuple[Part, ...] = ()
        if not refusals:
            patch.apply(candidate.diff, staged)
            parts = parted(patch.changes(base, staged), service, _importable(base, service, sandbox))
        for part in parts:
            if part.role is not Role.JUDGE:
                for tree in (tested,) if part.role is Role.TEST else (patched, tested):
                    _carry(part.change.path, staged, tree)
        yield Bench(
            case=case, candidate=candidate, diagnosis=diagnosis, replay=replay, source=source, revision=revision,
            service=service, base=base, patched=patched, tested=tested, parts=parts, refusals=refusals,
            limits=limits or Limits(), alpha=alpha, seed=seed, sandbox=sandbox, closing=stack,
            recordings=() if case is None or refusals else tuple(listed(case)),
            digests={"base": digest(base), "patched": digest(patched), "tested": digest(tested)},
        )  # fmt: skip


def _importable(base: Path, service: Service, sandbox: str) -> tuple[str, ...]:
    """Folders in which the service's packages lie; those of this interpreter where its environment is not to be had."""
    try:
        return runtime.of(base, service, sandbox=sandbox).environment.interpreter.path
    except errors.ShadowlabError:
        return tuple(sys.path)


def _carry(path: str, source: Path, target: Path) -> None:
    if not (source / path).exists():
        (target / path).unlink()
        return
    (target / path).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source / path, target / path, follow_symlinks=False)


def _shown(name: str) -> str:
    return "the diff" if name.startswith("\0") else ascii(name[:200])


def digest(tree: Path) -> str:
    """SHA-256 over the names, kinds and contents of everything in a tree."""
    hashed = hashlib.sha256()
    for place in sorted(tree.rglob("*")):
        mode = place.lstat().st_mode
        hashed.update(f"{place.relative_to(tree)}\0{stat.S_IFMT(mode)}\0".encode(errors="surrogateescape"))
        if stat.S_ISREG(mode):
            hashed.update(hashlib.sha256(place.read_bytes()).digest())
        elif stat.S_ISLNK(mode):
            hashed.update(str(place.readlink()).encode(errors="surrogateescape"))
    return hashed.hexdigest()
