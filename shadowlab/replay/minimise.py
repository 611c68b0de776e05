"""Make a failing request as small as it can be while it still fails in the same way.

Delta debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002) over the JSON tree,
containers first, then leaves; over query, headers and recorded calls as lists. The oracle is the outcome key, which
holds the exception's type and the innermost function of the tree, so that it cannot slip to another failure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Recording
from shadowlab.replay import recording
from shadowlab.replay.fixture import Fixture, Outbound
from shadowlab.replay.runner import Runner
from shadowlab.replay.trees import tree_of
from shadowlab.source import Source

T = TypeVar("T")
_SIMPLEST: tuple[tuple[type, Any], ...] = ((bool, False), (int, 0), (float, 0), (str, ""), (list, []), (dict, {}))


@dataclass(frozen=True, kw_only=True, slots=True)
class Minimised:
    """The small request, kept in the case beside the large one."""

    recording: Recording
    before_bytes: int
    """Of the request's body."""
    after_bytes: int
    replays: int
    spent: bool
    """Whether the budget ended the search."""


class _Spent(Exception):
    """The budget of replays is used up."""


def minimise(
    case: Case,
    id: str,
    *,
    source: Source,
    revision: str,
    budget: int = 200,
    sandbox: str = "embedded",
    progress: Callable[[str, int, int], None] | None = None,
) -> Minimised:
    """The smallest request found within `budget` replays that has the outcome key of recording `id`.

    Raises `RecordingError` when the recording does not fail when it is replayed.
    """
    whole = recording.load(case, id)
    service = source.service(source.revision(revision))
    content = recording.snapshot(case, whole)
    with (
        tree_of(source, revision) as tree,
        Runner(tree, service, sandbox=sandbox, snapshots=lambda _: content) as runner,
    ):
        oracle = _Oracle(runner, whole, budget, progress)
        smallest = oracle.search()
    told = {**msgspec.to_builtins(smallest), "response": None, "error": None, "trace_id": None, "span_id": None}
    told["id"] = hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:32]
    kept = recording.keep(case, msgspec.convert(told, Fixture))
    return Minimised(
        recording=kept,
        before_bytes=len(whole.request.content),
        after_bytes=len(smallest.request.content),
        replays=oracle.replays,
        spent=oracle.replays >= budget,
    )


class _Oracle:
    """Asks the replay whether a smaller request still fails in the same way; remembers what it asked."""

    def __init__(
        self, runner: Runner, whole: Fixture, budget: int, progress: Callable[[str, int, int], None] | None
    ) -> None:
        self._runner = runner
        self._budget = budget
        self._progress = progress
        self._known: dict[bytes, bool] = {}
        self._key = ""
        self.replays = 0
        self.best = whole

    def search(self) -> Fixture:
        """The smallest one found."""
        first = self._run(self.best)
        if first.error is None and (first.status is None or first.status < 500):
            raise errors.RecordingError(
                f"{self.best.id[:8]} does not fail when it is replayed", hint="minimise a recording that fails"
            )
        self._key = first.key
        try:
            self._shrink_body()
            self._shrink_lists()
        except _Spent:
            return self.best
        return self.best

    def _shrink_body(self) -> None:
        request = self.best.request
        text = request.content.decode("utf-8", "replace")
        try:
            document = json.loads(text)
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

    def _holds(self, candidate: Fixture) -> bool:
        asked = msgspec.json.encode(candidate)
        if asked not in self._known:
            self._known[asked] = self._run(candidate).key == self._key
        if self._known[asked]:
            self.best = candidate
        return self._known[asked]

    def _run(self, candidate: Fixture) -> Any:
        if self.replays >= self._budget:
            raise _Spent
        self.replays += 1
        if self._progress is not None:
            self._progress("minimising", self.replays, self._budget)
        return self._runner.run(candidate, repeats=1, perturb=False)[0]


def fewer(parts: Sequence[T], holds: Callable[[list[T]], bool]) -> list[T]:
    """As few of `parts` as `holds` allows, in their order: large pieces are tried first, then ever smaller ones."""
    left, size = list(parts), len(parts)
    while size:
        at = 0
        while at < len(left):
            rest = left[:at] + left[at + size :]
            if holds(rest):
                left = rest
            else:
                at += size
        size //= 2
    return left


def smaller(value: Any, holds: Callable[[Any], bool]) -> Any:
    """The simplest JSON value that `holds` allows: containers top-down, then leaves."""
    simplest = next((simple for kind, simple in _SIMPLEST if isinstance(value, kind)), None)
    if value == simplest or value is None:
        return value
    if holds(simplest):
        return simplest
    if isinstance(value, dict):
        keys = fewer(list(value), lambda left: holds({key: value[key] for key in left}))
        kept = {key: value[key] for key in keys}
        for key in keys:
            kept[key] = smaller(kept[key], lambda part, key=key: holds({**kept, key: part}))  # type: ignore[misc]
        return kept
    if isinstance(value, list):
        items = fewer(value, holds)
        for n in range(len(items)):
            items[n] = smaller(items[n], lambda part, n=n: holds([*items[:n], part, *items[n + 1 :]]))  # type: ignore[misc]
        return items
    return value


def _with_request(fixture: Fixture, **changes: Any) -> Fixture:
    return msgspec.structs.replace(fixture, request=msgspec.structs.replace(fixture.request, **changes))


def _with_json(fixture: Fixture, document: Any) -> Fixture:
    return _sized(_with_request(fixture, body=document, body_encoding="json" if document is not None else "none"))


def _with_text(fixture: Fixture, text: str) -> Fixture:
    return _sized(_with_request(fixture, body=text, body_encoding="utf-8"))


def _sized(fixture: Fixture) -> Fixture:
    length = str(len(fixture.request.content))
    headers = tuple((k, length if k.lower() == "content-length" else v) for k, v in fixture.request.headers)
    return _with_request(fixture, headers=headers)


def _with_tape(fixture: Fixture, calls: Sequence[Outbound]) -> Fixture:
    return msgspec.structs.replace(fixture, outbound=tuple(calls))
