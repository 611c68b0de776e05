"""Attributes by shape: spans of one kind carry the same keys in one order; look at a key once a shape, not once a row.

The few commonest shapes get an expression each that builds their map by position: DuckDB's `map()` checks every row for
keys that come twice, which costs more than reading the JSON did. Only keys under which a secret was seen pay for
redaction, and once for each distinct value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry.connection import quoted

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_SHAPES: Final = 48
MOST_KEYS: Final = 64
MOST_LOOKED_UP: Final = 8
"""Keys whose pseudonyms are joined to the rows; under others they are made row by row."""

SPAN_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "http_request_method": ("http.request.method", "http.method"),
    "http_route": ("http.route",),
    "http_response_status_code": ("http.response.status_code", "http.status_code"),
    "url_path": ("url.path", "http.target"),
    "server_address": ("server.address", "net.peer.name", "http.host"),
    "db_system_name": ("db.system.name", "db.system"),
    "db_query_text": ("db.query.text", "db.statement"),
    "rpc_system": ("rpc.system.name", "rpc.system"),
    "rpc_method": ("rpc.method",),
    "messaging_system": ("messaging.system",),
    "error_type": ("error.type",),
    "gen_ai_operation_name": ("gen_ai.operation.name",),
    "gen_ai_provider_name": ("gen_ai.provider.name", "gen_ai.system"),
    "recording_id": ("shadowlab.recording.id",),
}
"""Columns of `spans` and the attributes that fill them, the current name of the semantic conventions first."""

LOG_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "exception_type": ("exception.type",),
    "exception_message": ("exception.message",),
    "stack": ("exception.stacktrace",),
}
_FLAG: Final = {
    "flag": ("feature_flag.key",),
    "flag_variant": ("feature_flag.result.variant", "feature_flag.variant"),
    "flag_value": ("feature_flag.result.value",),
}
_FIRST_OF_LIST: Final = """CASE WHEN starts_with({told}, '["')
    THEN coalesce(TRY(json_extract_string({told}, '$[0]')), {told}) ELSE {told} END"""
"""Headers are lists of their values, also of one."""
_KINDS: Final = {"http_response_status_code": "INTEGER"}
_SEEN: Final = """
    CREATE TABLE {signal}_seen AS
    WITH told AS (SELECT shape, any_value(keys) AS keys, any_value(types) AS types, count(*) AS n
                  FROM stage_{signal}s GROUP BY shape),
         known AS (SELECT shape, any_value(keys) AS keys, any_value(types) AS types FROM stage_shapes GROUP BY shape)
    SELECT shape, coalesce(told.keys, known.keys) AS keys, coalesce(told.types, known.types) AS types, n
    FROM told LEFT JOIN known USING (shape)"""
_HOT: Final = """
    WITH keyed AS (SELECT DISTINCT unnest(keys) AS k FROM {signal}_seen),
         told AS (SELECT shape, unnest(vals) AS v, generate_subscripts(vals, 1) AS nth FROM stage_{signal}s),
         secret AS (SELECT DISTINCT shape, nth FROM (SELECT DISTINCT shape, nth, v FROM told WHERE strlen(v) > 5)
                    WHERE has_secret(v))
    SELECT k, true FROM keyed WHERE secret_key(k)
    UNION ALL SELECT DISTINCT keys[nth], false
    FROM secret JOIN {signal}_seen USING (shape) WHERE keys[nth] IS NOT NULL"""


@dataclass(frozen=True, slots=True)
class Shapes:
    """What one portion's attributes look like. Make one with `find`."""

    signal: str
    promoted: Mapping[str, tuple[str, ...]]
    """The signal's columns, `correlation_id` and the parts of a feature flag, with the keys that fill them."""
    hot: frozenset[str]
    """Keys under which something must be redacted."""
    common: tuple[tuple[int, tuple[str, ...]], ...]
    """Rank and keys of the commonest shapes."""
    looked_up: Mapping[str, str]
    """Hot keys of these shapes, and where the pseudonym of a row's value stands: made once for each distinct value."""
    others: bool
    """Whether there are more shapes: only then is a row asked for its own keys, which are as much as its values."""
    absent: frozenset[str]
    """Those of `promoted` that no shape has a key for."""

    def expressions(self) -> dict[str, str]:
        """What the statements that move a signal need: `map`, `extra`, `promoted`, `joins` and each `value_of_...`."""
        listed = [f"{self._column(name)} AS {name}" for name in self.promoted if name not in _FLAG]
        values = {f"value_of_{name}": self._value(name) for name in _FLAG}
        told = {"map": self._map(), "extra": self._extra(), "promoted": ", ".join(listed), "joins": self._joins()}
        return {**told, **values}

    def _joins(self) -> str:
        """What brings the pseudonyms to their rows."""
        return " ".join(
            f"LEFT JOIN {self.signal}_redacted r{n} ON r{n}.k = {quoted(key)} AND r{n}.v = s.vals[{self._place(key)}]"
            for n, key in enumerate(self.looked_up)
        )

    def _place(self, key: str) -> str:
        listed = "".join(f" WHEN {rank} THEN {keys.index(key) + 1}" for rank, keys in self.common if key in keys)
        return f"CASE h.rank{listed}{self._of_others(f'list_position(h.keys, {quoted(key)})')} END"

    def _of_others(self, value: str) -> str:
        return f" ELSE {value}" if self.others else ""

    def _value(self, name: str) -> str:
        if name in self.absent:
            return "NULL::VARCHAR"
        key, plain = f"h.keys[h.p_{name}]", f"s.vals[h.p_{name}]"
        hot = [each for each in self.promoted[name] if each in self.hot]
        if not hot:
            return plain
        known = "".join(f" WHEN {quoted(each)} THEN {self.looked_up[each]}" for each in hot if each in self.looked_up)
        redacted = f"redacted_value({key}, {plain})"
        return f"CASE {key}{known} ELSE {redacted} END" if known else redacted

    def _column(self, name: str) -> str:
        match name:
            case "url_path":
                return f"nullif(split_part({self._value(name)}, '?', 1), '')"
            case "http_response_status_code":
                return f"TRY_CAST({self._value(name)} AS INTEGER)"
            case "correlation_id":
                return _FIRST_OF_LIST.format(told=self._value(name))
            case _:
                return self._value(name)

    def _map(self) -> str:
        branches = "".join(f" WHEN {rank} THEN {self._by_position(keys)}" for rank, keys in self.common)
        value = (
            "CASE WHEN h.hot THEN redacted_value(h.keys[i], s.vals[i]) ELSE s.vals[i] END" if self.hot else "s.vals[i]"
        )
        checked = f"map(h.first_keys, list_transform(h.firsts, lambda i: {value}))"
        return f"CASE h.rank{branches}{self._of_others(checked)} END" if branches else checked

    def _by_position(self, keys: Sequence[str]) -> str:
        listed = []
        for number, key in enumerate(keys, 1):
            plain = f"s.vals[{number}]"
            redacted = f"redacted_value({quoted(key)}, {plain})" if key in self.hot else plain
            listed.append(f"{quoted(key)}: {self.looked_up.get(key, redacted)}")
        return f"{{{', '.join(listed)}}}::MAP(VARCHAR, VARCHAR)"

    def _extra(self) -> str:
        """What tells records apart whose maps are equal: the values of keys that come again."""
        if not self.others:
            return "NULL::UBIGINT"
        return """CASE WHEN len(h.firsts) < len(h.keys)
            THEN hash(list_transform(s.vals, lambda v, i: redacted_value(h.keys[i], v))) END"""


def columns(promoted: Mapping[str, tuple[str, ...]]) -> str:
    """The declared columns, with `correlation_id`, for a CREATE TABLE."""
    return ", ".join([*(f"{name} {_KINDS.get(name, 'VARCHAR')}" for name in promoted), "correlation_id VARCHAR"])


def find(
    con: DuckDBPyConnection, signal: str, promoted: Mapping[str, tuple[str, ...]], correlation: Sequence[str]
) -> Shapes:
    """Make the table `<signal>_shapes` of what is staged: where each promoted key stands, which keys are hot."""
    wanted = {**promoted, "correlation_id": tuple(correlation), **_FLAG}
    con.execute(_SEEN.format(signal=signal))
    found = con.execute(_HOT.format(signal=signal)).fetchall()
    hot, named = frozenset(key for key, _ in found), [key for key, tells in found if tells]
    positions = ", ".join(f"{_position(keys)} AS p_{name}" for name, keys in wanted.items())
    hot_keys = f"[{', '.join(map(quoted, sorted(hot)))}]::VARCHAR[]"
    con.execute(
        f"""CREATE TABLE {signal}_shapes AS
        WITH listed AS (SELECT *, list_filter(range(1, len(coalesce(keys, [])) + 1),
                               lambda i: keys[i] IS NOT NULL AND list_position(keys, keys[i]) = i) AS firsts,
                           list_filter(range(1, len(coalesce(keys, [])) + 1),
                               lambda i: list_contains({hot_keys}, keys[i])) AS hot_at FROM {signal}_seen)
        SELECT shape, keys, hash(keys) AS keys_id, types, firsts,
            list_transform(firsts, lambda i: keys[i]) AS first_keys,
            row_number() OVER (ORDER BY n DESC, shape) - 1 AS rank, hot_at, len(hot_at) > 0 AS hot, {positions}
        FROM listed"""
    )
    rows = con.execute(
        f"SELECT rank, keys FROM {signal}_shapes WHERE rank < {MOST_SHAPES} AND len(keys) <= {MOST_KEYS} "
        "AND len(firsts) = len(keys) ORDER BY rank"
    ).fetchall()
    common = tuple((rank, tuple(keys)) for rank, keys in rows if _are_names(keys))
    _redact(con, signal, hot, named)
    hot_ones = list(dict.fromkeys(key for _, keys in common for key in keys if key in hot))
    looked_up = {key: f"r{n}.said" for n, key in enumerate(hot_ones[:MOST_LOOKED_UP])}
    counted = ", ".join(f"count(p_{name})" for name in wanted)
    seen, *having = con.execute(f"SELECT count(*), {counted} FROM {signal}_shapes").fetchall()[0]
    absent = frozenset(name for name, shapes in zip(wanted, having, strict=True) if not shapes)
    return Shapes(signal, wanted, hot, common, looked_up, others=seen > len(common), absent=absent)


def _redact(con: DuckDBPyConnection, signal: str, hot: Set[str], named: Sequence[str]) -> None:
    """Make the table `<signal>_redacted` of each value under a hot key and how often it is there.

    Under `named` keys a value is a secret as a whole. In others there is one, as a rule; where more are found,
    `redacted_text` puts their pseudonyms one after the other, which takes twice as long.
    """
    con.execute(f"CREATE TABLE {signal}_redacted(k VARCHAR, v VARCHAR, said VARCHAR, n BIGINT, more BOOLEAN)")
    if not hot:
        return
    con.execute(
        f"""INSERT INTO {signal}_redacted
        WITH told AS (SELECT k, v, count(*) AS n, k IN ({", ".join(map(quoted, named)) or "NULL"}) AS named
                      FROM ({hot_pairs(signal)}) GROUP BY k, v),
             found AS (SELECT *, CASE WHEN named THEN [] ELSE secrets_in(v) END AS secrets FROM told)
        SELECT k, v, CASE WHEN v = '' THEN v WHEN named THEN pseudonym('secret', v) WHEN len(secrets) = 0 THEN v
            WHEN len(secrets) = 1 THEN replace(v, secrets[1], replacement(secrets[1])) END, n, len(secrets) > 1
        FROM found"""
    )
    if con.execute(f"SELECT count(*) FROM {signal}_redacted WHERE more").fetchall()[0][0]:
        con.execute(f"UPDATE {signal}_redacted SET said = redacted_text(v) WHERE more")


def hot_pairs(signal: str, only: str = "") -> str:
    """Each key and value of the rows `only` where a secret may be, as a query."""
    return f"""SELECT unnest(list_select(h.keys, h.hot_at)) AS k, unnest(list_select(s.vals, h.hot_at)) AS v
        FROM stage_{signal}s s JOIN {signal}_shapes h ON h.shape = s.shape AND h.hot {only}"""


def _position(keys: Sequence[str]) -> str:
    if not keys:
        return "NULL::INTEGER"
    return f"coalesce({', '.join(f'nullif(list_position(keys, {quoted(key)}), 0)' for key in keys)})"


def _are_names(keys: Sequence[str]) -> bool:
    """Whether a struct can have these fields: names that differ by more than their case."""
    return bool(keys) and all(keys) and len({key.casefold() for key in keys}) == len(keys)
