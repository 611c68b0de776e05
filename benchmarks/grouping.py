"""Groups against the truth: pairwise precision, recall and F1, and the floors to beat."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Hashable, Sequence

import pyarrow as pa
from faults import Event

from shadowlab.triage import bare, fingerprint, readings, stacks, tables
from shadowlab.triage.coded import coded_texts

_TOLD = f"""
SELECT t.*, e.sid, e.operation, e.exception_type
FROM ({bare.TEXTS}) t JOIN errors e USING (error_id) ORDER BY error_id"""
"""What errors are read from."""


def fingerprints(told: Sequence[Event]) -> tuple[list[str], float]:
    """The fingerprint of each event, and the CPU seconds that all of them took."""
    table = pa.table({
        "error_id": range(len(told)), "sid": range(len(told)), "operation": ["GET /"] * len(told),
        "exception_type": [e.type for e in told], "exception_message": [e.message for e in told],
        "stack": [e.stack for e in told]})  # fmt: skip
    began = time.process_time()
    with tables.workshop() as con:
        con.register("errors", table)
        read = readings.read(con.sql(_TOLD).to_arrow_table(), [])
    signed = fingerprint.sign(coded_texts([e.service for e in told]), read)
    spent = time.process_time() - began
    return [signed.fingerprints[n] for n in signed.group.tolist()], spent


def scores(groups: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[float, float, float]:
    """Pairwise precision, recall and F1."""
    both = sum(n * (n - 1) for n in Counter(zip(groups, truth, strict=True)).values())
    found = sum(n * (n - 1) for n in Counter(groups).values())
    right = sum(n * (n - 1) for n in Counter(truth).values())
    precision, recall = both / found if found else 1.0, both / right if right else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if both else 0.0


def exact(groups: Sequence[Hashable], truth: Sequence[Hashable]) -> float:
    """Grouping accuracy: the share of events whose group holds all of its truth and no more (Zhu et al. 2019)."""
    pairs, found, right = Counter(zip(groups, truth, strict=True)), Counter(groups), Counter(truth)
    return sum(n for (g, t), n in pairs.items() if n == found[g] == right[t]) / len(truth)


def floors(told: Sequence[Event]) -> dict[str, list[Hashable]]:
    """What a person would try first."""
    return {
        "exact text": [(e.service, e.type, e.message) for e in told],
        "exception type": [(e.service, e.type) for e in told],
        "type and top frame": [(e.service, e.type, _top(e.stack)) for e in told],
    }


def _top(stack: str) -> str:
    read = stacks.parse(stack)
    return re.sub(r"\d+", "", read.frames[-1].function) if read and read.frames else ""
