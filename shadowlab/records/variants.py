"""A replayed request varied on purpose: made small, put on another tree, run in other orders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shadowlab.records.base import Record, Verdict, counted


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of a recording, before and after."""

    name: str
    """`body`, `query`, `headers`, `outbound calls`, `answers to them`, `database`."""
    unit: str
    """`byte`, or what is counted, in the singular."""
    before: int
    after: int


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Minimised(Record):
    """A failing request made as small as it can be while it fails in the same way."""

    recording: str
    """Id of the small recording, kept in the case beside the large one."""
    of: str
    """Id of the large one."""
    outcome_key: str
    """What stayed the same: status, exception type, innermost function of the tree, shape of the change."""
    parts: tuple[Part, ...]
    replays: int
    budget: int
    spent: bool
    """Whether the budget ended the search; it may become smaller yet."""
    revision: str
    sandbox: str

    @property
    def before_bytes(self) -> int:
        """Of the request's body."""
        return self.parts[0].before

    @property
    def after_bytes(self) -> int:
        """Of the small request's body."""
        return self.parts[0].after

    def to_pytest(self, out: str | None = None) -> Any:
        """Replay the small request, then write it as plain pytest below `out` (the case's `patches/`); the paths."""
        inv = self.investigation
        return inv.replay(recordings=(self.recording,), revision=self.revision, sandbox=self.sandbox).to_pytest(out)

    def _summary(self) -> str:
        ended = ", the budget ended it" if self.spent else ""
        return f" {self.before_bytes:,} -> {self.after_bytes:,} bytes in {counted(self.replays, 'replay')}{ended}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"part": part.name, "before": counted(part.before, part.unit), "after": counted(part.after, part.unit)}
            for part in self.parts
        ]


class Became(StrEnum):
    """What became of one recording on the second tree."""

    FIXED = "fixed"
    STILL_FAILING = "still failing"
    NEW_FAILURE = "new failure"
    CHANGED = "changed but passing"
    UNCHANGED = "unchanged"
    NOT_COMPARABLE = "not comparable"


_GOOD, _BAD = {Became.FIXED, Became.UNCHANGED}, {Became.NEW_FAILURE, Became.STILL_FAILING}


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """One recording on both trees."""

    recording: str
    summary: str = ""
    """`POST /charges`: never a body."""
    became: Became
    before: str = ""
    """`500 TypeError`, or why it did not finish."""
    after: str = ""
    differs: tuple[str, ...] = ()
    """Parts of the outcome that differ: `body`, `headers`, `database`, `logs` …"""
    new_calls: tuple[str, ...] = ()
    """Outbound calls that only the second tree makes."""
    vanished_calls: tuple[str, ...] = ()
    """Outbound calls that only the first tree makes."""
    why: str = ""
    """Why it cannot be compared, or what to know about it."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Comparison(Record):
    """The same recordings on two trees: what a change fixes, breaks, alters and leaves alone."""

    verdict: Verdict
    """Pass: each is fixed or unchanged. Fail: one is a new failure or fails still. Else inconclusive."""
    base: str
    """The commit of the first tree."""
    patched: str
    """The commit of the second tree, before `patch_sha256` is applied to it."""
    patch_sha256: str | None = None
    """Of the unified diff, when one was applied."""
    sandbox: str
    counts: Mapping[str, int]
    """How many became what."""
    exemplars: tuple[Compared, ...]

    def _summary(self) -> str:
        counts = ", ".join(f"{number:,} {became}" for became, number in self.counts.items())
        return f" {self.verdict}: {counts or 'nothing to compare'}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"recording": one.recording[:12], "request": one.summary, "became": one.became.value, "before": one.before,
             "after": one.after, "differs": one.differs, "new calls": one.new_calls, "vanished calls":
             one.vanished_calls, "note": one.why}
            for one in self.exemplars
        ]  # fmt: skip


def comparison(exemplars: Sequence[Compared], **fields: Any) -> Comparison:
    """The record of what each exemplar became; no exemplar is inconclusive."""
    seen = Counter(one.became for one in exemplars)
    verdict = Verdict.FAIL if seen.keys() & _BAD else Verdict.INCONCLUSIVE
    if exemplars and seen.keys() <= _GOOD:
        verdict = Verdict.PASS
    counts = {became.value: seen[became] for became in Became if seen[became]}
    return Comparison(verdict=verdict, counts=counts, exemplars=tuple(exemplars), **fields)


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Exploration(Record):
    """One request run in many seeded orders of its tasks and threads."""

    verdict: Verdict
    """Fail: an order was found in which it comes out otherwise. Pass says no more than: the same in those that ran."""
    recording: str
    """Id of the recording that was explored."""
    found: str | None
    """Id of the recording that holds the order in which it came out otherwise, kept in the case."""
    seed: int
    """The first seed; each order has the next."""
    found_seed: int | None = None
    schedules: int
    """Orders that were run."""
    depth: int
    """Priority changes plus one: bugs of that depth are found with the probability of the PCT paper."""
    steps: int
    """Choices in the first run."""
    outcomes: Mapping[str, int]
    """What it came to, and in how many orders."""
    first: str
    """What it came to first come, first served."""
    other: str | None = None
    revision: str
    sandbox: str

    def _summary(self) -> str:
        seen = f"in {counted(self.schedules, 'order')}"
        if self.found is None:
            return f" the same {seen}: {self.first}"
        return f" {self.first} becomes {self.other} with seed {self.found_seed}, {seen}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [{"outcome": outcome, "orders": number} for outcome, number in self.outcomes.items()]
