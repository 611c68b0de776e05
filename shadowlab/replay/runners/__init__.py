"""Replay services of other languages with their own tools: a recording goes out as files and environment variables,
the outcome comes back as JSON. `docs/runners.md` is the contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shadowlab import errors
from shadowlab.replay.environments import Environment
from shadowlab.source import Service


@dataclass(frozen=True, kw_only=True, slots=True)
class Tool:
    """A program that replays one recording and ends. It runs behind the sandbox's walls."""

    command: tuple[str, ...]
    """The program's path first."""
    tree: Path
    """The service's tree as the program sees it."""
    environment: Environment
    readable: tuple[str, ...] = ()
    """Further folders and files that it reads or runs."""


class Runner(Protocol):
    """What replays the services of one language."""

    def prepared(self, tree: Path, service: Service, folder: Path) -> Tool:
        """The program for one tree; `folder` is its own and goes away with it.

        Raises `SourceError` when the runtime or the service's packages are not to be had.
        """


def of(service: Service) -> Runner | None:
    """The runner that a service needs; None for Python. Raises `SourceError` for a runtime that is not known."""
    from shadowlab.replay.runners.command import Command
    from shadowlab.replay.runners.nodejs import Node

    if service.runner:
        return Command(service.runner)
    match service.runtime:
        case None | "python":
            return None
        case "node":
            return Node()
        case other:
            raise errors.SourceError(
                f"shadowlab.toml names the runtime {other!r}, which is not known",
                hint="python and node are; name a program of your own with `runner`, see docs/runners.md",
            )
