"""What ships beside the code: incidents, tutorials, and the repository of the service that misbehaves."""

from __future__ import annotations

import email
import email.utils
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from shadowlab import errors
from shadowlab.bundle import folder
from shadowlab.scratch import Scratch
from shadowlab.source import Source, open_source

# Commit ids depend on every one of these; nothing of the user's own configuration may reach them.
_SETTINGS = {
    "commit.gpgSign": "false",
    "core.autocrlf": "false",
    "core.hooksPath": os.devnull,
    "am.keepcr": "false",
    "am.threeWay": "false",
    "mailinfo.scissors": "false",
    "gc.auto": "0",
}


def bundled(name: str) -> Path:
    """The folder of a bundled incident: `data/<name>` in a checkout, inside the package when installed.

    Raises `UsageError` when there is no incident of that name.
    """
    place = folder("data") / name
    if (place / "history").is_dir():
        return place
    known = ", ".join(sorted(path.parent.name for path in folder("data").glob("*/history")))
    raise errors.UsageError(f"no bundled incident is called {name!r}", hint=f"there are: {known}")


def build_source(incident: Path, out: Path) -> Source:
    """The service's repository, built in the new folder `out` from the patches in `incident/history`.

    The same patches give the same commit ids on every machine; their author is the committer, too. Raises `SourceError`
    when `out` holds something already, when git is missing, or when a patch does not apply; `out` is then as it was.
    """
    patches = sorted(path.resolve() for path in (incident / "history").glob("*.patch"))
    if not patches:
        raise errors.SourceError(f"{incident / 'history'} holds no patches", hint="name the folder of an incident")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise errors.SourceError(f"{out} is there already", hint="name a new or an empty folder")
    if shutil.which("git") is None:
        raise errors.SourceError("git is not installed", hint="install it: the service's history is built with it")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        scratch = Scratch(f".{out.name}.", out.parent)
    except OSError as exc:
        raise errors.SourceError(f"cannot write beside {out}: {exc.strerror}", hint="name another folder") from exc
    beside = scratch.path / "tree"
    try:
        beside.mkdir()
        _git(beside, "init", "--quiet", "--object-format=sha1", "--template=", "--initial-branch=main")
        name, address = _author(patches[0])
        who = {"user.name": name, "user.email": address}
        words = ("am", "--quiet", "--no-gpg-sign", "--committer-date-is-author-date", *map(str, patches))
        _git(beside, *words, settings=who)
        beside.chmod(0o755)
        beside.replace(out)
    finally:
        scratch.remove()
    return open_source(out)


def _author(patch: Path) -> tuple[str, str]:
    """Name and address of a patch's author, from its mail's head."""
    head = email.message_from_bytes(patch.read_bytes()[:4096])
    return email.utils.parseaddr(str(head["From"]))


def _git(folder: Path, *words: str, settings: Mapping[str, str] | None = None) -> None:
    options = [part for name, value in {**_SETTINGS, **(settings or {})}.items() for part in ("-c", f"{name}={value}")]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    clean = {**kept, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["git", *options, *words], cwd=folder, env=clean, capture_output=True, text=True)
    if done.returncode:
        reason = (done.stderr.strip() or done.stdout.strip()).splitlines()[:1]
        raise errors.SourceError(
            f"git {words[0]} failed while the service's history was built: {''.join(reason)}",
            hint="the patches of a bundled incident are applied as they are; take a fresh copy of them",
        )
