"""A unified diff as two columns, before and after, for paper and for people who do not read `+` and `-`."""

from __future__ import annotations

import difflib
import html
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest

from shadowlab import hunks
from shadowlab.views.shown import Page
from shadowlab.views.style import BLUE, FAINT, INK, MONO, QUIET, RULE, VERMILLION, WASH

_OLD, _NEW, _HEAD = "rgba(201,79,0,.13)", "rgba(0,114,178,.14)", "rgba(97,112,127,.12)"
"""Tints that let the theme's own text be read on them, on white and on dark."""
_MOST = 2000
Side = tuple[int, str] | None


@dataclass(frozen=True, slots=True)
class Line:
    """One row: a heading, or a line before beside a line after."""

    kind: str
    """`file`, `hunk`, `same`, `changed`."""
    before: Side = None
    after: Side = None
    text: str = ""


def side_by_side(diff: str) -> Page:
    """The two-column table of a unified diff; an empty diff says so. More than 2000 rows are cut, and it says so."""
    rows = list(_rows(diff))
    changed = sum(row.kind == "changed" for row in rows)
    if not rows:
        return Page("<p>No change.</p>", "an empty diff")
    body = "".join(_html(row) for row in rows[:_MOST])
    more = f"<p>{len(rows) - _MOST} more rows are not shown.</p>" if len(rows) > _MOST else ""
    style = f"border-collapse:collapse;width:100%;table-layout:fixed;font:12px/1.5 {MONO}"
    columns = "<colgroup><col style='width:3.2em'><col><col style='width:3.2em'><col></colgroup>"
    return Page(
        f"<table class='sidebyside' style=\"{style}\">{columns}<tbody>{body}</tbody></table>{more}",
        f"a diff of {changed} changed lines, side by side",
    )


def in_full(diff: str) -> Page:
    """A unified diff as it is, each line with its sign, coloured; it can be copied and applied."""
    lines = "".join(f"<span style='{_sign_style(line)}'>{html.escape(line)}\n</span>" for line in diff.splitlines())
    style = (
        f"white-space:pre-wrap;font:12px/1.5 {MONO};background:{WASH};color:{INK};padding:.8em;margin:0;text-align:left"
    )
    return Page(f'<pre class="patch" style="{style}">{lines}</pre>', f"a patch of {len(diff.splitlines())} lines")


def _sign_style(line: str) -> str:
    if line.startswith(("+++", "---", "diff ", "index ")):
        return f"color:{QUIET}"
    return {"+": f"color:{BLUE}", "-": f"color:{VERMILLION}", "@": f"color:{QUIET}"}.get(line[:1], "")


def _rows(diff: str) -> Iterator[Line]:
    """Headings and lines of a unified diff; removed lines stand beside the added ones that follow them."""
    gone: list[tuple[int, str]] = []
    came: list[tuple[int, str]] = []
    for line in hunks.walk(diff, strict=False):
        text = line.text.rstrip("\r")
        if line.kind == "removed":
            gone.append((line.old, text))
            continue
        if line.kind == "added":
            came.append((line.new, text))
            continue
        yield from _paired(gone, came)
        gone, came = [], []
        if line.kind == "hunk":
            yield Line("hunk", text=f"line {line.new}{': ' + text.strip() if text.strip() else ''}")
        elif line.kind == "same":
            yield Line("same", (line.old, text), (line.new, text))
        elif line.kind == "outside" and text.startswith("+++ "):
            yield Line("file", text=_name(text))
    yield from _paired(gone, came)


def _paired(gone: list[tuple[int, str]], came: list[tuple[int, str]]) -> Iterator[Line]:
    for before, after in zip_longest(gone, came):
        yield Line("changed", before, after)


def _name(line: str) -> str:
    name = line[4:].split("\t")[0].strip()
    return "(removed)" if name == "/dev/null" else name.removeprefix("b/")


def _html(row: Line) -> str:
    if row.kind == "file":
        style = f"text-align:left;padding:.6em .4em .3em;border-bottom:1px solid {RULE}"
        return f"<tr><th colspan='4' style='{style}'>{html.escape(row.text)}</th></tr>"
    if row.kind == "hunk":
        style = f"text-align:left;{FAINT};background:{_HEAD};padding:.1em .4em"
        return f"<tr><td colspan='4' style='{style}'>{html.escape(row.text)}</td></tr>"
    before, after = (row.before[1] if row.before else ""), (row.after[1] if row.after else "")
    if row.kind == "same":
        return f"<tr>{_half(row.before, html.escape(before), '')}{_half(row.after, html.escape(after), '')}</tr>"
    left, right = _marked(before, after)
    return f"<tr>{_half(row.before, left, _OLD)}{_half(row.after, right, _NEW)}</tr>"


def _half(side: Side, content: str, tint: str) -> str:
    number = str(side[0]) if side else ""
    style = f"background:{tint};vertical-align:top" if tint and side else "vertical-align:top"
    wrap = "text-align:left;white-space:pre-wrap;overflow-wrap:anywhere;padding:0 .4em"
    return (
        f"<td style='{style};opacity:.65;text-align:right;padding:0 .5em'>{number}</td>"
        f"<td style='{style};{wrap}'>{content}</td>"
    )


def _marked(before: str, after: str) -> tuple[str, str]:
    """Both lines escaped, with what differs between them in bold when they are alike."""
    match = difflib.SequenceMatcher(None, before, after, autojunk=False) if len(before) + len(after) < 600 else None
    if match is None or not before or not after or match.ratio() < 0.5:
        return html.escape(before), html.escape(after)
    left = right = ""
    for tag, a, b, c, d in match.get_opcodes():
        old, new = html.escape(before[a:b]), html.escape(after[c:d])
        left += old if tag == "equal" or not old else f"<b style='text-decoration:underline'>{old}</b>"
        right += new if tag == "equal" or not new else f"<b style='text-decoration:underline'>{new}</b>"
    return left, right
