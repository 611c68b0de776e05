"""The commits between the last good and the first bad deploy, and which of them touch the slice."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from shadowlab import errors, hunks
from shadowlab.diagnose.slices import Cut
from shadowlab.diagnose.syntax import SourceFile, source_file
from shadowlab.records import Commit
from shadowlab.source import Source

_NAME = re.compile(r"[^\W\d]\w*")
_SETTINGS = frozenset({".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf", ".env", ".properties"})


@dataclass(frozen=True, slots=True)
class Range:
    """What was deployed between good and bad."""

    good: str | None
    bad: str
    commits: tuple[Commit, ...]
    """Oldest first; empty when `bad` has no parent."""
    notes: tuple[str, ...]
    """Where the two ends come from, and what is doubtful about them."""


@dataclass(frozen=True, slots=True)
class Touch:
    """How close one commit comes to the slice."""

    commit: Commit
    score: int
    """4 a line that the failing value passes through, 3 a function of the slice, 2 a name of it at module level,
    1 one of its files or a settings file, 0 none of it."""
    why: str
    location: tuple[str, int, str, int] | None = None
    """File, line in the commit's own version, function, and the function's line in the failing one."""


def deployed(source: Source, *, good: str | None, bad: str) -> Range:
    """The range to look at; without a good revision that the repository knows, the one commit `bad` alone."""
    bad = source.revision(bad)
    notes: tuple[str, ...]
    try:
        start = source.revision(good) if good else None
        notes = (f"deploys: {start[:9]} was good, {bad[:9]} fails",) if start else ("no last good revision is known",)
    except errors.SourceError:
        start, notes = None, (f"the last good revision {good} is not in {source.path}",)
    if start == bad:
        start, notes = None, (f"the deploy kept revision {bad[:9]}: no source changed between good and bad",)
        return Range(bad, bad, (), notes)
    if start is None:
        try:
            start = source.revision(f"{bad}~1")
        except errors.SourceError:
            return Range(None, bad, (), (*notes, f"{bad[:9]} has no parent: there is nothing to compare with"))
        notes = (*notes, f"only {bad[:9]} itself was looked at")
    return Range(start, bad, source.commits(start, bad), notes)


def rank(source: Source, span: Range, cuts: Sequence[Cut]) -> tuple[Touch, ...]:
    """Every commit of the range, nearest to the slice first, the newer first among equals."""
    newest_first = [_touch(source, commit, cuts) for commit in reversed(span.commits)]
    return tuple(sorted(newest_first, key=lambda touch: -touch.score))


def _is_settings(file: str) -> bool:
    path = PurePosixPath(file)
    return path.suffix in _SETTINGS or path.name.startswith(".env")


def _touch(source: Source, commit: Commit, cuts: Sequence[Cut]) -> Touch:
    sliced = {c.function.file for c in cuts}
    if commit.parent is None or not sliced.intersection(commit.files):
        settings = [file for file in commit.files if _is_settings(file)]
        return Touch(commit, 1, f"changes settings in {settings[0]}") if settings else Touch(commit, 0, _far(commit))
    hunks = _hunks(source.diff(commit.parent, commit.revision, context=0))
    found = [touch for hunk in hunks if hunk.file in sliced for touch in _near(source, commit, cuts, hunk)]
    best = max(found, key=lambda touch: touch.score, default=None)
    return best or Touch(commit, 1, f"changes {min(sliced.intersection(commit.files))}, outside the slice")


def _far(commit: Commit) -> str:
    shown = ", ".join(commit.files[:3]) + (" …" if len(commit.files) > 3 else "")
    return f"touches no file of the slice: {shown or 'no file'}"


def _near(source: Source, commit: Commit, cuts: Sequence[Cut], hunk: Hunk) -> Iterator[Touch]:
    """How one hunk of a commit touches the functions of the slice that are in its file."""
    parsed = _at(source, commit, hunk.file)
    holding = [f for f in parsed.functions if f.start_line <= hunk.end and hunk.start <= f.end_line] if parsed else []
    names = set(_NAME.findall(hunk.text))
    for c in cuts:
        if c.function.file != hunk.file:
            continue
        shared = ", ".join(sorted(names & c.flow.names)[:4])
        at = (hunk.file, hunk.start, c.function.qualname, c.function.start_line)
        if any(function.qualname == c.function.qualname for function in holding):
            what = f"changes {c.function.qualname} ({hunk.file}:{hunk.start})"
            yield Touch(commit, 4 if shared else 3, f"{what}, where it handles {shared}" if shared else what, at)
        elif not holding and shared:
            yield Touch(commit, 2, f"changes {shared} in {hunk.file}:{hunk.start}, read by {c.function.qualname}", at)


def _at(source: Source, commit: Commit, file: str) -> SourceFile | None:
    try:
        return source_file(file, source.read(file, commit.revision))
    except errors.SourceError:  # the commit removed it
        return None


@dataclass(frozen=True, slots=True)
class Hunk:
    """One hunk of a diff without context: where it stands after the change, and what was added and removed."""

    file: str
    start: int
    end: int
    text: str


def _hunks(diff: str) -> Iterator[Hunk]:
    file, found = "", list[tuple[str, int, int, list[str]]]()
    for line in hunks.walk(diff, strict=False):
        match line.kind:
            case "outside" if line.text[:4] in ("+++ ", "--- ") and line.text[4:] != "/dev/null":
                file = line.text[4:].rstrip("\t")[2:]
            case "hunk":
                found.append((file, line.new, line.new + max(line.count, 1) - 1, []))
            case "added" | "removed":
                found[-1][3].append(line.text)
    for name, start, end, text in found:
        yield Hunk(name, start, end, "\n".join(text))
