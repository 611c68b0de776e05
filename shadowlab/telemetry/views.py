"""The views over attached segments, each made when a question first speaks of it."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from shadowlab.telemetry import connection, segment

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

VIEWS: Final = (
    "spans", "errors", "events", "links", "logs", "metric_points", "traces", "edges", "self_time", "critical_path",
    "deploys", "gen_ai_calls",
)  # fmt: skip
"""What `docs/schema.md` describes."""
SHARES: Final = 1_048_573
"""`sampled_<n>` holds that share of the spans: n of so many."""
BLOCK_BITS: Final = 11
"""A block is 2,048 spans, DuckDB's vector."""
_GOLDEN: Final = 648_055
_NO_ROWS: Final = "shadowlab_empty"
_OF_A_RESOURCE: Final = ("spans", "logs", "metric_points")
_LISTS: Final = frozenset(("show", "describe", "summarize", "pragma", "information_schema"))
"""Words of questions about the views themselves."""
_BENEATH: Final = re.compile(r"\b(?:part|whole|timed)_\w+")
_SAMPLED: Final = re.compile(r"\bsampled_(\d{1,7})\b")
_VIEW: Final = re.compile(r"^CREATE VIEW (\w+) AS\b", re.MULTILINE)


class Views:
    """Definitions that wait to be spoken of: to make all of them takes longer than most questions."""

    def __init__(self, con: DuckDBPyConnection, told: Sequence[str], marked: Sequence[str]) -> None:
        """`told` are attached databases of telemetry, `marked` of fingerprints."""
        self._con = con
        if not told:
            segment.create(con, ":memory:", _NO_ROWS)
            segment.finish(con, _NO_ROWS)
            told = (_NO_ROWS,)
        self._told = told
        self._waiting = {**_parts(told), **_wholes(told), **_signed(marked), **_described()}
        self._shares: set[str] = set()
        self._making = threading.Lock()

    def make_for(self, question: str) -> None:
        """Make the views that a question names, and those that they stand on. Raises `duckdb.Error`."""
        first, *others = re.findall(r"\w+", question.lower()) or [""]
        words = {first, *others}
        for share in set(_SAMPLED.findall(question)) - self._shares:
            self._shares.add(share)
            self._waiting[f"sampled_{share}"] = _sampled(self._told, int(share))
        if words & _LISTS or first == "desc" or any(word.startswith("duckdb_") for word in words):
            self.make_all()
        with self._making:
            for word in words:
                self._make(word)

    def make_all(self) -> bool:
        """Make every view; `False` when they were there already."""
        with self._making:
            missing = list(self._waiting)
            for name in missing:
                self._make(name)
        return bool(missing)

    def _make(self, name: str) -> None:
        text = self._waiting.pop(name, None)
        if text is None:
            return
        for beneath in _BENEATH.findall(text):
            self._make(beneath)
        self._con.execute(f"CREATE VIEW main.{name} AS {text}")


def alone(name: str, question: str) -> Mapping[str, str]:
    """The texts of the views that a question names, over one attached database; each after those that it stands on."""
    waiting = {**_parts([name]), **_wholes([name]), **_signed([]), **_described()}
    told: dict[str, str] = {}

    def tell(view: str) -> None:
        if text := waiting.pop(view, None):
            for beneath in _BENEATH.findall(text):
                tell(beneath)
            told[view] = text

    for word in re.findall(r"\w+", question.lower()):
        tell(word)
    return told


def _described() -> Mapping[str, str]:
    """The text of each view in `sql/views.sql`."""
    found = _VIEW.split(connection.statements("views"))
    return {name: text.strip().rstrip(";") for name, text in zip(found[1::2], found[2::2], strict=True)}


def _parts(told: Sequence[str]) -> Mapping[str, str]:
    parts = {f"part_{part}": _union(segment.rows_of(part, name) for name in told) for part in segment.PARTS}
    origins = (f"SELECT {n} + resource_ix AS origin, attributes FROM {name}.resources" for n, name in _numbered(told))
    return {**parts, "part_origins": _union(origins)}


def _numbered(told: Sequence[str]) -> list[tuple[int, str]]:
    """Each database with what is added to a row's number to tell it from the rows of others."""
    return [(number << 40, name) for number, name in enumerate(told)]  # none has as many rows


def _sampled(told: Sequence[str], share: int) -> str:
    """Spans with their `place` and `origin`: blocks of 2,048 that follow each other, `share` of `SHARES` of them.

    Multiples of the golden ratio spread the blocks evenly over time. DuckDB skips what is left out only where the
    choice is plain arithmetic on the row's own number: no hash, no division, no name for it.
    """
    chosen = f" WHERE (rowid >> {BLOCK_BITS}) * {_GOLDEN} % {SHARES} < {share}" if share < SHARES else ""
    return _union(
        f"SELECT {n} + rowid AS place, {n} + resource_ix AS origin, * FROM {name}.spans{chosen}"
        for n, name in _numbered(told)
    )


def _wholes(told: Sequence[str]) -> Mapping[str, str]:
    # Grouped, the right side has one row a resource for certain: where nobody asks for its attributes, no join is made.
    return {
        f"whole_{part}": _union(
            "SELECT p.*, r.attributes AS resource_attributes, r.types AS resource_attribute_types "
            f"FROM ({segment.rows_of(part, name)}) p LEFT JOIN (SELECT t.resource_ix, "
            "any_value(t.attributes) AS attributes, any_value(t.attribute_types) AS types "
            f"FROM ({segment.rows_of('resources', name)}) t GROUP BY t.resource_ix) r "
            "ON r.resource_ix = p.resource_ix" for name in told
        ) for part in _OF_A_RESOURCE
    }  # fmt: skip


def _signed(marked: Sequence[str]) -> dict[str, str]:
    """Each error's fingerprint, and what it was read from."""
    if not marked:
        nothing = "SELECT NULL::UBIGINT AS error_id, NULL::VARCHAR AS fingerprint WHERE false"
        return {"part_fingerprints": nothing, "part_readings": nothing}
    union = _union(f"SELECT error_id, fingerprint FROM {name}.fingerprints" for name in marked)
    return {
        "part_fingerprints": f"SELECT error_id, any_value(fingerprint) AS fingerprint FROM ({union}) GROUP BY error_id",
        "part_readings": _union(f"SELECT * FROM {name}.fingerprints" for name in marked),
    }


def _union(selects: Iterable[str]) -> str:
    return " UNION ALL BY NAME ".join(selects)
