"""What a SQL statement asks of a database, read off its text: rows, or nothing that a database holds."""

from __future__ import annotations

import re
from functools import lru_cache

_SETTINGS = (
    "analysis_limit|automatic_index|busy_timeout|cache_size|cache_spill|case_sensitive_like|cell_size_check"
    "|defer_foreign_keys|foreign_keys|ignore_check_constraints|journal_mode|journal_size_limit|locking_mode|mmap_size"
    "|optimize|query_only|read_uncommitted|recursive_triggers|secure_delete|synchronous|temp_store|threads"
    "|trusted_schema|wal_autocheckpoint|wal_checkpoint"
)
_HARMLESS = re.compile(
    rf"""
    (?: (?:BEGIN|START\s+TRANSACTION|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE|SET|SHOW|RESET|DISCARD)\b[^;]*
    | PRAGMA\s+(?:\w+\.)?(?:{_SETTINGS})\b[^;]*
    | SELECT\s+(?:[\d.]+|'[\w\s]*'|true|null) (?:\s+AS\s+\w+)?
    | SELECT\s+(?:pg_catalog\.)?(?:version|current_schema|current_database|sqlite_version)\(\)
    | SELECT\s+(?:pg_catalog\.)?set_config\([^();]*\)
    | SELECT\s+typname\s+AS\s+name,(?:(?!\bFROM\b)[^;])*FROM\s+pg_type\s+t\b(?:(?!\b(?:FROM|JOIN)\b)[^;])*
    )?""",
    re.IGNORECASE | re.VERBOSE,
)
"""What a pool, a driver or an ORM says to a connection by itself: transactions, settings, pings, who the server is."""
_PIECE = re.compile(
    r"""
    (?P<comment> --[^\n]* | /\*(?:(?!/\*|\*/).)*\*/ )
    | [^'"`\[$/-]+ | '[^'\\]*' | "[^"\\]*" | \$(?!\w*\$) | /(?!\*) | -
    | .+
    """,
    re.DOTALL | re.VERBOSE,
)
"""A comment, or what is none. From a quote on that databases read in two ways, and from a comment in a comment, which
PostgreSQL knows and SQLite does not, the rest is one piece."""
_VERB = re.compile(r"\w+")
_ABOUT = re.compile(r"\b(?:FROM|INTO|UPDATE|TABLE|COPY)\s+(?:(?:ONLY|IF|NOT|EXISTS)\s+)*([\w.\"]{1,80})", re.IGNORECASE)
_ROWS = re.compile(
    r"[\s(]*(?:SELECT|WITH|VALUES|TABLE|FETCH|COPY|EXECUTE|CALL)\b|.*\bRETURNING\b", re.IGNORECASE | re.DOTALL
)
_TABLES = re.compile(
    r"\b(?:FROM|JOIN)\s+(?:(?:ONLY|LATERAL)\s+)*(?!ONLY\b|LATERAL\b)([\w.\"]+)(?![\w.\"]|\s*\()", re.IGNORECASE
)
_CATALOG = re.compile(
    r"(?:\w+\.)?sqlite_(?:temp_)?(?:master|schema)|(?:pg_catalog|information_schema)\.\w+"
    r"|pg_(?:am|attrdef|attribute|authid|class|collation|constraint|database|description|enum|extension|index|indexes"
    r"|inherits|namespace|opclass|proc|range|roles|sequence|sequences|settings|tables|trigger|type|user|views)",
    re.IGNORECASE,
)
"""A table of the database's own; a service's may begin with `pg_` as well, for its payment gateway."""


@lru_cache(maxsize=2048)
def harmless(statement: str) -> bool:
    """Whether a statement asks nothing of what a database holds."""
    return _HARMLESS.fullmatch(_bare(statement)) is not None


@lru_cache(maxsize=2048)
def asks_for_rows(statement: str) -> bool:
    """Whether it asks for rows of the service's own tables."""
    bare = _bare(statement)
    tables = [each.replace('"', "") for each in _TABLES.findall(bare)]
    return _ROWS.match(bare) is not None and not (tables and all(map(_CATALOG.fullmatch, tables)))


def _bare(statement: str) -> str:
    """Without its comments, in which tools say who asks, and the semicolon at its end."""
    return _PIECE.sub(lambda piece: " " if piece["comment"] else piece[0], statement).strip().rstrip("; \t\r\n")


def summary(statement: str) -> str:
    """`SELECT orders`: what a statement is about, without the values that may stand in it."""
    bare = _bare(statement)
    verb, about = _VERB.match(bare), _ABOUT.search(bare)
    return " ".join(filter(None, [verb and verb[0].upper()[:20], about and about[1].replace('"', "")])) or "a statement"
