"""Which recordings a gate runs: the failing ones, those that passed, and the stretch of traffic to mirror."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.gates.bench import Bench
from shadowlab.records import Recording
from shadowlab.replay import Fixture, Runner, load
from shadowlab.replay.recording import snapshot

MOST_FAILING = 10
MOST_PASSING = 40
MOST_MIRRORED = 900


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
    """The stretch of traffic in which every request was recorded, in its order, and the database as it began.

    It begins with the first recording without a database of its own (only a mirroring recorder writes those), or
    rather with the next one that has one, because from there on the state is known. A service without a database is
    mirrored from its first request. A request that was cut is left out, and where no state is known any of whose
    database only the rows that it touched are known: those of the next one are not there.
    """
    fixtures = [load(_case(bench), record.id) for record in _own(bench)]
    fixtures = [fixture for fixture in fixtures if not fixture.truncated]
    alone = next((n for n, f in enumerate(fixtures) if f.db_environment and not f.db_snapshot), 0)
    first = next((n for n, f in enumerate(fixtures) if n >= alone and f.db_snapshot), None)
    if first is None:
        free = [fixture for fixture in fixtures if fixture.database is None and not fixture.db_environment]
        return free[:MOST_MIRRORED], None
    return fixtures[first : first + MOST_MIRRORED], snapshot(_case(bench), fixtures[first])


def operation(fixture: Fixture) -> str:
    """`POST /charges/*/refunds`: method and path, whatever looks like an id masked."""
    parts = fixture.request.path.split("/")
    masked = ("*" if any(letter.isdigit() for letter in part) or len(part) > 32 else part for part in parts[:12])
    return f"{fixture.request.method} {'/'.join(masked)}"


@contextlib.contextmanager
def runner(bench: Bench, tree: Path) -> Iterator[Runner]:
    """The bench's runner of one of its clean trees; one that broke is not used again."""
    try:
        yield bench.runner(tree)
    except BaseException:
        if (broken := bench.runners.pop(tree, None)) is not None:
            broken.close()
        raise


def _own(bench: Bench) -> Sequence[Recording]:
    name = bench.service.name
    return [record for record in bench.recordings if record.service in ("", name) and not record.made_from]


def _case(bench: Bench) -> Case:
    if bench.case is None:
        raise errors.UsageError("there is no case to take recordings from", hint="open one with `sl.open(...)`")
    return bench.case
