"""A recording as a job for a fork server, and what came of it as a result."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.results import Calls, MirrorResult, RunResult, result_of
from shadowlab.replay.server import Ended


@dataclass(frozen=True, kw_only=True, slots=True)
class Hooks:
    """What is changed in a run on purpose, one thing at a time."""

    substitute: Mapping[str, Any] | None = None
    """`{"file", "function", "argument", "rule"}`: an argument replaced whenever that function is called; rules are
    those of `shadowlab.replay.inside.swap.RULES`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Values set over the recorded ones."""
    seed: int | None = None
    """Another seed than the recorded one."""
    again: bool = False
    """Whether a message is delivered a second time, to the world that the first delivery left."""
    elsewhere: bool = False
    """Whether it runs on a host of another name, as another user and process, with other stand-ins and hash seed."""


def job(fixture: Fixture, hooks: Hooks) -> dict[str, Any]:
    """What a fork server's child gets: the request, its time and seed, its tape, and what is changed on purpose."""
    return {
        "request": msgspec.to_builtins(
            {"method": fixture.request.method, "path": fixture.request.path, "query": fixture.request.query,
             "headers": fixture.request.headers, "pieces": fixture.request.pieces,
             "unread": fixture.request.unread}
        ),
        "body": fixture.request.content.hex(),
        "database_name": _named_database(fixture),
        "database_anywhere": fixture.database is not None and fixture.db_environment is None,
        "untouched": fixture.untouched,
        "time_ns": fixture.time_ns,
        "monotonic_ns": fixture.monotonic_ns,
        "seed": fixture.rand_seed if hooks.seed is None else hooks.seed,
        "outbound": msgspec.to_builtins(fixture.outbound),
        "schedule": msgspec.to_builtins(fixture.schedule),
        "plain": fixture.kind == "function",
        "call": msgspec.to_builtins(fixture.call) if _callable(fixture) else None,
        "message": _message(fixture),
        "again": hooks.again and fixture.message is not None,
        "substitute": dict(hooks.substitute) if hooks.substitute else None,
    }  # fmt: skip


def mirror(fixtures: Sequence[Fixture], timed: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """One job of many requests, with what production answered; the functions named in `timed` are timed as well."""
    answers = (fixture.response.content.hex() if fixture.response else "" for fixture in fixtures)
    return {
        "mirror": [{**job(each, Hooks()), "answer": answer} for each, answer in zip(fixtures, answers, strict=True)],
        "timed": [{"file": each["file"], "function": each["function"]} for each in timed],
    }


def _callable(fixture: Fixture) -> bool:
    """Whether the recorded call names a function of the tree."""
    return fixture.call is not None and ":" in fixture.call.target


def _message(fixture: Fixture) -> dict[str, Any] | None:
    """The message as a consumer gets it, its payload in hex."""
    if fixture.message is None:
        return None
    return {**msgspec.to_builtins(fixture.message), "payload": fixture.payload.hex()}


def _named_database(fixture: Fixture) -> str | None:
    """The name under which an event expects its database in the working folder."""
    event = fixture.event if fixture.kind == "function" else None
    named = event.get("db_snapshot") if isinstance(event, dict) else None
    return os.path.basename(named) or None if isinstance(named, str) and fixture.db_snapshot else None


def result(fixture: Fixture, end: Ended, *, perturbed: bool, timeout_s: float, foreign: bool) -> RunResult:
    """How a run came out; `foreign` is one in another language. A run that did not end well is a value, too."""
    if foreign and fixture.request.unread:
        reason = (
            "the body was not read when it was recorded, and whether it is read now cannot be told in this language"
        )
        return RunResult(recording=fixture.id, perturbed=perturbed, state="crashed", reason=reason)
    if end.why == "timeout":
        reason = f"it had not ended after {timeout_s:g} s"
        return RunResult(recording=fixture.id, perturbed=perturbed, state="timeout", reason=reason)
    if end.why != "finished":
        reason = "the process died" if end.why == "died" else end.why
        return RunResult(recording=fixture.id, perturbed=perturbed, state="crashed", reason=reason)
    try:
        database = fixture.db_snapshot is not None or fixture.untouched
        return result_of(fixture.id, end.content, perturbed=perturbed, foreign=foreign, database=database)
    except errors.SandboxError as exc:
        return RunResult(recording=fixture.id, perturbed=perturbed, state="crashed", reason=str(exc.args[0])[:500])


def sequence(prepared: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One job of many replays in one process; the child's folder begins as the first one's."""
    return {**prepared[0], "sequence": list(prepared)}


def sequenced(fixtures: Sequence[Fixture], end: Ended, *, timeout_s: float) -> list[RunResult]:
    """How each replay of a sequence came out; those that the process did not live to see ended as it did."""
    lines = end.content.splitlines()[: len(fixtures)]
    why = "died" if end.why == "finished" else end.why
    ends = [Ended(end.number, line, "finished") for line in lines]
    ends += [Ended(end.number, b"", why)] * (len(fixtures) - len(lines))
    return [
        result(fixture, each, perturbed=False, timeout_s=timeout_s, foreign=False)
        for fixture, each in zip(fixtures, ends, strict=True)
    ]


def mirrored(fixtures: Sequence[Fixture], output: bytes, why: str) -> list[MirrorResult]:
    """What mirrored requests came to; raises `SandboxError` when the process ended before the last one."""
    lines = output.splitlines()
    if len(lines) != len(fixtures):
        raise errors.SandboxError(
            f"the mirrored service ended after {len(lines)} of {len(fixtures)} requests ({why})",
            hint="a single replay of the next request says why: `shadowlab replay CASE`",
        )
    results = []
    for fixture, line in zip(fixtures, lines, strict=True):
        one = msgspec.json.decode(line, type=_Line)
        results.append(
            MirrorResult(recording=fixture.id, status=one.status, error=one.error, latency_ms=one.latency_ms,
                         body_sha256=one.body, unrecorded=one.unrecorded,
                         timed=tuple(Calls(returned=n, raised=m, spent_ms=ns / 1e6) for n, m, ns in one.timed))
        )  # fmt: skip
    return results


class _Line(msgspec.Struct):
    status: int | None
    error: str | None
    latency_ms: float
    body: str
    unrecorded: int
    timed: list[tuple[int, int, int]]
