"""Answers that outlive the process: what was asked of single traces of a segment, in a sealed file beside it.

Most traces of the window were in it a minute ago. The file holds what spans say of users and of themselves, as the
segment does. It is small, and written anew whenever more was asked.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

from shadowlab.triage import arrays
from shadowlab.triage.arrays import array
from shadowlab.triage.facts import TOLD, Answer
from shadowlab.triage.noted import Note
from shadowlab.triage.spans import Part

if TYPE_CHECKING:
    from shadowlab.telemetry.sealed import Sealed

_KEPT: Note[dict[str, Answer]] = Note()
"""What is in a part's file."""


def load(part: Part, sealed: Sealed, rules: bytes) -> None:
    """Know what a segment's file says, where there is one that holds."""
    import pyarrow as pa

    told = sealed.asked.read(rules)
    if told is None:
        return
    source = pa.BufferReader(pa.py_buffer(told))
    answers: dict[str, Answer] = {}
    while source.tell() < len(told):
        known, table = (pa.ipc.open_stream(source).read_all() for _ in range(2))
        name, query, operations = json.loads(known.schema.metadata[b"question"])
        question = query, frozenset((service, operation) for service, operation in operations)
        answers[name] = question, array(known.column("tid")), table
    _KEPT.keep(part, answers)
    TOLD.keep(part, dict(answers))


def keep(part: Part, sealed: Sealed, rules: bytes) -> None:
    """Write what was asked of a segment, unless it is in its file."""
    answers, kept = dict(TOLD.known(part) or {}), _KEPT.known(part) or {}
    if any(name not in kept or kept[name][1] is not known for name, (_, known, _) in answers.items()):
        tables = [table for name, answer in answers.items() for table in _tables(name, *answer)]
        sealed.asked.write(rules, sum(table.nbytes for table in tables), partial(arrays.write, tables))
        _KEPT.keep(part, answers)


def _tables(name: str, question: Any, known: Any, table: Any) -> tuple[Any, Any]:
    query, operations = question
    asked = arrays.table({"tid": known})
    return asked.replace_schema_metadata({"question": json.dumps([name, query, sorted(operations)])}), table
