"""Telemetry that tells a story, for tests of triage: requests a second apart, ingested into a real case."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from otlp import START, lines, raising, span, traces

from shadowlab import telemetry, triage
from shadowlab.case import Case, open_case
from shadowlab.records import Triage

SECOND = 10**9
MINUTE = 60 * SECOND


def python_stack(*calls: tuple[str, str], error: str = "ValueError: no price", line: int = 12) -> str:
    """A Python traceback through `(file, function)`, outermost first."""
    told = "".join(f'  File "{file}", line {line}, in {name}\n    {name}()\n' for file, name in calls)
    return f"Traceback (most recent call last):\n{told}{error}\n"


SHOP = (("/srv/shop/app.py", "create"), ("/srv/shop/lib/price.py", "price"), ("/usr/lib/python3.11/decimal.py", "x"))


class Story:
    """Spans under way; `at` is in seconds from the start."""

    def __init__(self) -> None:
        self.number = 0
        self.told: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)

    def trace(self) -> str:
        """A trace id of its own."""
        self.number += 1
        return f"{self.number * 2654435761 % 2**128:032x}"

    def span(
        self,
        at: float,
        *,
        service: str = "shop",
        version: str = "1.0",
        trace: str | None = None,
        kind: int = 2,
        **more: Any,
    ) -> dict[str, Any]:
        """Tell a span, a request if nothing else is said; gives it."""
        self.number += 1
        told = span(self.number, trace=trace or self.trace(), at=START + round(at * SECOND), **more)
        told["kind"] = kind
        self.told[service, version].append(told)
        return told

    def fails(self, told: dict[str, Any], kind: str, message: str, stack: str | None = None) -> None:
        """Let a span end with an exception."""
        text = python_stack(*SHOP, error=f"{kind}: {message}") if stack is None else stack
        told.update(raising(told, kind, message, text), status={"code": 2})

    def case(self, folder: Path) -> Case:
        """A case that holds the story."""
        requests = [traces(spans, service, service__version=v) for (service, v), spans in sorted(self.told.items())]
        case = open_case(folder / "case")
        telemetry.ingest(case, [lines(folder / "story.jsonl", *requests)])
        return case


def number_of(told: dict[str, Any]) -> int:
    """A span's number, for `parent=`."""
    return int(told["spanId"], 16)


@contextmanager
def opened(story: Story, folder: Path) -> Iterator[telemetry.Store]:
    """The story's store."""
    with telemetry.store(story.case(folder)) as store:
        yield store


def triaged(story: Story, folder: Path, **more: Any) -> Triage:
    """What triage says of the story."""
    with opened(story, folder) as store:
        return triage.triage(store, **more)[0]


def busy(
    story: Story,
    *,
    seconds: int = 1800,
    every: float = 1.0,
    fail: Sequence[float] = (),
    version: str = "1.0",
    **attrs: Any,
) -> None:
    """Requests of `POST /orders`, those at the times `fail` with an error of the shop's own."""
    failing = set(fail)
    for n in range(int(seconds / every)):
        told = story.span(n * every, version=version, error=n * every in failing, **attrs)
        if n * every in failing:
            story.fails(told, "ValueError", "no price")
