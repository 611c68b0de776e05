"""What masking and reading stacks cost: the start apart from what each more event takes, on events nearly all distinct.

Each repeat takes other events, so that nothing was read before. Records are those of real programs (`logs.py`), each
time with other numbers in them, of other lengths: those that differ in digits alone would be masked once.
"""

from __future__ import annotations

import random
import re
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import faults
import logs
import tracebacks
from faults import Event
from grouping import fingerprints

from shadowlab.triage import mask

REPEATS = 3
_NUMBERS = re.compile(r"[0-9a-f]{8,}|\d+")


@dataclass(frozen=True)
class Cost:
    """CPU seconds as a line: those of the start, and events per second after it."""

    start: float
    rate: float
    overall: float
    """Events per CPU second of the larger run, its start within."""


Taken = Callable[[Sequence[Any]], float]


def cost(run: Taken, drawn: Iterator[Sequence[Any]], few: int) -> Cost:
    """The median of three pairs of runs: of the first `few` of what is drawn, and of all the rest."""
    found = []
    for _ in range(REPEATS):
        events = next(drawn)
        less, more, count = run(events[:few]), run(events[few:]), len(events) - 2 * few
        each = (more - less) / count
        found.append((less - few * each, 1 / each, (count + few) / more))
    return Cost(*(statistics.median(column) for column in zip(*found, strict=True)))


def measured(sets: Mapping[str, Sequence[logs.Record]]) -> Iterator[tuple[str, int, float, str, Cost]]:
    """What is done, events, share of distinct texts, by what, and what it costs."""
    texts = sorted({text for told in sets.values() for text, _ in told if len(_NUMBERS.findall(text)) > 1})
    kinds: dict[str, tuple[Callable[[int], Sequence[Any]], Mapping[str, Taken], int]] = {
        "messages to templates": (lambda seed: _messages(seed, 150_000), {"mask": _masks, "drain3": _mines}, 20_000),
        "log records to groups": (
            lambda seed: _jumbled(seed, texts, 150_000), {"mask": _groups, "drain3": _mines}, 20_000),
        "stacks, frames and paths, eight languages": (
            lambda seed: faults.events(seed, faults.causes(seed, 120), 150_000), {"fingerprint": _reads}, 20_000),
        "the same, real Python tracebacks": (
            lambda seed: tracebacks.events(seed, 44_000), {"fingerprint": _reads}, 4_000),
    }  # fmt: skip
    for what, (draw, ways, few) in kinds.items():
        drawn = [draw(seed) for seed in range(101, 101 + REPEATS)]
        distinct = len({_text(event) for event in drawn[0]}) / len(drawn[0])
        for name, run in ways.items():
            run(drawn[0][:50])
            yield what, len(drawn[0]), distinct, name, cost(run, iter(drawn), few)


def _text(event: str | Event) -> str:
    return event if isinstance(event, str) else event.stack


def _messages(seed: int, count: int) -> Sequence[str]:
    """Messages that hold a parameter."""
    causes = [cause for cause in faults.causes(seed, 400) if any(isinstance(word, int) for word in cause.words)]
    return [event.message for event in faults.events(seed, causes, count)]


def _jumbled(seed: int, texts: Sequence[str], count: int) -> Sequence[str]:
    r = random.Random(f"records {seed}")

    def other(found: re.Match[str]) -> str:
        size = len(found[0])
        return f"{r.getrandbits(4 * size):0{size}x}" if size >= 8 else str(r.randrange(10 ** r.randrange(1, 7)))

    return [_NUMBERS.sub(other, text) for text in r.choices(texts, k=count)]


def _masks(texts: Sequence[str]) -> float:
    began = time.process_time()
    mask.templates(list(texts))
    return time.process_time() - began


def _groups(texts: Sequence[str]) -> float:
    return logs.templates([(text, "") for text in texts])[1]


def _mines(texts: Sequence[str]) -> float:
    return next((spent for _, spent in logs.peers([(text, "") for text in texts]).values()), float("nan"))


def _reads(events: Sequence[Event]) -> float:
    return fingerprints(events)[1]
