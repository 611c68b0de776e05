"""What each error says: its stack, its message and its codes, read once and masked.

Stacks that differ in lines and addresses alone are read once for all; messages are masked as distinct texts. What was
read holds for as long as the error is there: a process remembers it with the facts of each segment, and the case keeps
it for processes to come.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

from shadowlab.triage import bare, coded, frames, mask
from shadowlab.triage.arrays import array, arrow, texts
from shadowlab.triage.chains import Chain, chain
from shadowlab.triage.coded import NONE, Coded
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.raised import ERRORS, RAISED, Raised
from shadowlab.triage.spans import among, distinct
from shadowlab.triage.tables import signature

VERSION = 2
_GRPC = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]  # fmt: skip

# what failing spans without an exception of their own say went wrong
_CODES = f"""
WITH told AS (
    SELECT hash(trace_id, span_id) AS sid, attributes['error.type'] AS error_type,
           coalesce(attributes['rpc.grpc.status_code'], attributes['rpc.response.status_code']) AS grpc_status,
           coalesce(attributes['db.response.status_code'], attributes['process.exit.code']) AS other_code,
           try_cast(http_response_status_code AS INTEGER) AS http_status
    FROM spans
    WHERE status = 'error' AND (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM errors WHERE stack IS NULL))
SELECT sid, any_value('code ' || coalesce(
    CASE WHEN try_cast(grpc_status AS INTEGER) BETWEEN 0 AND 16
         THEN {_GRPC}[try_cast(grpc_status AS INTEGER) + 1] ELSE upper(grpc_status) END, other_code,
    'HTTP ' || (coalesce(http_status, try_cast(error_type AS INTEGER)) // 100) || 'xx')) AS code
FROM told
WHERE error_type IS NULL OR try_cast(error_type AS INTEGER) IS NOT NULL OR grpc_status IS NOT NULL
GROUP BY sid"""


class Reading(NamedTuple):
    """What an error says, in words that many errors share."""

    path: str | None
    """A hash of the way to the deepest function of the service's own; None without a stack."""
    causes: tuple[str, ...]
    """Types of what its exception was raised from."""
    root_type: str
    template: str
    """Of its message."""
    root_template: str
    """Of the message of its root cause."""
    own: str
    """The deepest function of the service's own, or its operation."""


@dataclass(frozen=True, slots=True)
class Read:
    """What errors say, by place in a list of all that is said."""

    reading: Any
    """A place each error."""
    words: Sequence[Reading]

    def of(self, rows: Any) -> Read:
        """What some of the errors say: a slice, a mask, or places."""
        return Read(self.reading[rows], self.words)


class Noted(NamedTuple):
    """What the errors of a part say."""

    rules: str
    """By which they were read."""
    read: Read
    first_hand: bool = True
    """Read from the segment by this person's processes alone: nothing of it was told by the case."""


NOTED: Note[Noted] = Note()


def rules(prefixes: Sequence[str]) -> str:
    """What a reading depends on besides its error."""
    return signature([VERSION, mask.VERSION, frames.VERSION, *sorted(prefixes)])


def readings(seen: Facts, errors: Raised, prefixes: Sequence[str] = (), known: Any = None) -> Read:
    """What the errors of a case say.

    `known` is what `fingerprint.kept` gave before (an Arrow table), or gives that of some errors (an array of their
    ids); of it counts what was read by these rules. Only errors that neither it nor this process has read are read.
    """
    asked = rules(prefixes)
    noted = [NOTED.known(part) for part in seen.parts]
    told = {n: note.read for n, note in enumerate(noted) if note and note.rules == asked}
    if new := [n for n in range(len(noted)) if n not in told]:
        # What came since this process read the others is read sooner than it is asked for. It is not taken from the
        # notes: others may ask by other rules.
        told |= _learn(seen, new, tuple(prefixes), None if told else known)
    return _joined([told[n] for n in range(len(noted))]).of(errors.from_parts)


def _learn(seen: Facts, new: Sequence[int], prefixes: tuple[str, ...], known: Any) -> dict[int, Read]:
    """What the errors of some parts say, by the part's place; it is noted there, too."""
    import numpy as np

    asked = rules(prefixes)
    wanted = [RAISED.of(seen.parts[n]).error_id for n in new]
    every = np.concatenate(wanted)
    ids, was = _known(known(every) if callable(known) else known, asked, every)
    unread = {n: np.flatnonzero(~among(each, ids)) for n, each in zip(new, wanted, strict=True)}
    found = _read_anew(seen, {n: rows for n, rows in unread.items() if len(rows)}, prefixes)
    told: dict[int, Read] = {}
    for n, each in zip(new, wanted, strict=True):
        words = _joined([was, found[n]]) if n in found else was
        reading = np.zeros(len(each), dtype=np.int64)
        is_known = among(each, ids)
        reading[is_known] = words.reading[ids.searchsorted(each[is_known])]
        reading[~is_known] = words.reading[len(ids) :]
        told[n] = _few(reading, words.words)
        NOTED.keep(seen.parts[n], Noted(asked, told[n], first_hand=not is_known.any()))
    return told


def _read_anew(seen: Facts, unread: Mapping[int, Any], prefixes: tuple[str, ...]) -> dict[int, Read]:
    """What errors at some rows of some parts say, by the part's place."""
    import numpy as np
    import pyarrow as pa

    if not unread:
        return {}
    plain = [n for n, rows in unread.items() if not RAISED.of(seen.parts[n]).stacked[rows].all()]
    asking = [partial(seen.ask, n, bare.TEXTS) for n in unread] + [partial(seen.ask, n, _CODES) for n in plain]
    with ThreadPoolExecutor(max_workers=2) as pool:
        texts, codes = (asked := list(pool.map(lambda ask: ask(), asking)))[: len(unread)], asked[len(unread) :]
    fresh = [_texts(seen, n, rows, table) for (n, rows), table in zip(unread.items(), texts, strict=True)]
    found = read(pa.concat_tables(fresh), codes, prefixes)
    ends = np.cumsum([len(rows) for rows in unread.values()]).tolist()
    return {n: found.of(slice(end - len(rows), end)) for (n, rows), end in zip(unread.items(), ends, strict=True)}


def _texts(seen: Facts, part: int, rows: Any, texts: Any) -> Any:
    """What some errors of a part are read from, as an Arrow table; of `texts`, which are those of all its errors."""
    import numpy as np

    errors = ERRORS.of(seen.parts[part]).select(["error_id", "sid", "operation", "exception_type"]).take(arrow(rows))
    ids = array(texts.column("error_id"))
    order = np.argsort(ids, kind="stable")
    at = order[ids[order].searchsorted(array(errors.column("error_id")))]
    for name in ("exception_message", "stackless", "chained", "shown"):
        errors = errors.append_column(name, texts.column(name).take(arrow(at)))
    return errors


def read(fresh: Any, codes: Sequence[Any], prefixes: tuple[str, ...] = ()) -> Read:
    """What errors say: of an Arrow table with what `bare.TEXTS` asks for, their `exception_type`, and of their span
    `sid` and `operation`; `codes` are tables of what such spans say went wrong (`sid`, `code`)."""
    import numpy as np

    message, kind, operation = (coded.coded(fresh.column(name))
                                for name in ("exception_message", "exception_type", "operation"))  # fmt: skip
    shape = coded.coded(bare.bare(fresh))
    chains = {text: chain(text, prefixes) for text in shape.words}
    alone = np.array([*(not each.own for each in chains.values()), True])[shape.code]  # the last is for none
    operation = Coded(np.where(alone, operation.code, NONE), operation.words)
    roots = (each.root_message for each in chains.values() if each.wrapped)
    texts, names = list(dict.fromkeys((*message.words, *roots))), operation.held()
    template = dict(zip(texts, mask.templates(texts), strict=True))
    named = dict(zip(names, mask.operations(names), strict=True))
    key, rows = _rows([shape, message.by(template), _codes(fresh, codes), kind, operation.by(named)])
    place: dict[Reading, int] = {}
    told = [place.setdefault(_said(None if text is None else chains[text], template, *words), len(place))
            for text, *words in rows]  # fmt: skip
    return Read(np.array(told, dtype=np.int64)[key], tuple(place))


def _codes(fresh: Any, codes: Sequence[Any]) -> Coded:
    """What the span of each error without an exception of its own says went wrong."""
    import numpy as np
    import pyarrow as pa

    code = np.full(len(fresh), NONE)
    if not codes:
        return Coded(code, ())
    told = pa.concat_tables(codes).drop_null()
    sid, first = np.unique(array(told.column("sid")), return_index=True)
    known, own = coded.coded(told.column("code")).of(first), array(fresh.column("sid"))
    here = np.flatnonzero(array(fresh.column("stackless")) & among(own, sid))
    code[here] = known.code[sid.searchsorted(own[here])]
    return Coded(code, known.words)


def _said(
    chain: Chain | None,
    template: Mapping[str, str],
    thrown: str | None,
    code: str | None,
    kind: str | None,
    operation: str | None,
) -> Reading:
    """What an error says by its stack, and the templates of its message and of its operation."""
    at = "" if operation is None else f"@ {operation}"
    if chain is None:
        return Reading(None, (), code or kind or "", thrown or "", thrown or "", at)
    root = template[chain.root_message] if chain.wrapped else thrown
    root_type = (chain.root_type if chain.wrapped else None) or code or kind
    return Reading(chain.path, chain.causes, root_type or "", thrown or "", root or "", chain.own or at)


def _known(known: Any, asked: str, wanted: Any) -> tuple[Any, Read]:
    """What is known of the errors that are `wanted` (ids), in the order of their ids."""
    import numpy as np
    import pyarrow.compute as pc

    nothing = np.zeros(0, dtype=np.uint64), Read(np.zeros(0, dtype=np.int64), ())
    if known is None or not {"error_id", "rules", *Reading._fields} <= set(known.column_names):
        return nothing
    known = known.filter(arrow(among(array(known.column("error_id")), distinct(wanted))))
    known = known.filter(pc.equal(known.column("rules"), texts([asked])[0]))
    if not len(known):
        return nothing
    ids = array(known.column("error_id"))
    order = np.argsort(ids)
    place = known.column_names.index("causes")
    known = known.set_column(place, "causes", pc.binary_join(known.column("causes"), texts(["\n"])[0]))
    return ids[order], _told(known).of(order)


def _told(table: Any) -> Read:
    """The readings of an Arrow table, in which causes are lines of one text."""
    key, rows = _rows([coded.coded(table.column(name)) for name in Reading._fields])
    return Read(key, [_reading(*row) for row in rows])


def _rows(columns: Sequence[Coded]) -> tuple[Any, list[tuple[str | None, ...]]]:
    """Which of the different rows of some columns each row is; and these."""
    import numpy as np

    key = np.zeros(len(columns[0].code), dtype=np.int64)
    for column in columns:
        key = np.unique(key * (len(column.words) + 1) + column.code, return_inverse=True)[1]
    first = np.unique(key, return_index=True)[1]
    return key, list(zip(*(column.of(first).texts() for column in columns), strict=True))


def _reading(path: str | None, causes: str | None, *texts: str | None) -> Reading:
    return Reading(path, tuple(causes.split("\n")) if causes else (), *(text or "" for text in texts))


def _joined(told: Sequence[Read]) -> Read:
    """The readings of several, one after the other."""
    import numpy as np

    if len(told) == 1:
        return told[0]
    place: dict[Reading, int] = {}
    codes = [np.array([place.setdefault(word, len(place)) for word in one.words], dtype=np.int64)[one.reading]
             for one in told]  # fmt: skip
    return Read(np.concatenate(codes), tuple(place))


def _few(reading: Any, words: Sequence[Reading]) -> Read:
    """The same with those words alone that are said."""
    import numpy as np

    said, code = np.unique(reading, return_inverse=True)
    return Read(code, [words[n] for n in said.tolist()])
