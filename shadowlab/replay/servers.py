"""The fork servers of one tree: one for each environment and perturbation, each in a folder of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from shadowlab import errors
from shadowlab.replay import environments, preload, runners, sandboxes
from shadowlab.replay.folders import Folder
from shadowlab.replay.postgres import Postgres
from shadowlab.replay.server import Server
from shadowlab.replay.world import BASE, DOOR, INSIDE, SYSTEM
from shadowlab.source import Service

LIMITS = {
    "cpu_s": 30,
    "memory": 4 << 30,
    "file_size": 256 << 20,
    "disk": 512 << 20,
    "files": 512,
    "processes": 64,
}
"""Per replay: seconds of processor, bytes of addresses, bytes a file and in all; per server: open files, processes."""


class Servers:
    """Close them when done: nothing is left.

    Raises `SourceError` when the service's environment cannot be had, `SandboxError` when the sandbox cannot.
    """

    def __init__(self, tree: Path, service: Service, *, sandbox: str, limits: Mapping[str, int]) -> None:
        self._tree = tree.resolve()
        self._service = service
        self._sandbox = sandboxes.named(sandbox)
        self._limits = {**LIMITS, **limits}
        self._folders: list[Folder] = []
        self._servers: dict[tuple[bool, tuple[tuple[str, str], ...]], Server] = {}
        self._preload: tuple[str, ...] = ()
        self.postgres: Postgres | None = None
        """The database of those that need one, once it was started."""
        self.tool = self._prepared(service)
        """The program that replays a service of another language; None for Python."""
        if self.tool is None:
            self.environment = self._grounded(service)
        else:
            self._tree, self.environment = self.tool.tree, self.tool.environment
        needed = (*self.environment.interpreter.readable, str(INSIDE), *filter(None, [self.environment.tools]))
        self._readable = tuple(dict.fromkeys((*needed, *(self.tool.readable if self.tool else ()))))

    def close(self) -> None:
        """End every fork server and take its folder away."""
        for server in self._servers.values():
            server.close()
        self._servers.clear()
        if self.postgres is not None:
            self.postgres.close()
            self.postgres = None
        for folder in self._folders:
            folder.remove()
        self._folders.clear()

    def launched(self, environment: Mapping[str, str], *, perturbed: bool) -> Server:
        """The server for an environment, started when there is none; it may still import the service."""
        key = (perturbed, tuple(sorted(environment.items())))
        if key not in self._servers:
            folder = Folder()
            self._folders.append(folder)
            work = folder.path
            config, launch = self._config(work, perturbed), self._launch(environment, work, perturbed)
            if environment.get("PGHOST") == DOOR:
                self.postgres = self.postgres or Postgres()
                config["door"], config["stored"] = str(self.postgres.address), str(self.postgres.stored)
                config["socket_at"] = self._sandbox.socket_at
                launch = replace(launch, socket=str(self.postgres.address.parent))
            server = Server(self._sandbox, launch, config)
            server.launch()
            self._servers[key] = server
        return self._servers[key]

    @property
    def enforced(self) -> tuple[str, ...]:
        """What the sandbox really holds, as probed; empty before the first run."""
        server = next(iter(self._servers.values()), None)
        return self._sandbox.enforced(server.held) if server else ()

    @property
    def sandbox(self) -> str:
        """The sandbox's name."""
        return self._sandbox.name

    @property
    def clock(self) -> str:
        """How the clock is held."""
        return next((server.clock for server in self._servers.values()), "")

    @property
    def steady(self) -> bool:
        """Whether addresses are fixed in the canonical environment."""
        return all(server.steady for (perturbed, _), server in self._servers.items() if not perturbed)

    def _prepared(self, service: Service) -> runners.Tool | None:
        runner = runners.of(service)
        if runner is None:
            return None
        self._folders.append(Folder())
        try:
            return runner.prepared(self._tree, service, self._folders[-1].path)
        except BaseException:
            self.close()
            raise

    def _grounded(self, service: Service) -> environments.Environment:
        """What the service's own code runs on."""
        environment = environments.of(self._tree, service)
        if environment.image is None:
            self._preload = preload.modules(self._tree, service.lock, environment.interpreter.path)
        elif self.sandbox != "docker":
            raise errors.SandboxError(
                f"the service runs in an image, which the sandbox {self.sandbox} has no use for",
                hint="replay with --sandbox docker",
            )
        return environment

    def _launch(self, environment: Mapping[str, str], work: Path, perturbed: bool) -> sandboxes.Launch:
        steady = "random" if perturbed else "steady"
        python = self.environment.interpreter
        place = str(work / "control")
        return sandboxes.Launch(
            command=(python.executable, *python.options(), str(INSIDE / "__main__.py"), place, steady),
            place=place,
            environment={
                **BASE,
                "PYTHONHASHSEED": "4242" if perturbed else "0",
                **self.environment.variables,
                **environment,
            },
            preload=self._preload,
            tools=self.environment.tools,
            readable=(str(self._tree), *self._readable),
            # An image brings its own.
            system=() if python.within else (*SYSTEM, os.path.realpath(python.executable)),
            image=self.environment.image,
            runs=self.tool is not None,
            work=work,
            limits=self._limits,
            perturbed=perturbed,
        )

    def _config(self, work: Path, perturbed: bool) -> dict[str, Any]:
        return {
            "name": self._service.name,
            "entrypoint": self._service.entrypoint,
            "kind": self._service.kind,
            "tree": str(self._tree),
            "work": str(work),
            "inside": [
                f"{self._tree}/",
                f"{work}/",
                *(f"{path}/" for path in (*self._readable, *self.environment.interpreter.within)),
                "/dev/null",
                "/proc/self/cwd/",
            ],
            "readable": [str(self._tree), *self._readable, *self.environment.interpreter.within, *SYSTEM],
            "guard": self._sandbox.guard,
            "preload": list(self._preload),
            "tools": self.environment.tools,
            "tool": list(self.tool.command) if self.tool else [],
            "limits": self._limits,
            "perturbed": perturbed,
            "switch_interval": 1e-6 if perturbed else 0.005,
        }


def placed(server: Server, snapshot: bytes | None, name: str | None = None) -> str | None:
    """The path of a snapshot as a file that a server's children may read."""
    if snapshot is None:
        return None
    digest = hashlib.sha256(snapshot).hexdigest() if name is None else name.rpartition("/")[2][:64]
    place = server.work / f"{digest}.sqlite"
    if not place.exists():
        place.write_bytes(snapshot)
        place.chmod(0o644)
    return str(place)
