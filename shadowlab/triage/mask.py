"""Messages to templates: every parameter replaced by a word for its kind, in the engine, on distinct texts.

The rules run in one fixed order and each looks at one message alone, so that no order of events and no amount of them
changes a template. Names that say *what* is wrong (a missing attribute, column, argument; a type) are no parameters and
stay; error codes (SQLSTATE, errno, exit, gRPC, HTTP class) are taken out first and kept beside the template.
"""

from __future__ import annotations

from collections.abc import Sequence

Rule = tuple[str, str, str]
"""What a text must hold for the rule to be tried, pattern, replacement; RE2, so that no input makes them slow."""

VERSION = 2
_MAX_CHARACTERS = 2_000
_NAMED = (
    "attribute|argument|arguments|parameter|property|column|relation|table|field|key|module|method|function|name|"
    "constraint|index|type|class|symbol|variable|option|setting|header|reading|import|from"
)
_TYPES = (
    "NoneType|int|float|str|bytes|bool|list|tuple|dict|set|Decimal|datetime|date|object|function|method|module|type|"
    "coroutine|generator|null|undefined|string|number|nil|NilClass|String|Integer|Hash|Array|Symbol"
)
_WORD = r"[A-Za-z_$][\w$.]{0,60}"

_LISTED = r"<(?:n|str|id|amount|time)>(?:\s?[,;]\s?<(?:n|str|id|amount|time)>)+"

# Kept words are wrapped in these while quoted text is masked; hostile input cannot hold them, they are taken out first.
_OPEN, _CLOSE = "\x01", "\x02"

RULES: tuple[Rule, ...] = (
    ("", r"\x1b\[[0-9;]*m|[\x00-\x08\x0e-\x1f]", ""),
    ("{", r"\{\s*[\"'].*\}", "<json>"),
    ("[", r"\[\s*[{\"'].*\]", "<json>"),
    ("://", r"(?i)\b[a-z][a-z0-9+.\-]{1,20}://[^\s'\"<>)\]]+", "<url>"),
    ("@", r"[\w.+\-]+@[\w\-]+\.[\w.\-]*\w", "<email>"),
    ("-", r"(?i)\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "<id>"),
    ("0000-00-00", r"\b\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?:Z| ?[+\-]\d\d:?\d\d)?", "<time>"),
    (":00:00", r"\b(?:(?:(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)\w*,? )?(?:\d{1,2} )?"
     r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]* \d{1,4}(?:,? \d{4})? )?\d\d?:\d\d:\d\d(?:[.,]\d+)?\b",
     "<time>"),
    ("0.0", r"\b(?:\d{1,3}\.){3}\d{1,3}(?:[:/]\d+)?\b", "<addr>"),
    (":", r"(?i)\[?\b(?:[0-9a-f]{1,4}:){3,7}(?::?[0-9a-f]{1,4})*\b\]?(?::\d+)?|\[?::[01]\b\]?(?::\d+)?", "<addr>"),
    (":00", r"\b(?:[A-Za-z][\w\-]*\.)*[A-Za-z][\w\-]*:\d{2,5}\b", "<addr>"),
    ("'", rf"(?i)\b({_NAMED})([ :=(\[]+)'({_WORD})'", rf"\1\2{_OPEN}\3{_CLOSE}"),
    ('"', rf'(?i)\b({_NAMED})([ :=(\[]+)"({_WORD})"', rf"\1\2{_OPEN}\3{_CLOSE}"),
    ("`", rf"(?i)\b({_NAMED})([ :=(\[]+)`({_WORD})[`']", rf"\1\2{_OPEN}\3{_CLOSE}"),
    ("'", rf"'({_WORD})'( object\b| and \x01| has no attribute| is not (?:defined|callable|iterable))",
     rf"{_OPEN}\1{_CLOSE}\2"),
    ("'", rf"'({_TYPES})'|^'({_WORD})'$", rf"{_OPEN}\1\2{_CLOSE}"),
    ("'", r"(^|[^\w])'[^'\n]*'", r"\1<str>"),
    ('"', r"\"[^\"\n]*\"", "<str>"),
    ("`", r"`[^`'\n]*[`']", "<str>"),
    ("“", r"“[^”\n]*”", "<str>"),
    ("‘", r"‘[^’\n]*’", "<str>"),
    ("«", r"«[^»\n]*»", "<str>"),
    (_OPEN, rf"[{_OPEN}{_CLOSE}]", "'"),
    (":\\", r"(?i)\b[a-z]:\\[^\s:*?\"<>|]+", "<path>"),
    ("/", r"(^|[\s(=:,\[])~?(?:/[\w.@%+~\-]+){2,}/?", r"\1<path>"),
    ("", r"(?i)\b(?:0x[0-9a-f]+|[0-9a-f]{8,})\b", "<n>"),
    ("0", r"[\-+]?\b\d[\d,._]*(?:e[\-+]?\d+)?\s?(?:%|[kKMGT]i?B\b|(?:bytes?|ns|us|µs|ms|s|secs?|seconds?|min|minutes?"
     r"|hours?|h|days?)\b)", "<amount>"),
    ("0", r"\b(?:[A-Za-z0-9]+[_\-.:#/])*[A-Za-z0-9_]*\d[A-Za-z0-9_]*(?:[_\-.:#/][A-Za-z0-9_]+)*", "<n>"),
)  # fmt: skip
"""For errors' messages, each digit of which is a 0."""
LATE: tuple[Rule, ...] = (
    ("<n>", r"[\-+]<n>", "<n>"),
    (">,", _LISTED, "<list>"),
    (">;", _LISTED, "<list>"),
    ("", r"\s{2,}|[\t\r\n]", " "),
)
"""What comes after, on the few different texts that are left where numbers are words."""

_VERBS = "GET|HEAD|POST|PUT|DELETE|PATCH|OPTIONS|CONNECT|TRACE"
# What braces and brackets hold is these while the next that hold them are looked for.
_BRACED, _LISTED_IN = "\x03", "\x04"
_VALUE = r"\"[^\"]*\"|'[^']*'|(?:\([^()]*\)|[^\s,;(){}\[\]])*"

LOG_RULES: tuple[Rule, ...] = (
    RULES[0],
    ('"', rf'"({_VERBS}) [^"]*"', r"\1 <str>"),
    *[("{", r"\{[^{}]*\}", _BRACED)] * 4,
    *[("[", r"\[[^\[\]]*\]", _LISTED_IN)] * 3,
    ("{", r"\{[^{}]{200,}$", _BRACED),
    ("=", rf"(^|[\s,;({{\[])([\w.\-/]+)=({_VALUE})", r"\1\2=<v>"),
    (_BRACED, _BRACED, "{<v>}"),
    (_LISTED_IN, _LISTED_IN, "[<v>]"),
    (":", r"\b(?:about|blob|data|file|javascript|mailto|urn):[\w/][^\s'\"<>)\]]*", "<url>"),
    ("B", r"\b\d[\d,.]*\s?B\b", "<amount>"),
    *RULES[1:],
)
"""Log records besides: what stands after a key, and what braces and brackets hold, are values."""
LOG_LATE: tuple[Rule, ...] = (
    *LATE,
    ("(<amount>)", r"<amount> \(<amount>\)", "<amount>"),
    ("/", r"(^|[\s(=:,\[])/[\w.@%+~\-*]+(?:/[\w.@%+~\-*]+)*/?", r"\1<path>"),
    ("/", r"\b[\w\-]+(?:/[\w.\-]+)+\.[A-Za-z]\w{0,4}\b", "<path>"),
)

CODES = (
    r"(?i)\b(?:(?:sql ?state|errno|exit (?:code|status)|exited with(?: code| status)?|signal|os error|error code|ora|"
    r"winerror|rpc error: code|(?:(?:http|response) )?status(?: code)?[\s:=]|(?:http|response) (?:code )?|"
    r"responded with|http(?:/[12](?:\.[01])?)?|got a?)[\s:=\[(#\-]*)[0-9][0-9A-Z]{0,4}\b"
)
"""Codes that say what went wrong, not to whom."""
_STATUS = r"(?i)^(?:http|status|respon|got).*?([1-5])\d\d$"
_CODE = f"""lambda c: CASE WHEN regexp_matches(c, '{_STATUS}') THEN regexp_extract(c, '{_STATUS}', 1) || 'xx'
            ELSE regexp_extract(c, '([0-9][0-9A-Z]*)$', 1) END"""


def query(source: str, *, logs: bool = False) -> str:
    """SQL that gives `text, template` for each row of `source`, a table's name, whose column `text` is distinct.

    Codes that say what went wrong stand behind an error's template; those of log records are values like others.
    No rule looks at which digit it sees: every digit is a 0 first, and what differs in digits alone is masked once;
    so is what is the same where its numbers are words.
    """
    rules, late = (LOG_RULES, LOG_LATE) if logs else (RULES, LATE)
    zeros = "t"
    for digit in "123456789":
        zeros = f"replace({zeros}, '{digit}', '0')"
    found = f"regexp_extract_all(t, {_literal(CODES)})"
    codes = "''" if logs else f"array_to_string(list_sort(list_distinct(list_transform({found}, {_CODE}))), ' ')"
    return f"""
        WITH shaped AS MATERIALIZED (
            SELECT text, {zeros} AS shape, {codes} AS codes
            FROM (SELECT text, left(coalesce(text, ''), {_MAX_CHARACTERS}) AS t FROM {source})),
        numbered AS MATERIALIZED ({masked("SELECT DISTINCT shape, shape AS m FROM shaped", rules)}),
        rest AS (SELECT numbers, left(trim(m), 400) AS words
                 FROM ({masked("SELECT DISTINCT m AS numbers, m FROM numbered", late)}))
        SELECT text, words || CASE WHEN codes <> '' THEN ' [' || codes || ']' ELSE '' END AS template
        FROM shaped JOIN numbered USING (shape) JOIN rest ON rest.numbers = numbered.m"""


def masked(texts: str, rules: Sequence[Rule]) -> str:
    """SQL that puts column `m` of a query through the rules."""
    for holds, pattern, to in rules:
        replaced = f"regexp_replace(m, {_literal(pattern)}, {_literal(to)}, 'gs')"
        step = f"CASE WHEN contains(m, {_literal(holds)}) THEN {replaced} ELSE m END" if holds else replaced
        texts = f"SELECT * REPLACE ({step} AS m) FROM ({texts})"
    return texts


def templates(texts: list[str], *, logs: bool = False) -> list[str]:
    """The template of each text, in the texts' order."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect() as con:
        con.register("given", pa.table({"text": pa.array(texts, pa.string()), "n": range(len(texts))}))
        con.execute("CREATE TABLE texts AS SELECT text, list(n) AS ns FROM given GROUP BY text")
        found = f"SELECT unnest(ns) AS n, template FROM texts JOIN ({query('texts', logs=logs)}) USING (text)"
        return [template for (template,) in con.execute(f"SELECT template FROM ({found}) ORDER BY n").fetchall()]


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
