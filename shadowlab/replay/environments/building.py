"""Build a lock's environment with uv, once: kept by digest, built beside and renamed, so that a kill leaves nothing."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from shadowlab import errors
from shadowlab.replay.environments.interpreters import Interpreter
from shadowlab.replay.environments.locks import Lock

_FORM = 1
"""Raised when environments are built otherwise than before."""
_BUILD_S = 900.0


def cache() -> Path:
    """Where environments are kept: `SHADOWLAB_CACHE`, else below the user's cache folder."""
    folder = os.environ.get("SHADOWLAB_CACHE")
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(folder) if folder else Path(home) / "shadowlab"


def built(lock: Lock) -> Path:
    """The folder of the lock's environment, made when it is not there; raises `SourceError` when it cannot be made."""
    key = [_FORM, lock.text(), sys.version, str(sysconfig.get_config_var("SOABI")), sys.base_prefix]
    return kept("environments", key, lambda place: _install(lock, place))


def tools(interpreter: Interpreter) -> Path:
    """A folder with time-machine for an interpreter whose packages have none."""
    version = importlib.metadata.version("time-machine")
    same = interpreter.abi == sysconfig.get_config_var("SOABI")
    make = _copy_tools if same else (lambda place: _install_tools(interpreter, version, place))
    return kept("tools", [_FORM, version, interpreter.abi], make)


def kept(kind: str, key: Sequence[object], make: Callable[[Path], None]) -> Path:
    """The folder that is kept under `key`; `make` makes it beside, once, while whoever else wants it waits."""
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:24]
    folder = cache() / kind
    place = folder / digest
    if place.is_dir():
        return place
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder / f"{digest}.lock"):
        if not place.is_dir():
            # Nobody else builds it now: what lies here was left by somebody who was killed.
            for left in folder.glob(f".{digest}.*"):
                shutil.rmtree(left, ignore_errors=True)
            beside = Path(tempfile.mkdtemp(prefix=f".{digest}.", dir=folder))
            try:
                make(beside / "made")
                (beside / "made").rename(place)
            finally:
                shutil.rmtree(beside, ignore_errors=True)
    return place


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Wait until nobody else holds the lock; the kernel lets go of it when its holder ends, however it ends."""
    with place.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _install(lock: Lock, place: Path) -> None:
    python = getattr(sys, "_base_executable", None) or sys.executable
    _uv("venv", "--quiet", "--no-project", "--relocatable", "--python", python, str(place), what="the environment")
    wanted = place.with_name("lock.txt")
    wanted.write_text(lock.text())
    _uv("pip", "install", "--quiet", "--python", str(place / "bin" / "python"), "--only-binary", ":all:",
        "--compile-bytecode", "--requirement", str(wanted), *(["--require-hashes"] if lock.hashed else []),
        what=f"the lock's {len(lock.pins)} packages")  # fmt: skip


def _copy_tools(place: Path) -> None:
    """Our own copy serves: it was made for the same interpreter."""
    copied([importlib.metadata.distribution("time-machine")], place)


def copied(packages: Iterable[importlib.metadata.Distribution], place: Path) -> None:
    """Copy installed packages into a folder of their own, without scripts and caches."""
    place.mkdir(parents=True, exist_ok=True)
    for file in (file for package in packages for file in package.files or ()):
        if ".." not in file.parts and file.suffix != ".pyc":
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file.locate(), place / file)


def _install_tools(interpreter: Interpreter, version: str, place: Path) -> None:
    install_into(interpreter, place, "--no-deps", f"time-machine=={version}",
                 what=f"time-machine for Python {interpreter.version}")  # fmt: skip


def install_into(interpreter: Interpreter, place: Path, *wanted: str, what: str) -> None:
    """Install packages for an interpreter into a folder of their own; `wanted` are words of `uv pip install`.

    Raises `SourceError` that says `what` cannot be installed, and why.
    """
    which = ["--python", interpreter.executable, "--compile-bytecode"]
    if interpreter.within:
        which = ["--python-version", interpreter.version, "--python-platform", interpreter.platform]
    _uv("pip", "install", "--quiet", *which, "--target", str(place), "--only-binary", ":all:", *wanted, what=what)


def _uv(*words: str, what: str) -> None:
    """Run uv away from every tree, whose settings must not count."""
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    environment |= {"UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}
    with tempfile.TemporaryDirectory(prefix="shadowlab-uv-") as nowhere:
        try:
            done = subprocess.run(
                [_program(), *words], cwd=nowhere, env=environment, capture_output=True, timeout=_BUILD_S
            )
        except (OSError, subprocess.TimeoutExpired) as exc:
            raise _cannot(what, str(exc)) from exc
    if done.returncode:
        raise _cannot(what, done.stderr.decode(errors="replace"))


def _program() -> str:
    """uv: the one beside this interpreter first."""
    beside = Path(sysconfig.get_path("scripts")) / "uv"
    found = str(beside) if beside.is_file() else shutil.which("uv")
    if found is None:
        raise errors.SourceError(
            "the service's lock pins other versions than are installed here, and uv, which installs them, is missing",
            hint="install it beside shadowlab: `pip install uv`",
        )
    return found


def _cannot(what: str, output: str) -> errors.SourceError:
    lines = [line.strip(" │╰─▶├×") for line in output.splitlines() if line.strip(" │╰─▶├×")]
    return errors.SourceError(
        f"{what} cannot be installed: {' '.join(lines)[-400:] or 'uv said nothing'}",
        hint="connect to your package index once (what was built is kept), point UV_FIND_LINKS at a folder of wheels, "
        "or run shadowlab where the lock's versions are installed",
    )
