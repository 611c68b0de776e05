"""Deliver a recorded message a second time, and say what it did twice.

Queues deliver at least once: a consumer must know a message that it has seen by its idempotency key. Offsets are never
committed here; the message comes from the recording, and goes nowhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from shadowlab.privacy import masked
from shadowlab.records import Effect, Finding
from shadowlab.records.replay import Control
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.jobs import Hooks
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner

if TYPE_CHECKING:
    from shadowlab.replay.fanout import Fanned

_READS = {"GET", "HEAD", "OPTIONS", "TRACE", "MGET", "HGET", "HGETALL", "HMGET", "EXISTS", "LRANGE", "SMEMBERS",
          "SISMEMBER", "ZRANGE", "ZSCORE", "TTL", "TYPE", "KEYS", "SCAN", "PING", "XREAD", "XREADGROUP"}  # fmt: skip
"""Methods of HTTP (RFC 9110, section 9.2.1) and commands of Redis that leave nothing behind."""


def findings(runner: Runner | Fanned, fixtures: Sequence[Fixture]) -> tuple[Finding, ...]:
    """What a second delivery of each message did again; one run more for each message with an idempotency key."""
    messages = [fixture for fixture in fixtures if fixture.message and fixture.message.idempotency_key]
    if not messages:
        return ()
    runs = runner.run_many([(fixture, 1) for fixture in messages], perturb=False, hooks=Hooks(again=True))
    return tuple(found for fixture, (run,) in zip(messages, runs, strict=True) if (found := _finding(fixture, run)))


def notes(fixtures: Sequence[Fixture]) -> tuple[str, ...]:
    """What could not be looked for."""
    without = [f.id[:8] for f in fixtures if f.message and not f.message.idempotency_key]
    return (
        (f"a second delivery was not tried: {', '.join(without[:5])} came without an idempotency key",)
        if without
        else ()
    )


def offsets(fixtures: Sequence[Fixture], runs: Sequence[RunResult]) -> tuple[Effect, ...]:
    """The ledger's line about a queue; none where no message was replayed."""
    if not any(fixture.message for fixture in fixtures):
        return ()
    commits = sum((run.readings or {}).get("commits", 0) for run in runs)
    how = "the message comes from the recording; commits and acknowledgements are counted and go nowhere"
    return (Effect(seam="queue", control=Control.CONTROLLED, how=how, events=commits),)


def _finding(fixture: Fixture, run: RunResult) -> Finding | None:
    """What the second delivery did that the first one had done already."""
    again = run.again
    if again is None:
        return None
    first = set(run.outbound)
    effects = tuple(line for line in again.outbound if line.partition(" ")[0] not in _READS and line in first)
    changed = {table: rows for table, rows in (again.database or {}).items() if table in (run.database or {})}
    repeated = (
        [f"{len(effects)} outbound effect{'s' if len(effects) > 1 else ''} again ({effects[0]})"] if effects else []
    )
    repeated += [f"{table} again (+{added} -{removed} rows)" for table, (added, removed) in sorted(changed.items())]
    if again.error is not None and run.error is None:
        repeated.append(f"an error, {again.error.type}, so that the queue will deliver it for ever")
    if not repeated:
        return None
    key = masked(str(fixture.message.idempotency_key if fixture.message else ""))[:60]
    return Finding(
        recording=fixture.id,
        kind="second delivery",
        what=f"a second delivery of message {key!r} made {', and '.join(repeated)}",
        effects=effects,
        database=changed or None,
    )
