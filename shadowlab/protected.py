"""Files that decide what passes: how code is tested, checked, built, installed or released. No patch may touch them."""

from __future__ import annotations

import fnmatch
from pathlib import PurePosixPath

NAMES = (
    "shadowlab.toml", "pyproject.toml", "setup.cfg", "setup.py", "tox.ini", "pytest.ini", ".pytest.ini", "noxfile.py",
    "mypy.ini", ".mypy.ini", "ruff.toml", ".ruff.toml", ".coveragerc", ".flake8", ".pylintrc", "conftest.py",
    "requirements*.txt", "requirements*.in", "constraints*.txt", "*.lock", "pipfile*", "pylock*.toml", "*.pth",
    "sitecustomize.py", "usercustomize.py", "makefile", "dockerfile*", "jenkinsfile", "*.objective.yaml",
    "*.openslo.yaml", ".gitattributes", ".gitmodules", ".gitignore", ".pre-commit-config.yaml", ".gitlab-ci.yml",
    "codeowners", ".secrets.baseline", "*.so", "*.pyc", "*.pyd", "*.egg-link",
)  # fmt: skip
"""Patterns of file names, in lower case."""
FOLDERS = frozenset({".github", ".gitlab", ".circleci", ".ci", ".buildkite", "__pycache__", "site-packages"})
TEST_NAMES = ("test_*.py", "*_test.py")
TEST_FOLDERS = frozenset({"tests", "test"})


def is_protected(path: PurePosixPath) -> bool:
    """Whether a path in a tree is protected, whatever the case of its letters."""
    return bool(_folders(path) & FOLDERS) or matches(path.name.casefold(), NAMES)


def is_test(path: PurePosixPath) -> bool:
    """Whether a path belongs to the tests."""
    return bool(_folders(path) & TEST_FOLDERS) or matches(path.name, TEST_NAMES)


def matches(name: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file's name fits one of the patterns."""
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _folders(path: PurePosixPath) -> set[str]:
    return {part.casefold() for part in path.parts[:-1]}
