"""Thousands of services, as a hostile sender names them: triage takes what they hold, not what they could hold."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shadowlab.triage import graph, shapes, tallies
from shadowlab.triage.facts import Facts
from shadowlab.triage.spans import BELOW, REQUEST, Operation, Part, Spans, Traces

SERVICES = 3_000
SECOND = 10**9


@pytest.fixture(scope="module")
def seen() -> Facts:
    """One request of each service, each called by the one before."""
    ids = np.arange(1, SERVICES + 1, dtype=np.uint64)
    at = np.arange(SERVICES) * SECOND
    marks = np.full(SERVICES, REQUEST | BELOW, dtype=np.uint8)
    spans = Spans(ids, ids, ids - 1, at, at + 1, np.arange(SERVICES, dtype=np.int32), marks, np.ones(SERVICES))
    traces = Traces(ids, at, at + 1, np.ones(SERVICES), np.zeros(SERVICES))
    operations = [Operation(f"s{n:04}", "GET /", "server", None, None, "GET /") for n in range(SERVICES)]
    nobody: Any = None  # nothing is asked of the store
    return Facts(nobody, [Part(spans, traces, False, {})], [None], operations)


def peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_the_service_map_holds_the_calls_that_there_are(seen: Facts):
    found = graph.edges(seen, low_ns=-1, high_ns=SERVICES * SECOND)
    assert (len(found), found[0].caller, found[0].callee, found[0].calls) == (graph.MOST, "s0000", "s0001", 1)
    assert peak_mb(lambda: graph.edges(seen, low_ns=-1, high_ns=SERVICES * SECOND)) < 20


def test_tallies_of_many_services_are_those_of_each_alone(seen: Facts):
    end, ages = SERVICES * SECOND, (10 * SECOND, 3 * 86_400 * SECOND)
    names = [f"s{n:04}" for n in range(0, SERVICES, 10)]
    found = tallies.of_facts(seen, names, end, ages)
    for name in names[::50]:
        alone = tallies.of_facts(seen, [name], end, ages)[name]
        assert [each.tolist() for each in (found[name].slots, found[name].total)] == [
            each.tolist() for each in (alone.slots, alone.total)
        ]
        assert found[name].total[-1] == 1
    assert peak_mb(lambda: tallies.of_facts(seen, names, end, ages)) < 60


def test_keys_of_services_are_spelled_when_they_are_looked_at():
    keys = shapes._OfServices(["user", "size"], ["cart", "stock"])
    assert list(keys) == ["user", "size", "cart: user", "cart: size", "stock: user", "stock: size"]
    many = shapes._OfServices([f"k{n}" for n in range(40_000)], [f"s{n}" for n in range(5_000)])
    assert (len(many), many[len(many) - 1]) == (200_040_000, "s4999: k39999")
