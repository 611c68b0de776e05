"""Make a failing request as small as it can be while it still fails in the same way.

The body first, then query, headers and recorded calls, then the answers that these calls got, then the rows of the
database. The oracle is the outcome key, which holds the exception's type and the innermost function of the tree, so
that the search cannot slip to another failure.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Minimised, Part
from shadowlab.replay import recording, variants
from shadowlab.replay.fixture import Fixture, Outbound
from shadowlab.replay.postgres import needs
from shadowlab.replay.results import RunResult
from shadowlab.replay.runner import Runner
from shadowlab.replay.shrinking import LARGEST_DATABASE, fewer, fewer_of_each, fewer_rows, parsed, row_count, smaller
from shadowlab.replay.state import Row
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source

BUDGET = 200
"""Replays that a search may take when nothing else is said."""


class _Spent(Exception):
    """The budget of replays is used up."""


def minimise(
    case: Case,
    id: str,
    *,
    source: Source,
    revision: str,
    budget: int = BUDGET,
    sandbox: str = "embedded",
    parents: tuple[str, ...] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Minimised:
    """The smallest request found within `budget` replays that has the outcome key of recording `id`.

    It is kept in the case beside the large one. Raises `RecordingError` when the recording does not fail when it is
    replayed, or cannot be replayed alone.
    """
    whole = recording.load_whole(case, id)
    revision = source.revision(revision)
    service = source.service(revision)
    snapshots = {whole.db_snapshot: recording.snapshot(case, whole)}
    with (
        tree_of(source, revision) as tree,
        Runner(tree, service, sandbox=sandbox, snapshots=lambda fixture: snapshots[fixture.db_snapshot]) as runner,
    ):
        oracle = _Oracle(runner, whole, snapshots, budget, progress)
        smallest, run = oracle.search()
    content = snapshots[smallest.db_snapshot]
    if content is not None and smallest.db_snapshot != whole.db_snapshot:
        variants.keep_snapshot(case, content)
    kept = variants.keep(case, smallest, whole, run, service)
    return Minimised(
        recording=kept.id,
        of=whole.id,
        outcome_key=run.key,
        parts=_parts(whole, smallest, snapshots),
        replays=oracle.replays,
        budget=budget,
        spent=oracle.spent,
        revision=revision,
        sandbox=sandbox,
        parents=parents,
    )


def _parts(whole: Fixture, small: Fixture, snapshots: dict[str | None, bytes | None]) -> tuple[Part, ...]:
    def sizes(fixture: Fixture) -> list[tuple[str, str, int]]:
        content = snapshots[fixture.db_snapshot]
        answers = sum(len(call.content) for call in fixture.outbound)
        return [
            ("body", "byte", len(fixture.request.content)),
            ("query", "byte", len(fixture.request.query)),
            ("headers", "header", len(fixture.request.headers)),
            ("outbound calls", "call", len(fixture.outbound)),
            ("answers to them", "byte", answers),
            *([("database", "row", row_count(content))] if content else []),
            *([("database", "row", _stored(fixture))] if needs(fixture) else []),
        ]

    return tuple(
        Part(name=name, unit=unit, before=before, after=after)
        for (name, unit, before), (_, _, after) in zip(sizes(whole), sizes(small), strict=True)
    )


def _stored(fixture: Fixture) -> int:
    return sum(len(rows) for rows in fixture.database.rows.values()) if fixture.database else 0


class _Oracle:
    """Asks the replay whether a smaller request still fails in the same way; remembers what it asked."""

    def __init__(
        self,
        runner: Runner,
        whole: Fixture,
        snapshots: dict[str | None, bytes | None],
        budget: int,
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self._runner = runner
        self._snapshots = snapshots
        self._budget = budget
        self._progress = progress
        self._known: dict[bytes, RunResult] = {}
        self._key = ""
        self.replays = 0
        self.spent = False
        self.best = whole

    def search(self) -> tuple[Fixture, RunResult]:
        """The smallest one found, and what it came to."""
        first = self._ran(self.best)
        if first.state == "finished" and first.error is None and (first.status is None or first.status < 500):
            raise errors.RecordingError(
                f"{self.best.id[:8]} does not fail when it is replayed", hint="minimise a recording that fails"
            )
        self._key = first.key
        try:
            for step in (self._shrink_body, self._shrink_lists, self._shrink_answers, self._shrink_rows):
                step()
        except _Spent:
            self.spent = True
        return self.best, self._ran(self.best)

    def _shrink_body(self) -> None:
        request = self.best.request
        text = request.content.decode("utf-8", "replace")
        try:
            document = parsed(text)
        except ValueError:
            parts = text.split("&") if "=" in text and "\n" not in text else text.splitlines(keepends=True)
            glue = "&" if "=" in text and "\n" not in text else ""
            fewer(parts, lambda left: self._holds(_with_text(self.best, glue.join(left))))
            return
        smaller(document, lambda value: self._holds(_with_json(self.best, value)))

    def _shrink_lists(self) -> None:
        query = [part for part in self.best.request.query.split("&") if part]
        fewer(query, lambda left: self._holds(_with_request(self.best, query="&".join(left))))
        fewer(self.best.request.headers, lambda left: self._holds(_with_request(self.best, headers=tuple(left))))
        fewer(self.best.outbound, lambda left: self._holds(_with_tape(self.best, left)))

    def _shrink_answers(self) -> None:
        for at in range(len(self.best.outbound)):
            self._shrink_answer(at)

    def _shrink_answer(self, at: int) -> None:
        try:
            document = parsed(self.best.outbound[at].content)
        except ValueError:
            return
        smaller(document, lambda value: self._holds(_with_answer(self.best, at, value)))

    def _shrink_rows(self) -> None:
        database = self.best.database
        if database is not None and needs(self.best):
            if len(msgspec.json.encode(database.rows)) <= LARGEST_DATABASE:
                fewer_of_each(database.rows, lambda left: self._holds(_with_rows(self.best, left)))
            return
        content = self._snapshots[self.best.db_snapshot]
        if content is None or len(content) > LARGEST_DATABASE:
            return
        try:
            fewer_rows(content, self._holds_with)
        except sqlite3.Error:  # a database of a form that cannot be taken apart here stays whole
            return

    def _holds_with(self, database: bytes) -> bool:
        name = variants.snapshot_name(database)
        self._snapshots[name] = database
        return self._holds(msgspec.structs.replace(self.best, db_snapshot=name))

    def _holds(self, candidate: Fixture) -> bool:
        if candidate.request.unread and not candidate.unread:
            return False  # without its length nothing says that there was more of the body
        holds = self._ran(candidate).key == self._key
        if holds:
            self.best = candidate
        return holds

    def _ran(self, candidate: Fixture) -> RunResult:
        key = msgspec.json.encode(candidate)
        if key not in self._known:
            if self.replays >= self._budget:
                raise _Spent
            self.replays += 1
            if self._progress is not None:
                self._progress("minimising", self.replays, self._budget)
            self._known[key] = self._runner.run(candidate, repeats=1, perturb=False)[0]
        return self._known[key]


def _with_request(fixture: Fixture, **changes: Any) -> Fixture:
    return msgspec.structs.replace(fixture, request=msgspec.structs.replace(fixture.request, **changes))


def _with_json(fixture: Fixture, document: Any) -> Fixture:
    encoding = "json" if document is not None else "none"
    return _sized(_with_request(fixture, body=document, body_encoding=encoding, pieces=()))


def _with_text(fixture: Fixture, text: str) -> Fixture:
    return _sized(_with_request(fixture, body=text, body_encoding="utf-8", pieces=()))


def _sized(fixture: Fixture) -> Fixture:
    if fixture.request.unread:
        return fixture  # its header tells of the rest, too
    length = str(len(fixture.request.content))
    headers = tuple((k, length if k.lower() == "content-length" else v) for k, v in fixture.request.headers)
    return _with_request(fixture, headers=headers)


def _with_tape(fixture: Fixture, calls: Sequence[Outbound]) -> Fixture:
    return msgspec.structs.replace(fixture, outbound=tuple(calls))


def _with_rows(fixture: Fixture, rows: Mapping[str, Sequence[Row]]) -> Fixture:
    """With these rows in PostgreSQL; what was read and written of others goes, for it is no longer so."""
    assert fixture.database is not None
    left = {table: tuple(rows.get(table, ())) for table in fixture.database.rows}
    database = msgspec.structs.replace(fixture.database, rows=left, reads=(), writes=(), transactions=())
    return msgspec.structs.replace(fixture, database=database)


def _with_answer(fixture: Fixture, at: int, document: Any) -> Fixture:
    changed = msgspec.structs.replace(fixture.outbound[at], body=document, body_encoding="json")
    return _with_tape(fixture, [*fixture.outbound[:at], changed, *fixture.outbound[at + 1 :]])
