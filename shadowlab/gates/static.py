"""ruff and mypy, before and after: only what the patch adds counts.

Both read code and run none of it. They are told to ignore the tree's own configuration and suppressions, so that
neither a file nor a comment in the tree can switch them off. They read it as the Python that the service runs on does.
"""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

from shadowlab import errors, protected
from shadowlab.gates.bench import Bench, did_not_run
from shadowlab.gates.roles import Role
from shadowlab.records import Gate, Verdict

RULES = "E4,E7,E9,F,B,PLE,S102,S103,S110,S112,S3,S5,S6"
_RUFF = (
    "ruff", "check", "--isolated", "--no-cache", "--ignore-noqa", "--no-fix", "--exit-zero", "--select", RULES,
    "--output-format", "json", "--no-respect-gitignore", "--force-exclude",
)  # fmt: skip
_MYPY = (
    "mypy", "--config-file=", "--cache-dir=/dev/null", "--no-incremental", "--no-site-packages", "--no-error-summary",
    "--follow-imports=skip", "--ignore-missing-imports", "--check-untyped-defs", "--namespace-packages",
    "--explicit-package-bases", "--no-color-output", "--no-pretty", "--show-error-codes", "--warn-unused-ignores",
)  # fmt: skip
_MYPY_LINE = re.compile(r"^(?P<file>[^:]+):(?P<line>\d+): error: (?P<what>.*)$")
_SECONDS = 120
_NEWEST = (3, 14)
"""The newest Python that both of them know."""

Findings = Counter[str]
"""`file: code message` without line numbers, which a patch moves."""


def ruff(bench: Bench) -> tuple[Gate, ...]:
    """New ruff findings in the changed files, the new tests among them."""
    files, spoken = _python(bench, Role.CHANGE, Role.TEST), _spoken(bench)
    detail = f"rules {RULES}, read as Python {'.'.join(spoken)}"
    return (_compared("ruff", _ruff(bench.base, files, spoken), _ruff(bench.tested, files, spoken), detail),)


def mypy(bench: Bench) -> tuple[Gate, ...]:
    """New mypy errors anywhere in the service, so that a changed signature shows where it is used."""
    if not _python(bench, Role.CHANGE):
        return (_compared("mypy", Counter(), Counter(), "no Python file was changed"),)
    spoken = _spoken(bench)
    detail = f"read as Python {'.'.join(spoken)}; imports from outside of the tree count as Any"
    return (_compared("mypy", _mypy(bench.base, spoken), _mypy(bench.patched, spoken), detail),)


def _spoken(bench: Bench) -> tuple[str, str]:
    """Major and minor number of the Python that the service runs on; ours where its environment is not to be had."""
    try:
        version = bench.runtime().environment.interpreter.version
    except errors.ShadowlabError:
        version = platform.python_version()
    major, minor = min(tuple(int(part) for part in version.split(".")[:2]), _NEWEST)
    return str(major), str(minor)


def _compared(name: str, was: Findings | str, now: Findings | str, detail: str) -> Gate:
    if isinstance(was, str) or isinstance(now, str):
        reason = was if isinstance(was, str) else str(now)
        return did_not_run(name, "0 new", reason)
    new = sorted((now - was).elements())
    return Gate(
        name=name,
        verdict=Verdict.FAIL if new else Verdict.PASS,
        observed=f"{len(new)} new findings ({was.total()} before, {now.total()} after)",
        limit="0 new",
        detail="; ".join(new[:10]) or detail,
    )


def _python(bench: Bench, *roles: Role) -> list[str]:
    paths = [part.change.path for role in roles for part in bench.parts_of(role)]
    return [path for path in paths if path.endswith(".py")]


def _ruff(tree: Path, files: list[str], spoken: tuple[str, str]) -> Findings | str:
    there = [f"./{file}" for file in files if (tree / file).is_file()]
    if not there:
        return Counter()
    output = _run((*_RUFF, f"--target-version=py{''.join(spoken)}", "--", *there), tree)
    if output.startswith("!"):
        return output[1:]
    try:
        found = json.loads(output)
    except ValueError:
        return "ruff answered something that is not JSON"
    return Counter(f"{_within(f['filename'], tree)}: {f['code']} {f['message']}" for f in found)


def _mypy(tree: Path, spoken: tuple[str, str]) -> Findings | str:
    files = sorted(str(p.relative_to(tree)) for p in tree.rglob("*.py") if not p.is_symlink())
    files = [file for file in files if not protected.is_test(PurePosixPath(file))]
    output = _run((*_MYPY, f"--python-version={'.'.join(spoken)}", "--", *files), tree)
    if output.startswith("!"):
        return output[1:]
    lines = (_MYPY_LINE.match(line) for line in output.splitlines())
    return Counter(f"{match['file']}: {match['what']}" for match in lines if match)


def _within(file: str, tree: Path) -> str:
    return os.path.relpath(file, tree.resolve()) if os.path.isabs(file) else file


def _run(words: tuple[str, ...], tree: Path) -> str:
    """Standard output, or `!` and the reason."""
    env = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(tree), "LC_ALL": "C.UTF-8"}
    # Isolated mode (-I): a `ruff.py` or `mypy.py` in the tree is never what runs.
    argv = (sys.executable, "-I", "-m", *words)
    try:
        done = subprocess.run(
            argv, cwd=tree, env=env, capture_output=True, text=True, errors="replace", timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        return f"!{words[0]} did not end within {_SECONDS} s"
    if done.returncode not in (0, 1):
        lines = done.stderr.strip().splitlines() or done.stdout.strip().splitlines() or ["nothing"]
        return f"!{words[0]} ended with {done.returncode}: {lines[-1][:300]}"
    return done.stdout
