"""What each error says: its stack, its message and its codes, read once and masked.

Stacks that differ in lines and addresses alone are read once for all; messages are masked as distinct texts. What was
read holds for as long as the error is there: a process remembers it with the facts of each segment, and the case keeps
it for processes to come.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from shadowlab.triage import coded, frames, mask, stacks
from shadowlab.triage.facts import Facts
from shadowlab.triage.noted import Note
from shadowlab.triage.raised import ERRORS, RAISED, Raised
from shadowlab.triage.tables import array, keep, signature

VERSION = 1
_GRPC = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]  # fmt: skip

_TEXTS = "SELECT error_id, exception_message, stack FROM errors"
_CODES = """
SELECT hash(trace_id, span_id) AS sid, attributes['error.type'] AS error_type,
       coalesce(attributes['rpc.grpc.status_code'], attributes['rpc.response.status_code']) AS grpc_status,
       coalesce(attributes['db.response.status_code'], attributes['process.exit.code']) AS other_code,
       try_cast(http_response_status_code AS INTEGER) AS http_status
FROM spans
WHERE status = 'error' AND (trace_id, span_id) IN (SELECT (trace_id, span_id) FROM errors WHERE stack IS NULL)"""

# A stack without the message after its type, without PHP's arguments, without numbers that say where and not what: what
# is left is read once for all stacks that differ in these alone.
_BARE = """CASE WHEN length(exception_message) > 12
    THEN replace(replace(stack, ': ' || exception_message, ': '), chr(10) || exception_message, chr(10))
    ELSE stack END"""
# What tells of a cause: such a stack's messages matter, so it is read as it stands.
_CAUSES = ("Caused by: ", "caused by: ", "[cause]: ", "direct cause of the following", "---> ")
_CHAINED = " OR ".join((
    *(f"contains(bare, '{words}')" for words in _CAUSES),
    r"contains(bare, 'Next ') AND regexp_matches(bare, '\n\s*Next ')",
    r"contains(bare, chr(39) || ': ') AND regexp_matches(bare, '\n\S[^\n]*:in [`''][^\n'']+'': ')",
))  # fmt: skip
# Each begins with what is rare, so that the engine need not look at every sign; PHP's arguments first.
_PLACES: tuple[mask.Rule, ...] = (
    ("#0 ", r"\): ((?:\{[^}\n]*\}|[^\n({])*)\([^\n]*\)", r"): \1()"),
    ("#0 ", r"\(\d+\): ", "(0): "),
    (":", r":\d+", ":0"),
    ("line ", r"line \d+", "line 0"),
    ("0x", r"0x[0-9a-f]+", "0x0"),
    ("::h", r"::h[0-9a-f]{16}", "::h0"),
    ("$", r"\$\d+", "$0"),
    (">b__", r">b__\d+", ">b__0"),
    (">d__", r">d__\d+", ">d__0"),
    ("goroutine ", r"goroutine \d+", "goroutine 0"),
)
_ONCE = "SELECT eids, shape, CASE WHEN chained THEN '' ELSE shape END AS m FROM once"
_SHAPED = f"""
CREATE TABLE shaped AS
WITH plain AS (SELECT eid, stack, {_BARE} AS bare FROM fresh WHERE stack <> ''),
told AS (SELECT eid, {_CHAINED} AS chained, CASE WHEN chained THEN stack ELSE bare END AS shape FROM plain),
once AS (SELECT shape, chained, list(eid) AS eids FROM told GROUP BY ALL)
SELECT unnest(eids) AS eid, CASE WHEN m = '' THEN shape ELSE m END AS shape FROM ({mask.masked(_ONCE, _PLACES)})"""


_MESSAGES = """
CREATE TABLE messages AS
SELECT exception_message AS text FROM fresh WHERE exception_message IS NOT NULL
UNION SELECT root_message FROM stacks WHERE wrapped
UNION SELECT operation FROM fresh LEFT JOIN shaped USING (eid) LEFT JOIN stacks USING (shape)
WHERE coalesce(own, '') = ''"""
_READ = """
SELECT s.path, s.causes,
       coalesce(nullif(CASE WHEN s.wrapped THEN s.root_type END, ''), c.code, nullif(fresh.exception_type, ''), '')
           AS root_type,
       coalesce(thrown.template, '') AS template,
       coalesce(CASE WHEN s.wrapped THEN root.template ELSE thrown.template END, '') AS root_template,
       coalesce(nullif(s.own, ''), '@ ' || operations.template, '') AS own
FROM fresh
LEFT JOIN shaped USING (eid)
LEFT JOIN stacks s USING (shape)
LEFT JOIN texts thrown ON thrown.text = fresh.exception_message
LEFT JOIN texts root ON s.wrapped AND root.text = s.root_message
LEFT JOIN texts operations ON operations.text = fresh.operation
LEFT JOIN codes c ON c.sid = fresh.sid AND fresh.stack IS NULL
ORDER BY eid"""


_STACKS = [("shape", "string"), ("own", "string"), ("path", "string"), ("wrapped", "bool"), ("causes", "string"),
           ("root_type", "string"), ("root_message", "string")]  # fmt: skip


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


_NOTED: Note[tuple[str, Read]] = Note()
"""What the errors of a part say, and by which rules they were read."""


def rules(prefixes: Sequence[str]) -> str:
    """What a reading depends on besides its error."""
    return signature([VERSION, mask.VERSION, frames.VERSION, *sorted(prefixes)])


def readings(con: Any, seen: Facts, errors: Raised, prefixes: Sequence[str] = (), known: Any = None) -> Read:
    """What the errors of a case say; `con` is a DuckDB connection that may gain tables.

    `known` is what `fingerprint.kept` gave before (an Arrow table), or gives that of some errors (an array of their
    ids); of it counts what was read by these rules. Only errors that neither it nor this process has read are read.
    """
    asked = rules(prefixes)
    noted = [_NOTED.known(part) for part in seen.parts]
    told = {n: note[1] for n, note in enumerate(noted) if note and note[0] == asked}
    if new := [n for n in range(len(noted)) if n not in told]:
        told |= _learn(con, seen, new, tuple(prefixes), known)  # not from the notes: others may ask by other rules
    return _joined([told[n] for n in range(len(noted))]).of(errors.from_parts)


def _learn(con: Any, seen: Facts, new: Sequence[int], prefixes: tuple[str, ...], known: Any) -> dict[int, Read]:
    """What the errors of some parts say, by the part's place; it is noted there, too."""
    import numpy as np
    import pyarrow as pa

    asked = rules(prefixes)
    wanted = [RAISED.of(seen.parts[n]).error_id for n in new]
    every = np.concatenate(wanted)
    known_ids, was = _known(known(every) if callable(known) else known, asked, every)
    places: dict[int, tuple[Any, Any]] = {}
    fresh, codes = [], []
    for n, ids in zip(new, wanted, strict=True):
        at = np.minimum(known_ids.searchsorted(ids), max(0, len(known_ids) - 1))
        is_known = known_ids[at] == ids if len(known_ids) else np.zeros(len(ids), dtype=bool)
        places[n] = at, is_known
        if not is_known.all():
            fresh.append(_texts(seen, n, np.flatnonzero(~is_known)))
            codes += [seen.ask(n, _CODES)] if fresh[-1].column("stack").null_count else []
    found = read(con, pa.concat_tables(fresh), codes or [seen.ask(0, f"{_CODES} LIMIT 0")], prefixes) if fresh else None
    told: dict[int, Read] = {}
    first = 0
    for n, (at, is_known) in places.items():
        unread = np.flatnonzero(~is_known)
        words = _joined([was, *([found.of(slice(first, first + len(unread)))] if found else [])])
        reading = words.reading[at] if len(at) and len(known_ids) else np.zeros(len(at), dtype=np.int64)
        reading[unread] = words.reading[len(known_ids) :]
        told[n] = _few(reading, words.words)
        _NOTED.keep(seen.parts[n], (asked, told[n]))
        first += len(unread)
    return told


def _texts(seen: Facts, part: int, rows: Any) -> Any:
    """What some errors of a part are read from, as an Arrow table."""
    import numpy as np

    errors = ERRORS.of(seen.parts[part]).select(["error_id", "sid", "operation", "exception_type"]).take(rows)
    texts = seen.ask(part, _TEXTS)
    ids = array(texts.column("error_id"))
    order = np.argsort(ids, kind="stable")
    at = order[ids[order].searchsorted(array(errors.column("error_id")))]
    for name in ("exception_message", "stack"):
        errors = errors.append_column(name, texts.column(name).take(at))
    return errors


def read(con: Any, fresh: Any, codes: Sequence[Any], prefixes: tuple[str, ...] = ()) -> Read:
    """What errors say, of an Arrow table with their `exception_message` and `stack`, their span's `sid` and
    `operation`; `codes` are what such spans say went wrong."""
    import numpy as np
    import pyarrow as pa

    keep(con, "fresh", fresh.append_column("eid", pa.array(np.arange(len(fresh)))))
    keep(con, "coded", pa.concat_tables(codes))
    _read_stacks(con, prefixes)
    _read_codes(con)
    con.execute(_MESSAGES)
    con.execute(f"CREATE TABLE texts AS {mask.query('messages')}")
    return _told(con.sql(_READ).to_arrow_table())


def _known(known: Any, asked: str, wanted: Any) -> tuple[Any, Read]:
    """What is known of the errors that are `wanted` (ids), in the order of their ids."""
    import numpy as np
    import pyarrow.compute as pc

    nothing = np.zeros(0, dtype=np.uint64), Read(np.zeros(0, dtype=np.int64), ())
    if known is None or not {"error_id", "rules", *Reading._fields} <= set(known.column_names):
        return nothing
    known = known.filter(np.isin(array(known.column("error_id")), wanted))
    known = known.filter(pc.equal(known.column("rules"), asked))
    if not len(known):
        return nothing
    ids = array(known.column("error_id"))
    order = np.argsort(ids)
    place = known.column_names.index("causes")
    known = known.set_column(place, "causes", pc.binary_join(known.column("causes"), "\n"))
    return ids[order], _told(known).of(order)


def _told(table: Any) -> Read:
    """The readings of an Arrow table, in which causes are lines of one text."""
    import numpy as np

    columns = [coded.coded(table.column(name)) for name in Reading._fields]
    key = np.zeros(len(table), dtype=np.int64)
    for column in columns:
        key = np.unique(key * (len(column.words) + 1) + column.code, return_inverse=True)[1]
    first = np.unique(key, return_index=True)[1]
    texts = [column.of(first).texts() for column in columns]
    return Read(key, [_reading(*row) for row in zip(*texts, strict=True)])


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


def _read_stacks(con: Any, prefixes: tuple[str, ...]) -> None:
    """Tables `shaped` and `stacks`: what each distinct stack says, read once for all that differ in lines alone."""
    import pyarrow as pa

    con.execute(_SHAPED)
    shapes = [row[0] for row in con.execute("SELECT DISTINCT shape FROM shaped ORDER BY 1").fetchall()]
    told = [{"shape": text, **_read(text, prefixes)} for text in shapes]
    keep(con, "stacks", pa.Table.from_pylist(told, pa.schema(_STACKS)))


def _read(text: str, prefixes: tuple[str, ...]) -> Mapping[str, Any]:
    stack = stacks.parse(text)
    if stack is None:
        return {"own": "", "path": "", "wrapped": False, "causes": "", "root_type": "", "root_message": ""}
    own, path = _way(tuple(raised.frames for raised in stack.chain), prefixes)
    return {
        "own": own,
        "path": path,
        "wrapped": len(stack.chain) > 1 and bool(stack.chain[-1].type),
        "causes": "\n".join(raised.type for raised in stack.chain[1:] if raised.type),
        "root_type": stack.chain[-1].type,
        "root_message": stack.chain[-1].message,
    }


@lru_cache(maxsize=4_096)
def _way(chain: tuple[tuple[frames.Line, ...], ...], prefixes: tuple[str, ...]) -> tuple[str, str]:
    """The deepest own function of a chain, and a hash of all that led there."""
    own = [[f for f in lines if frames.in_app(f.file, f.function, prefixes)] for lines in chain]
    deepest = next((lines[-1] for lines in reversed(own) if lines), None)
    deepest = deepest or next((lines[-1] for lines in reversed(chain) if lines), None)
    path = [frames.place(f.file, f.function) for lines in own for f in lines]
    told = signature([p for n, p in enumerate(path) if n == 0 or path[n - 1] != p])
    return frames.place(deepest.file, deepest.function) if deepest else "", told


def _read_codes(con: Any) -> None:
    """Table `codes`: what failing spans without an exception of their own say went wrong."""
    names = json.dumps(_GRPC).replace('"', "'")
    con.execute(f"""
        CREATE TABLE codes AS
        SELECT sid, any_value('code ' || coalesce(
            CASE WHEN try_cast(grpc_status AS INTEGER) BETWEEN 0 AND 16
                 THEN {names}[try_cast(grpc_status AS INTEGER) + 1] ELSE upper(grpc_status) END, other_code,
            'HTTP ' || (coalesce(http_status, try_cast(error_type AS INTEGER)) // 100) || 'xx')) AS code
        FROM coded
        WHERE error_type IS NULL OR try_cast(error_type AS INTEGER) IS NOT NULL OR grpc_status IS NOT NULL
        GROUP BY sid""")
