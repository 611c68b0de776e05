"""Make the next of many things in a thread of its own, while the last one is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


@contextmanager
def ahead(items: Iterator[T], stop: Callable[[], None]) -> Iterator[Iterator[T]]:
    """The same items in their order, one made ahead of who asks.

    Leaving waits for the one that is being made; `stop` lets it end early, and is called where an error leaves.
    """
    with ThreadPoolExecutor(1, "ahead") as pool:
        try:
            yield _stepped(pool, items)
        except BaseException:
            stop()
            raise


def _stepped(pool: Executor, items: Iterator[T]) -> Iterator[T]:
    made = pool.submit(next, items, None)
    while (item := made.result()) is not None:
        made = pool.submit(next, items, None)
        yield item
