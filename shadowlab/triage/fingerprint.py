"""Which errors are the same: service, type, masked message and the deepest function of the service's own code.

A fingerprint is a hash of those four and of the rules' version; where there is no stack, the operation and the error's
code stand in for the function. Line numbers never count. An exception that was wrapped on purpose counts as its root
cause. Inside a fingerprint, a *path* is the chain of own functions by which it was reached.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shadowlab import errors
from shadowlab.triage import frames, mask, places, stacks
from shadowlab.triage.scene import dicts, keep, signature

VERSION = 1
_GRPC = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
         "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
         "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"]  # fmt: skip
_MANY = 5
"""A word that takes this many values, all else equal, is a parameter."""
_MANY_ALONE = 12
"""The same for a message of that one word."""

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

# (1) of each error that no earlier triage signed: its reading, masked; few differ, so each is kept once, under a hash
_READ = """
CREATE TABLE read AS
SELECT fresh.eid, s.path, s.causes,
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
LEFT JOIN codes c ON c.sid = fresh.sid AND fresh.stack IS NULL"""
_READING = "path, causes, root_type, template, root_template, own"
_ADDED = f"""
INSERT INTO readings
SELECT * FROM (SELECT DISTINCT hash({_READING}) AS reading, {_READING} FROM read) ANTI JOIN readings USING (reading)"""
_PARTS = f"""
CREATE TABLE parts AS
SELECT eid, hash({_READING}) AS reading FROM read UNION ALL SELECT eid, reading FROM err JOIN kept USING (error_id)"""

# (2) what a reading means in a service, with the groups that all errors of the case make together
_HELD = "CREATE TABLE held AS SELECT DISTINCT service, reading FROM parts JOIN err USING (eid)"
_DISTINCT = """
SELECT DISTINCT service, root_type, root_template, own FROM held JOIN readings USING (reading) ORDER BY ALL"""
_MEANT = """
CREATE TABLE meant AS
WITH plain AS (
    SELECT held.service, held.reading, named.merged, list_contains($split, named.fingerprint) AS parted,
           CASE WHEN list_contains($split, named.fingerprint)
                THEN left(sha256(named.fingerprint || coalesce(path, '')), 16) ELSE named.fingerprint END AS fingerprint
    FROM held JOIN readings r USING (reading)
    JOIN named ON coalesce(named.service, '') = coalesce(held.service, '') AND named.root_type = r.root_type
     AND named.root_template = r.root_template AND named.own = r.own)
SELECT plain.* EXCLUDE (fingerprint, parted), coalesce(c.new, plain.fingerprint) AS fingerprint,
       parted OR c.new IS NOT NULL OR plain.fingerprint IN (SELECT new FROM corrected) AS by_hand
FROM plain LEFT JOIN corrected c ON c.old = plain.fingerprint"""
_SIGNED = """
CREATE TABLE signed AS
SELECT eid, sid, tid, err.service, at_ns, reading, fingerprint FROM err JOIN parts USING (eid)
JOIN meant USING (reading) WHERE meant.service IS NOT DISTINCT FROM err.service"""

# (3) what the case keeps, so that no error is read twice
_KEPT = f"""
SELECT error_id, fingerprint, {_READING}, $rules AS rules, $placing::INTEGER AS placed_by, r.request,
       r.name AS request_name, n.holder, e.end_ns AS ended, s.* EXCLUDE (tid)
FROM signed JOIN err USING (eid) JOIN readings USING (reading) JOIN requests r USING (eid)
LEFT JOIN nearest n ON n.sid = err.sid LEFT JOIN ends e ON e.sid = err.sid LEFT JOIN shapes s ON s.tid = err.tid"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Corrections:
    """What a person knows better than the rules; kept with the case."""

    merge: tuple[tuple[str, ...], ...] = ()
    """Fingerprints that are one fault; the first names it."""
    split: tuple[str, ...] = ()
    """Fingerprints of several faults, to be told apart by the path that leads to them."""

    @classmethod
    def read(cls, document: object) -> Corrections:
        """The corrections that a case keeps; none where it keeps nothing. Raises `CaseError` when they are damaged."""
        import msgspec

        try:
            return msgspec.convert(document or {}, cls)
        except msgspec.ValidationError as exc:
            raise errors.CaseError(f"the case's corrections are damaged: {exc}") from exc

    def with_more(self, merge: Iterable[Sequence[str]] = (), split: Iterable[str] = ()) -> Corrections:
        """These and more; raises `UsageError` for a group of less than two, or what is no fingerprint."""
        groups, parted = tuple(tuple(group) for group in merge), tuple(split)
        for group in groups:
            if len(group) < 2:
                raise errors.UsageError(f"merging {group!r} merges nothing", hint="name two fingerprints at the least")
        for told in (*parted, *(f for group in groups for f in group)):
            if not re.fullmatch(r"[0-9a-f]{16}", told):
                raise errors.UsageError(f"{told!r} is no fingerprint", hint="`found.suspects[0].fingerprint` is one")
        return Corrections(
            merge=tuple(dict.fromkeys((*self.merge, *groups))), split=tuple(dict.fromkeys((*self.split, *parted)))
        )

    def document(self) -> dict[str, list[Any]]:
        """What a case keeps of them."""
        return {"merge": [list(group) for group in self.merge], "split": list(self.split)}


def remember(con: Any, prefixes: Sequence[str] = (), known: Any = None) -> Any:
    """Make table `kept` in a scene, of errors that need not be read again, and `readings`, what was read of them, each
    different one once; gives each `error_id` (an Arrow column).

    `known` is what `kept` gave before (an Arrow table); of it counts what was read by these rules.
    """
    import pyarrow.compute as pc

    old = _typed([], _KEPT_TYPES) if known is None else known.select(list(_KEPT_TYPES))
    old = old.filter(pc.equal(old.column("rules"), _rules(prefixes)))
    keep(con, "kept", old, f"error_id, hash({_READING}) AS reading")
    keep(con, "readings", old, f"DISTINCT hash({_READING}) AS reading, {_READING}")
    return old.column("error_id")


def identify(con: Any, prefixes: Sequence[str] = (), corrections: Corrections | None = None) -> None:
    """Make table `signed` in a scene: a row each error with its `fingerprint` and its `reading`.

    Tables `readings` and `meant` say what was read, and what that means in a service. Reads table `kept` (see
    `remember`) and `fresh`. The groups depend on the set of errors alone: neither their order
    nor what came first changes them.
    """
    _read_stacks(con, tuple(prefixes))
    _read_codes(con)
    con.execute("""
        CREATE TABLE messages AS
        SELECT exception_message AS text FROM fresh WHERE exception_message IS NOT NULL
        UNION SELECT root_message FROM stacks WHERE wrapped
        UNION SELECT operation FROM fresh LEFT JOIN shaped USING (eid) LEFT JOIN stacks USING (shape)
        WHERE coalesce(own, '') = ''""")
    con.execute(f"CREATE TABLE texts AS {mask.query('messages')}")
    for query in (_READ, _ADDED, _PARTS, _HELD):
        con.execute(query)
    keep(con, "named", _typed(_named(dicts(con, _DISTINCT)), _NAMED))
    told = corrections or Corrections()
    into = {old: group[0] for group in told.merge for old in group[1:]}
    con.execute("CREATE TABLE corrected AS SELECT unnest($old) AS old, unnest($new) AS new",
                {"old": list(into), "new": list(into.values())})  # fmt: skip
    con.execute(_MEANT, {"split": list(told.split)})
    con.execute(_SIGNED)


def kept(con: Any, prefixes: Sequence[str] = ()) -> Any:
    """An Arrow table of every error's fingerprint (`error_id`, `fingerprint`), its reading, its place."""
    return con.sql(_KEPT, params={"rules": _rules(prefixes), "placing": places.VERSION}).to_arrow_table()


def _rules(prefixes: Sequence[str]) -> str:
    """What a kept reading depends on besides its error."""
    return signature([VERSION, mask.VERSION, frames.VERSION, *sorted(prefixes)])


def _read_stacks(con: Any, prefixes: tuple[str, ...]) -> None:
    """Tables `shaped` and `stacks`: what each distinct stack says, read once for all that differ in lines alone."""
    con.execute(_SHAPED)
    shapes = [row[0] for row in con.execute("SELECT DISTINCT shape FROM shaped ORDER BY 1").fetchall()]
    keep(con, "stacks", _typed([{"shape": text, **_read(text, prefixes)} for text in shapes], _STACKS))


def _read(text: str, prefixes: tuple[str, ...]) -> Mapping[str, Any]:
    stack = stacks.parse(text)
    if stack is None:
        return {"own": "", "path": "", "wrapped": False, "causes": [], "root_type": "", "root_message": ""}
    own, path = _way(tuple(raised.frames for raised in stack.chain), prefixes)
    return {
        "own": own,
        "path": path,
        "wrapped": len(stack.chain) > 1 and bool(stack.chain[-1].type),
        "causes": [raised.type for raised in stack.chain[1:] if raised.type],
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


def _named(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A fingerprint for each distinct signature, words that take many values merged within one function."""
    families: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for row in rows:
        families[row["service"], row["root_type"], row["own"]].add(row["root_template"])
    merged = {key: _merged(frozenset(texts)) for key, texts in families.items()}
    told = []
    for row in rows:
        template = merged[row["service"], row["root_type"], row["own"]][row["root_template"]]
        parts = [VERSION, mask.VERSION, row["service"], row["root_type"], template, row["own"]]
        told.append({**row, "merged": template, "fingerprint": signature(parts)})
    return told


@lru_cache(maxsize=4_096)
def _merged(templates: frozenset[str]) -> Mapping[str, str]:
    """As `merge`; most families of a case are as they were a minute ago."""
    return merge(templates)


def merge(templates: Iterable[str]) -> dict[str, str]:
    """Templates that differ in one word only, where that word takes many values: the word becomes `<*>`.

    All positions are judged on the same set at once, so that no order of templates changes the outcome.
    """
    known = {text: tuple(text.split(" ")) for text in templates}
    for _ in range(4):
        values: dict[tuple[int, tuple[str, ...]], set[str]] = defaultdict(set)
        for words in set(known.values()):
            for n, word in enumerate(words):
                values[n, (*words[:n], "", *words[n + 1 :])].add(word)
        after = {
            text: tuple("<*>" if _varies(values, words, n) else word for n, word in enumerate(words))
            for text, words in known.items()
        }
        if after == known:
            break
        known = after
    return {text: " ".join(words) for text, words in known.items()}


def _varies(values: Mapping[tuple[int, tuple[str, ...]], set[str]], words: tuple[str, ...], n: int) -> bool:
    seen = values[n, (*words[:n], "", *words[n + 1 :])]
    return len(seen) >= (_MANY if any(w.isalpha() for w in (*words[:n], *words[n + 1 :])) else _MANY_ALONE)


_STACKS = {"shape": "string", "own": "string", "path": "string", "wrapped": "bool_", "causes": "list",
           "root_type": "string", "root_message": "string"}  # fmt: skip
_KEPT_TYPES = {"error_id": "uint64", "path": "string", "causes": "list", "root_type": "string", "template": "string",
               "root_template": "string", "own": "string", "rules": "string"}  # fmt: skip
_NAMED = dict.fromkeys(("service", "root_type", "root_template", "own", "merged", "fingerprint"), "string")


def _typed(rows: Sequence[Mapping[str, Any]], types: Mapping[str, str]) -> Any:
    import pyarrow as pa

    kinds = {key: pa.list_(pa.string()) if kind == "list" else getattr(pa, kind)() for key, kind in types.items()}
    return pa.table({key: pa.array([row[key] for row in rows], kind) for key, kind in kinds.items()})
