"""Tables for paper: every cell escaped, nothing that needs a script."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from shadowlab.views.shown import Page
from shadowlab.views.style import RULE

_CELL = "text-align:left;vertical-align:top;padding:.25em .9em .25em 0"


_LINE = "padding-left:1em;text-indent:-1em"
"""A line of several in a cell: what goes on below is further in."""

_LONGEST = 2000


class Markup(str):
    """Text that is HTML already."""


def grid(columns: Sequence[str], rows: Sequence[Sequence[object]], *, alt: str) -> Page:
    """A table of `rows` under `columns`; every cell that is no `Markup` is escaped."""
    if not rows:
        return Page(f"<p>{html.escape(alt)}: none.</p>", f"{alt}: none")
    head = "".join(
        f"<th style='{_CELL};white-space:nowrap;border-bottom:2px solid {RULE}'>{html.escape(c)}</th>" for c in columns
    )
    body = "".join(
        "<tr>" + "".join(_td(heading, v) for heading, v in zip(columns, row, strict=True)) + "</tr>" for row in rows
    )
    table = f"<table style='border-collapse:collapse'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return Page(table, f"{alt}, {len(rows)} rows")


def _td(heading: str, value: object) -> str:
    """A cell that knows its heading: a narrow page sets the cells of a row under each other, each behind its own."""
    named = f" data-label='{html.escape(heading)}'" if heading else ""
    return f"<td{named} style='{_CELL};border-bottom:1px solid {RULE}'>{cell(value)}</td>"


def cell(value: object) -> str:
    """One value as HTML."""
    match value:
        case None:
            return ""
        case Markup():
            return value
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            text = moment.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
            return f"<span style='white-space:nowrap'>{html.escape(text)}</span>"
        case timedelta():
            return html.escape(str(value))
        case float():
            return f"{value:,.4g}"
        case int():
            return f"{value:,}"
        case [only]:
            return cell(only)
        case tuple() | list():
            return "".join(f"<div style='{_LINE}'>{cell(v)}</div>" for v in value)
        case _:
            text = str(value)
            return html.escape(text if len(text) <= _LONGEST else text[:_LONGEST] + " …")


def code(text: str) -> Markup:
    """`text` in typewriter letters, which may be broken after a `/`, `:`, `,` or `=` and in very long words."""
    if not text:
        return Markup("")  # notebooks draw a box around code, around none, too
    breakable = re.sub(r"([/:,=]+)", r"\1\0", re.sub(r"(\w{40})(?=\w)", r"\1\0", text))
    return Markup(f"<code>{html.escape(breakable).replace(chr(0), '<wbr>')}</code>")


def wide(text: str) -> Markup:
    """A cell that longer ones beside it do not squeeze to a column of single words."""
    return Markup(f"<div style='min-width:13em'>{cell(text)}</div>")


def name(text: str) -> Markup:
    """A short name in typewriter letters, in one piece."""
    return Markup(f"<code style='white-space:nowrap'>{html.escape(text)}</code>")
