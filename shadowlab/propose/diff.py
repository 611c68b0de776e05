"""Write unified git diffs, and read those of others without trusting them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from shadowlab import errors

_GIT = re.compile(r"diff --git a/(?P<old>[^\"]+) b/(?P<new>[^\"]+)")
_HUNK = re.compile(r"@@ -\d+(?:,(?P<old>\d+))? \+\d+(?:,(?P<new>\d+))? @@")
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
    lines = diff.split("\n")
    found: list[FileDiff] = []
    at = 0
    while at < len(lines) and (lines[at] or at < len(lines) - 1):
        file = _header(lines[at], at)
        at += 1
        while at < len(lines) and _EXTENDED.fullmatch(lines[at]):
            at += 1
        at = _names(lines, at, file)
        added: list[str] = []
        removed: list[str] = []
        while at < len(lines) and lines[at].startswith("@@"):
            at = _hunk(lines, at, added, removed)
        found.append(FileDiff(file, tuple(added), tuple(removed)))
    if not found:
        raise errors.PatchError("the diff is empty", hint="a proposal changes at least one file")
    return tuple(found)


def _header(line: str, at: int) -> str:
    named = _GIT.fullmatch(line)
    if named is None or named["old"] != named["new"]:
        raise _wrong(line, at, "begin each file with `diff --git a/PATH b/PATH`, without quotes or renames")
    path = PurePosixPath(named["new"])
    if path.is_absolute() or {"..", ".git"} & set(path.parts) or "\\" in named["new"]:
        raise errors.PatchError(f"the diff leaves the tree: {named['new'][:120]!r}")
    return named["new"]


def _names(lines: list[str], at: int, file: str) -> int:
    """Skip `---` and `+++`, which must name the file of the header."""
    for prefix, allowed in (("--- ", {f"a/{file}", "/dev/null"}), ("+++ ", {f"b/{file}", "/dev/null"})):
        line = lines[at] if at < len(lines) else ""
        if not line.startswith(prefix) or line[4:].rstrip("\t") not in allowed:
            raise _wrong(line, at, f"name {file} in `{prefix.strip()}` as in the header above it")
        at += 1
    return at


def _hunk(lines: list[str], at: int, added: list[str], removed: list[str]) -> int:
    counts = _HUNK.match(lines[at])
    if counts is None:
        raise _wrong(lines[at], at, "write hunks as `@@ -1,2 +1,3 @@`")
    old, new = int(counts["old"] or 1), int(counts["new"] or 1)
    at += 1
    while at < len(lines) and (old > 0 or new > 0 or lines[at].startswith("\\")):
        match lines[at][:1]:
            case "+":
                added.append(lines[at][1:])
                new -= 1
            case "-":
                removed.append(lines[at][1:])
                old -= 1
            case " ":
                old, new = old - 1, new - 1
            case "\\":
                pass
            case _:
                raise _wrong(lines[at], at, "the hunk is shorter than its header says")
        at += 1
    if old or new:
        raise errors.PatchError("the last hunk is shorter than its header says", hint="send the whole diff")
    return at


def _wrong(line: str, at: int, hint: str) -> errors.PatchError:
    return errors.PatchError(f"line {at + 1} of the diff cannot be read: {line[:80]!r}", hint=hint)


def files(diff: str) -> tuple[str, ...]:
    """The files that a diff changes; raises `PatchError`."""
    return tuple(dict.fromkeys(part.file for part in read(diff)))


def changed_lines(diff: str, *, without: tuple[str, ...] = ()) -> int:
    """Lines added and removed in a diff, the files in `without` not counted; raises `PatchError`."""
    return sum(len(part.added) + len(part.removed) for part in read(diff) if part.file not in without)
