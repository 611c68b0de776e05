"""Messages to templates: every parameter replaced by a word for its kind, on distinct texts, by the `rules`.

Those of errors are masked by Arrow, those of log records in the engine, which counts them too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from shadowlab.triage import applied, arrays
from shadowlab.triage.arrays import array, encoded
from shadowlab.triage.rules import LOG_STAGES, MAX_CHARACTERS, MAX_TEMPLATE, Rule
from shadowlab.triage.rules import VERSION as VERSION

_QUERY = re.compile(r"\?\S+")


def query(source: str) -> str:
    """SQL that adds `template` to each row of `source`, a table's name; its column `text` is a distinct log record."""
    first, *later = LOG_STAGES
    cut = f"CASE WHEN strlen(text) > {MAX_CHARACTERS} THEN left(text, {MAX_CHARACTERS}) ELSE coalesce(text, '') END"
    stages = [f"stage0 AS MATERIALIZED ({_masked(f'SELECT *, {cut} AS m FROM {source}', first)})"]
    joined = "stage0"
    for n, rules in enumerate(later, 1):
        texts = f"SELECT DISTINCT m AS before{n}, m FROM stage{n - 1}"
        stages.append(f"stage{n} AS MATERIALIZED ({_masked(texts, rules)})")
        joined += f" JOIN stage{n} ON before{n} = stage{n - 1}.m"
    return f"""
        WITH {", ".join(stages)}
        SELECT stage0.* EXCLUDE (m), left(trim(stage{len(later)}.m), {MAX_TEMPLATE}) AS template
        FROM {joined}"""


def _masked(texts: str, rules: Sequence[Rule]) -> str:
    """SQL that puts column `m` of a query through the rules."""
    for holds, pattern, to in rules:
        replaced = f"regexp_replace(m, {_literal(pattern)}, {_literal(to)}, 'gs')"
        if holds == pattern:
            step = f"replace(m, {_literal(pattern)}, {_literal(to)})"
        elif holds:
            held = (f"contains(m, {_literal(sign)})" for sign in ((holds,) if isinstance(holds, str) else holds))
            step = f"CASE WHEN {' OR '.join(held)} THEN {replaced} ELSE m END"
        else:
            step = replaced
        texts = f"SELECT * REPLACE ({step} AS m) FROM ({texts})"
    return texts


def templates(texts: Sequence[str], *, logs: bool = False) -> list[str]:
    """The template of each text, in the texts' order.

    Codes that say what went wrong stand behind an error's template; those of log records are values like others.
    """
    numbers: dict[str, int] = {}
    places = [numbers.setdefault(text, len(numbers)) for text in texts]
    told = _of_records(list(numbers)) if logs else applied.templates(list(numbers))
    return [told[place] for place in places]


def operations(names: Sequence[str]) -> list[str]:
    """The template of each operation's name: what stands between slashes by itself, so that routes stay apart."""
    routes = ("" if "://" in name else _QUERY.sub("?<str>", name[:MAX_CHARACTERS]) for name in names)
    cut = [re.split(r"(\s*/)", route) if route else [name] for name, route in zip(names, routes, strict=True)]
    masked = iter(templates([part for parts in cut for part in parts[::2]]))
    return ["".join(part if n % 2 else next(masked) for n, part in enumerate(parts)) for parts in cut]


def _of_records(texts: list[str]) -> list[str]:
    import duckdb
    import numpy as np

    with duckdb.connect() as con:
        con.register("given", arrays.table({"text": arrays.texts(texts), "n": np.arange(len(texts))}))
        con.execute("CREATE TABLE texts AS FROM given")
        found = con.sql(f"SELECT template FROM ({query('texts')}) ORDER BY n").to_arrow_table()
    alike = encoded(found["template"])
    words = np.array(alike.dictionary.to_pylist(), dtype=object)
    told: list[str] = words[array(alike.indices)].tolist()
    return told


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
