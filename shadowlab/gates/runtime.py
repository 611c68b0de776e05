"""What the service's own code runs on while it is judged: the environment of its lock, command or image.

Its tests need pytest besides, which a lock for production seldom pins: that is layered behind the environment's own
packages, and named.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadowlab import errors
from shadowlab.gates import confine
from shadowlab.replay import environments, runners
from shadowlab.replay.environments import interpreters, layers
from shadowlab.source import Service

_BEHIND = Path(__file__).with_name("behind.py")


@dataclass(frozen=True, kw_only=True, slots=True)
class Runtime:
    """An environment, and the test tools beside it."""

    environment: environments.Environment
    layer: layers.Layer
    sandbox: str
    """What the replays run in; an image needs `docker`."""
    foreign: bool = False
    """Whether the service is in another language, whose runner brings what it needs."""

    @property
    def digest(self) -> str:
        """The environment's digest, as the replay's; empty for another language."""
        return "" if self.foreign else self.environment.digest

    @property
    def description(self) -> str:
        """What the service ran on, in words; empty for another language."""
        return "" if self.foreign else f"{self.environment.name}, {self.environment.how}"

    @property
    def tools(self) -> tuple[str, ...]:
        """What was layered for the tests, as `pytest 9.0.1`."""
        return tuple(f"{name} {version}" for name, version in self.layer.packages.items())

    def pytest(self, *words: str) -> tuple[str, ...]:
        """Words after the interpreter that run pytest as `python -m pytest` does."""
        behind = (str(_BEHIND), self.layer.place) if self.layer.place else ("-m",)
        return (*behind, "pytest", *words)

    def run(
        self, words: Sequence[str], tree: Path, *, timeout_s: float, variables: Mapping[str, str] | None = None
    ) -> confine.Ran:
        """Run the interpreter with `words` in `tree`, behind walls; `variables` are set besides a clean environment.

        Raises `SandboxError` when the service runs in an image and no container is to be had.
        """
        python = self.environment.interpreter
        reads = [str(_BEHIND.parent), *filter(None, [self.layer.place])]
        given = {**self.environment.variables, **(variables or {})}
        if self.environment.image is not None:
            from shadowlab.gates import confine_image

            if self.sandbox != "docker":
                raise errors.SandboxError(
                    f"the service runs in an image, which the sandbox {self.sandbox} has no use for",
                    hint="run the gates with --sandbox docker",
                )
            command = (python.executable, *words)
            return confine_image.run(
                self.environment.image, command, tree, timeout_s=timeout_s, environment=given, reads=reads
            )
        if python is not interpreters.here():
            path = os.environ.get("PATH", os.defpath)
            given = {"PATH": f"{os.path.dirname(python.executable)}{os.pathsep}{path}", **given}
        reads += python.readable
        return confine.run((python.executable, *words), tree, timeout_s=timeout_s, environment=given, reads=reads)


def of(tree: Path, service: Service, *, sandbox: str, tests: bool = False) -> Runtime:
    """The runtime of the service at `tree`, with what its tests need beside it when `tests` are to run.

    Raises `SourceError` when the environment cannot be had, or the tests need another version of a package than the
    service runs on.
    """
    if runners.of(service) is not None:
        own = Service(name=service.name, entrypoint=service.entrypoint)
        return Runtime(environment=environments.of(tree, own), layer=layers.Layer(), sandbox=sandbox, foreign=True)
    environment = layers.under(tree, service)
    layer = layers.beside(environment, tree, service) if tests else layers.Layer()
    return Runtime(environment=environment, layer=layer, sandbox=sandbox)
