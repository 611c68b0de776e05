"""Sources of chance that are planted in a service: each is held, or the ledger names it."""

from pathlib import Path

import orders
import pytest

from shadowlab.records import Control
from shadowlab.replay import Runner, RunResult
from shadowlab.replay.environments import Environment
from shadowlab.replay.fixture import parse
from shadowlab.replay.ledger import ledger

PLANTED = Path(__file__).with_name("assets") / "planted"
# What cannot be held must be named: by the seam that was seen, or as what the perturbed twin changed.
NAMED = {
    "threads that race": "threads",
    "/dev/urandom": "randomness",
    "set order": "perturbation",
    "hash of a string": "perturbation",
    "hash of an object": "perturbation",
    "an address in a repr": "perturbation",
    "thread identity": "perturbation",
    "a file of the host": "files",
    "/proc": "files",
    "/sys": "files",
    "a program's output": "processes",
    "a shell's output": "processes",
    "a name looked up": "network",
    "a connection": "network",
    "a forked child": "processes",
}


def names() -> list[str]:
    """Every source, read without running one."""
    text = (PLANTED / "sources.py").read_text().partition("SOURCES = {")[2]
    return [line.split('"')[1] for line in text.splitlines() if line.startswith('    "')]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, list[RunResult]], Environment]:
    """Each source run twice, and once in the perturbed twin; and what they ran on."""
    source = orders.copied(PLANTED, tmp_path_factory.mktemp("planted") / "tree")
    told = {"kind": "function", "time": "2026-01-01T00:00:00Z", "rand_seed": 1}
    wanted = [
        parse({**told, "request": {"method": "CALL", "path": "sources:run", "body": {"source": name}}}, where="x")
        for name in names()
    ]
    with Runner(source.path, source.service("HEAD")) as runner:
        results = runner.run_many([(fixture, 2) for fixture in wanted])
        return dict(zip(names(), results, strict=True)), runner.environment


@pytest.mark.parametrize("name", names())
def test_a_source_is_held_or_named(planted: tuple[dict[str, list[RunResult]], Environment], name: str) -> None:
    runs, environment = planted
    first, again, twin = runs[name]
    assert first.state == "finished", first.reason
    assert name in NAMED or first.digest == again.digest, (first.body, again.body)
    sensitive = [part for part, digest in first.parts.items() if twin.parts[part] != digest]
    effects = ledger([], runs[name], clock="", steady=True, environment=environment, sensitive=sensitive)
    seen = {effect.seam for effect in effects if effect.control is Control.OBSERVED}
    assert NAMED[name] in seen if name in NAMED else not seen, (first.body, twin.body, seen)


def test_at_least_forty_sources_are_planted() -> None:
    assert len(names()) >= 75
    assert set(NAMED) <= set(names())
