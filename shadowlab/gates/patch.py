"""Read a diff as a stranger's: where it points, whether it applies, and what it really changed.

The text is checked first, so that nothing outside the tree can be named. What the gates judge afterwards is not the
text but the difference between the two trees: a diff that two readers understand differently has nothing to gain.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from shadowlab import errors, hunks

LARGEST = 1_000_000
"""Bytes of a diff that is still read."""

_EXTENDED = re.compile(
    r"^(?:diff --git |index [0-9a-f]+\.\.[0-9a-f]+|(?:old|new) mode (\d+)$|(?:new|deleted) file mode (\d+)$|"
    r"(?:dis)?similarity index |(?:rename|copy) (?:from|to) (.+)$)"
)
_PLAIN_MODES = ("100644", "100755")


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """What became of one file."""

    path: str
    kind: str
    """`added`, `edited`, `removed`."""
    added: tuple[tuple[int, str], ...] = ()
    """Line number after the change, and text."""
    removed: tuple[str, ...] = ()
    note: str = ""
    """`symbolic link`, `binary`, `mode`: something other than lines of text."""

    @property
    def lines(self) -> int:
        """Lines added and lines removed, counted together."""
        return len(self.added) + len(self.removed)


def paths(diff: str) -> tuple[str, ...]:
    """Every path that a unified diff names, `a/` and `b/` taken off; raises `PatchError` when it cannot be read."""
    if len(diff.encode(errors="surrogatepass")) > LARGEST:
        raise errors.PatchError(f"the diff is larger than {LARGEST:,} bytes", hint="split it")
    names = list(_names(diff))
    if not names:
        raise errors.PatchError("the diff names no file", hint="a unified diff has `--- a/file` and `+++ b/file` lines")
    skip = 2 if _prefixed(names) else 0
    return tuple(dict.fromkeys(name[skip:] if side else name for side, name in names))


def _prefixed(names: Sequence[_Name]) -> bool:
    return all(name.startswith(("a/", "b/")) for side, name in names if side)


_Name = tuple[bool, str]
"""Whether it stands where git writes `a/` or `b/` before it, and the name."""


def _names(diff: str) -> Iterator[_Name]:
    for line in hunks.walk(diff):
        if line.kind != "outside":
            continue
        if line.text.startswith(("--- ", "+++ ")):
            yield from _side(line.text[4:], line.number)
        elif match := _EXTENDED.match(line.text):
            yield from _extended(line.text, match, line.number)
        elif line.text.startswith(("GIT binary patch", "Binary files ")):
            raise errors.PatchError(f"line {line.number} of the diff is binary", hint="only text can be reviewed here")
        elif line.text.strip():
            raise errors.PatchError(
                f"line {line.number} of the diff is no part of a unified diff", hint="`git diff` writes one"
            )


def _side(text: str, number: int, *, side: bool = True) -> Iterator[_Name]:
    name = text.split("\t")[0].rstrip("\r")
    if name.startswith('"'):
        raise errors.PatchError(f"line {number} of the diff quotes a path", hint="name files with plain characters")
    if name != "/dev/null":
        yield side, name


def _extended(line: str, match: re.Match[str], number: int) -> Iterator[_Name]:
    changed, made, moved = match.groups()
    mode = changed or made
    if mode and mode not in _PLAIN_MODES:
        yield False, f"{_MODE}{mode}"
    if moved:
        yield from _side(moved, number, side=False)
    if line.startswith("diff --git "):
        words = line.split(" ")[2:]
        if len(words) % 2:
            raise errors.PatchError(f"line {number} of the diff cannot be told apart", hint="name files without blanks")
        yield from _side(" ".join(words[: len(words) // 2]), number)
        yield from _side(" ".join(words[len(words) // 2 :]), number)


_MODE = "\0mode "


def refused(path: str) -> str | None:
    """Why a diff may not name this path, or None."""
    parts = PurePosixPath(path).parts
    if path.startswith(_MODE):
        return f"makes a file of mode {path.removeprefix(_MODE)}: a symbolic link or a submodule"
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in path) or "\\" in path:
        return "has characters that no source file needs"
    if path.startswith("/") or ".." in path.split("/"):
        return "leads out of the tree"
    if any(part.casefold() in (".git", "git~1") for part in parts):
        return "is git's own"
    return None


def apply(diff: str, tree: Path) -> None:
    """Apply a diff to a private tree with `git apply`; raises `PatchError` when it does not fit."""
    strip = "-p1" if _prefixed(list(_names(diff))) else "-p0"
    words = ("git", "-c", "core.attributesFile=/dev/null", "apply", strip, "--whitespace=nowarn", "-")
    env = {
        "PATH": os.environ.get("PATH", os.defpath), "GIT_CEILING_DIRECTORIES": str(tree.parent), "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, "HOME": str(tree),
    }  # fmt: skip
    text = diff if diff.endswith("\n") else diff + "\n"
    try:
        done = subprocess.run(
            words, cwd=tree, env=env, input=text.encode(), capture_output=True, timeout=60, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        raise errors.PatchError(f"the diff cannot be applied: {type(exc).__name__}") from exc
    if done.returncode:
        complaint = done.stderr.decode(errors="replace").strip().removeprefix("error: ").splitlines()
        raise errors.PatchError(
            f"the diff does not apply: {complaint[0] if complaint else 'git apply refused it'}",
            hint="it was made for another revision; propose again from this one",
        )


def changes(before: Path, after: Path) -> tuple[Change, ...]:
    """What really differs between two trees, file by file, in the order of their paths."""
    old, new = _files(before), _files(after)
    found = []
    for path in sorted(old.keys() | new.keys()):
        if old.get(path) != new.get(path):
            kind = "added" if path not in old else "removed" if path not in new else "edited"
            found.append(_change(path, kind, old.get(path), new.get(path)))
    return tuple(found)


_Entry = tuple[int, bytes]


def _files(tree: Path) -> dict[str, _Entry]:
    """Mode bits that git keeps, and content (of a link: where it points)."""
    entries: dict[str, _Entry] = {}
    for folder, folders, names in os.walk(tree):
        linked = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *linked):
            place = os.path.join(folder, name)
            mode = os.lstat(place).st_mode
            content = os.readlink(place).encode() if stat.S_ISLNK(mode) else Path(place).read_bytes()
            entries[os.path.relpath(place, tree)] = (stat.S_IFMT(mode) | (mode & 0o100), content)
    return entries


def _change(path: str, kind: str, old: _Entry | None, new: _Entry | None) -> Change:
    modes = {entry[0] for entry in (old, new) if entry}
    if any(stat.S_ISLNK(mode) for mode in modes):
        return Change(path=path, kind=kind, note="symbolic link")
    try:
        was, now = (_lines(entry) for entry in (old, new))
    except UnicodeDecodeError:
        return Change(path=path, kind=kind, note="binary")
    same = next((n for n, (a, b) in enumerate(zip(was, now, strict=False)) if a != b), min(len(was), len(now)))
    added: list[tuple[int, str]] = []
    removed: list[str] = []
    was, now = was[same:], now[same:]
    for tag, i1, i2, j1, j2 in difflib.SequenceMatcher(None, was, now, autojunk=False).get_opcodes():
        if tag != "equal":
            removed += was[i1:i2]
            added += [(same + line + 1, now[line]) for line in range(j1, j2)]
    note = "mode" if len(modes) > 1 else ""
    return Change(path=path, kind=kind, added=tuple(added), removed=tuple(removed), note=note)


def _lines(entry: _Entry | None) -> list[str]:
    return entry[1].decode().removesuffix("\n").split("\n") if entry and entry[1] else []
