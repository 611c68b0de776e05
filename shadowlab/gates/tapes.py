"""Which recordings a gate runs: the failing ones, those that passed, and the stretch of traffic to mirror."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.gates.bench import Bench
from shadowlab.records import Recording
from shadowlab.replay import Fixture, Runner, listed, load
from shadowlab.replay.recording import snapshot

MOST_FAILING = 20
MOST_PASSING = 60


def failing(bench: Bench) -> list[Fixture]:
    """Recordings that show the diagnosed failure, the diagnosis' first."""
    ids = dict.fromkeys((*bench.diagnosis.recordings, *(run.recording for run in bench.replay.runs)))
    fixtures = (load(_case(bench), id) for id in ids)
    return [fixture for fixture in fixtures if fixture.failed and not fixture.missing][:MOST_FAILING]


def passing(bench: Bench) -> list[Fixture]:
    """Complete recordings of the service's requests that were answered well, spread evenly over their time."""
    found = [r.id for r in _own(bench) if not r.failed and not r.missing]
    step = -(-len(found) // MOST_PASSING) or 1
    return [load(_case(bench), id) for id in found[::step]]


def mirrored(bench: Bench) -> tuple[list[Fixture], bytes | None]:
    """Requests in the order in which they came, from the first whose database is known, and that database.

    A service without a recorded database is mirrored from its first request. A request that was cut is left out.
    """
    fixtures = [load(_case(bench), record.id) for record in _own(bench)]
    fixtures = [fixture for fixture in fixtures if not fixture.truncated]
    first = next((n for n, fixture in enumerate(fixtures) if fixture.db_snapshot), None)
    if first is None:
        return [fixture for fixture in fixtures if not fixture.db_environment], None
    return fixtures[first:], snapshot(_case(bench), fixtures[first])


@contextlib.contextmanager
def runner(bench: Bench, tree: Path) -> Iterator[Runner]:
    """A runner on a private copy of one of the bench's clean trees."""
    with (
        bench.copy(tree) as copy,
        Runner(
            copy, bench.service, sandbox=bench.sandbox, snapshots=lambda fixture: snapshot(_case(bench), fixture)
        ) as made,
    ):
        yield made


def _own(bench: Bench) -> Sequence[Recording]:
    name = bench.service.name
    return [record for record in listed(_case(bench)) if record.service in ("", name)]


def _case(bench: Bench) -> Case:
    if bench.case is None:
        raise errors.UsageError("there is no case to take recordings from", hint="open one with `sl.open(...)`")
    return bench.case
