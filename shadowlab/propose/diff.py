"""Write unified git diffs, and read those of others without trusting them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from shadowlab import errors, hunks

_GIT = re.compile(r"diff --git a/(?P<old>[^\"]+) b/(?P<new>[^\"]+)")
_EXTENDED = re.compile(r"index [0-9a-f]+\.\.[0-9a-f]+(?: 100644| 100755)?|(?:new|deleted) file mode 100(?:644|755)")


@dataclass(frozen=True, slots=True)
class FileDiff:
    """What a diff does to one file."""

    file: str
    added: tuple[str, ...]
    removed: tuple[str, ...]


def unified(changes: Mapping[str, tuple[str | None, str]]) -> str:
    """A diff that `git apply` takes: file to (text before, None where it is new; text after), sorted by file."""
    return "".join(_one(file, *changes[file]) for file in sorted(changes))


def _one(file: str, before: str | None, after: str) -> str:
    if before == after:
        return ""
    head = f"diff --git a/{file} b/{file}\n" + ("new file mode 100644\n" if before is None else "")
    old = "/dev/null" if before is None else f"a/{file}"
    body = difflib.unified_diff(_lines(before or ""), _lines(after), fromfile=old, tofile=f"b/{file}")
    return head + "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in body)


def _lines(text: str) -> list[str]:
    """Lines as git counts them: only a line feed ends one."""
    parts = text.split("\n")
    return [f"{part}\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def read(diff: str) -> tuple[FileDiff, ...]:
    """What a diff does, file by file.

    Strict, since the diff may come from anywhere: a git header before each file, the same plain path in all of its
    header lines, text only, no renames, no links, no modes but those of files, nothing outside of the tree. Raises
    `PatchError` that names the line.
    """
    found: list[_Open] = []
    for line in hunks.walk(diff):
        match line.kind:
            case "outside":
                _heading(line, found)
            case "added" | "removed" | "hunk" if not found or found[-1].expected:
                raise _wrong(line, "begin each file with `diff --git a/PATH b/PATH`, `---` and `+++`")
            case "added":
                found[-1].added.append(line.text)
            case "removed":
                found[-1].removed.append(line.text)
    if found and found[-1].expected:
        raise errors.PatchError(f"the diff of {found[-1].file} ends before its hunks", hint="send the whole diff")
    if not found:
        raise errors.PatchError("the diff is empty", hint="a proposal changes at least one file")
    return tuple(FileDiff(each.file, tuple(each.added), tuple(each.removed)) for each in found)


@dataclass(slots=True)
class _Open:
    """A file whose part of the diff is being read."""

    file: str
    expected: list[tuple[str, frozenset[str]]]
    """Header lines that must still come, in order: their beginnings, and what they may name."""
    added: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


def _heading(line: hunks.Line, found: list[_Open]) -> None:
    """A line between hunks: a file's header, which names the same file in all of its lines."""
    waiting = found[-1].expected if found else []
    if waiting and _EXTENDED.fullmatch(line.text) and len(waiting) == 2:
        return
    if waiting:
        prefix, allowed = waiting.pop(0)
        if not line.text.startswith(prefix) or line.text[len(prefix) :].rstrip("\t") not in allowed:
            raise _wrong(line, f"name {found[-1].file} in `{prefix.strip()}` as in the header above it")
        return
    file = _header(line)
    names = [("--- ", frozenset({f"a/{file}", "/dev/null"})), ("+++ ", frozenset({f"b/{file}", "/dev/null"}))]
    found.append(_Open(file, names))


def _header(line: hunks.Line) -> str:
    named = _GIT.fullmatch(line.text)
    if named is None or named["old"] != named["new"]:
        raise _wrong(line, "begin each file with `diff --git a/PATH b/PATH`, without quotes or renames")
    path = PurePosixPath(named["new"])
    if not named["new"].isprintable():
        raise _wrong(line, "name files with plain characters")
    if (
        path.is_absolute()
        or {"..", ".git", "git~1"} & set(path.as_posix().casefold().split("/"))
        or "\\" in named["new"]
    ):
        raise errors.PatchError(f"the diff leaves the tree: {named['new'][:120]!r}")
    return named["new"]


def _wrong(line: hunks.Line, hint: str) -> errors.PatchError:
    return errors.PatchError(f"line {line.number} of the diff cannot be read: {line.text[:80]!r}", hint=hint)


def files(diff: str) -> tuple[str, ...]:
    """The files that a diff changes; raises `PatchError`."""
    return tuple(dict.fromkeys(part.file for part in read(diff)))


def changed_lines(diff: str, *, without: tuple[str, ...] = ()) -> int:
    """Lines added and removed in a diff, the files in `without` not counted; raises `PatchError`."""
    return sum(len(part.added) + len(part.removed) for part in read(diff) if part.file not in without)
