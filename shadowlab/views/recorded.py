"""A recording for people: what came in, what was asked of others, the rows, what went out. Bodies are folded."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from shadowlab.records.base import counted
from shadowlab.views.shown import Page
from shadowlab.views.style import FAINT, INK, MONO, RULE, SANS, VERMILLION, WASH
from shadowlab.views.tables import code, grid, name

_MOST = 200
"""Rows of a table, and lines of a list, that are shown."""
Told = Mapping[str, Any]


def recorded(told: Told) -> Page:
    """A recording as `replay.look.opened` tells it: plain values, secrets taken out; everything is escaped here."""
    parts = [
        _head(told),
        _part("Request", _request(told["request"])),
        _part("Message", _message(told["message"])) if told.get("message") else "",
        _part("Calls to others", _tape(told["outbound"])) if told.get("outbound") else "",
        _part("Database", _database(told)) if told.get("database") or told.get("db_snapshot") else "",
        _part("Files read", _files(told["files"])) if told.get("files") else "",
        _part("Answer", _answer(told)),
        _part("Around it", _around(told)),
    ]
    style = f"font:14px/1.5 {SANS};text-align:left"
    return Page(f'<div class="recording" style="{style}">{"".join(parts)}</div>', f"recording {told['summary']}")


def _head(told: Told) -> str:
    lacks = "".join(f"<li>{html.escape(what)}</li>" for what in told.get("missing") or ())
    warning = (
        f"<p style='color:{VERMILLION}'><b>Cannot be replayed alone; it lacks</b></p><ul>{lacks}</ul>" if lacks else ""
    )
    what = "a control: it passed, and was drawn" if told.get("control") else told.get("kind", "")
    facts = (told.get("service"), told.get("time"), what, told.get("commit") and f"commit {told['commit'][:9]}")
    line = " · ".join(html.escape(str(fact)) for fact in facts if fact)
    ids = f"recording {told['id']}" + (f", trace {told['trace_id']}" if told.get("trace_id") else "")
    return (
        f"<h3 style='margin:.2em 0'><code>{html.escape(told['summary'])}</code></h3>"
        f"<p style='{FAINT};margin:.2em 0'>{line}<br>{html.escape(ids)}</p>{warning}"
    )


def _part(title: str, content: str) -> str:
    return f"<h4 style='margin:1em 0 .3em;border-bottom:1px solid {RULE}'>{title}</h4>{content}"


def _request(told: Told) -> str:
    query = f"?{told['query']}" if told.get("query") else ""
    rest = "<p>The service had not read the rest of its body.</p>" if told.get("unread") else ""
    line = f"<p style='margin:.2em 0'>{code(told['method'] + ' ' + told['path'] + query)}</p>"
    return line + _headers_and_body(told) + rest


def _message(told: Told) -> str:
    names = (
        "system",
        "topic",
        "partition",
        "offset",
        "key",
        "timestamp_ms",
        "idempotency_key",
        "redelivered",
        "exchange",
    )
    rows = [(key.replace("_", " "), code(str(told[key]))) for key in names if told.get(key) is not None]
    return grid(("message", ""), rows, alt="message").html + _headers_and_body(told)


def _tape(calls: Sequence[Told]) -> str:
    parts = []
    for call in calls[:_MOST]:
        failed = f" <b>{html.escape(call['error'].get('message', ''))}</b>" if call.get("error") else ""
        took = f"{call['elapsed_ms']:.1f} ms" + (", answers as often as it is asked" if call.get("lasting") else "")
        asked = _fold("asked", call.get("request_headers"), call["asked"])
        got = _fold("got", call.get("headers"), call["text"])
        line = f"{call['seq']} {code(call['line'])}{failed} <span style='{FAINT}'>{took}</span>"
        parts.append(f"<p style='margin:.4em 0 0'>{line}</p><div style='margin-left:1.5em'>{asked}{got}</div>")
    more = f"<p>{len(calls) - _MOST} more calls are not shown.</p>" if len(calls) > _MOST else ""
    return "".join(parts) + more


def _database(told: Told) -> str:
    known = told.get("database") or {}
    parts = [
        f"<p style='margin:.2em 0'>snapshot {name(told['db_snapshot'][6:22])}…</p>" if told.get("db_snapshot") else ""
    ]
    unknown = "".join(f"<li>{html.escape(str(what))}</li>" for what in known.get("incomplete") or ())
    parts.append("<p>Nothing was asked of it.</p>" if known.get("untouched") else "")
    parts.append(f"<p>Not known of its state:</p><ul>{unknown}</ul>" if unknown else "")
    parts += [_statement(*each) for each in _in_order(known)[:_MOST]]
    for table, rows in (known.get("rows") or {}).items():
        summary = f"rows of {table} as they were before: {len(rows)}"
        parts.append(_details(summary, _rows(sorted({key for row in rows for key in row}), rows)))
    return "".join(parts)


def _in_order(known: Told) -> list[tuple[str, Told]]:
    both = [("read", one) for one in known.get("reads") or ()] + [("write", one) for one in known.get("writes") or ()]
    return sorted(both, key=lambda pair: int(pair[1]["seq"]))


def _statement(kind: str, told: Told) -> str:
    count = told.get("row_count")
    rows = [dict(zip(told.get("columns") or (), row, strict=False)) for row in told.get("rows") or ()]
    before = told.get("before") or ()
    failed = f" · {told['error'].get('type', 'error')}" if told.get("error") else ""
    summary = (
        f"{told['seq']} {kind} · {counted(len(rows) if count is None else count, 'row')}{failed} · {told['statement']}"
    )
    inside = f"<p>parameters {code(str(told['parameters']))}</p>" if told.get("parameters") is not None else ""
    if rows:
        inside += _rows(list(told["columns"]), rows)
    if before:
        inside += f"<p>before</p>{_rows(sorted({key for row in before for key in row}), before)}"
    return _details(summary, inside)


def _rows(columns: Sequence[str], rows: Sequence[Told]) -> str:
    cells = [[code("null") if row.get(c) is None else str(row[c]) for c in columns] for row in rows[:_MOST]]
    more = f"<p>{len(rows) - _MOST} more rows are not shown.</p>" if len(rows) > _MOST else ""
    return grid(list(columns), cells, alt="rows").html + more


def _files(files: Sequence[Told]) -> str:
    return "".join(
        _details(f"{file['path']} · {file['size']:,} bytes", _pre(file["text"][1])) for file in files[:_MOST]
    )


def _answer(told: Told) -> str:
    response, error = told.get("response"), told.get("error")
    parts = []
    if error:
        frames = "\n".join(f"{f['file']}:{f['line']} {f['function']}" for f in error.get("frames") or ())
        parts.append(
            f"<p style='margin:.2em 0'><b>{html.escape(error['type'])}</b>: {html.escape(error['message'])}</p>"
        )
        parts.append(_details(counted(len(error.get("frames") or ()), "frame"), _pre(frames)) if frames else "")
    if response:
        parts.append(
            f"<p style='margin:.2em 0'>status {code(str(response['status']))}</p>{_headers_and_body(response)}"
        )
    return "".join(parts) or "<p>No response was recorded.</p>"


def _around(told: Told) -> str:
    around = told.get("environment") or {}
    values = around.get("values") or {}
    rows: list[Sequence[object]] = [(code(key), code(str(values[key])) if key in values else "read, value not recorded")
            for key in sorted({*values, *(around.get("read") or ())})]  # fmt: skip
    rows += [(code(f"flag {key}"), code(str(value))) for key, value in (told.get("flags") or {}).items()]
    versions = told.get("versions") or {}
    rows += [
        (key, code(str(versions[key]))) for key in ("python", "platform", "locale", "time_zone") if versions.get(key)
    ]
    gone = told.get("redaction") or {}
    rows += [(f"taken out by rule {rule}", f"{count} values") for rule, count in gone.items()]
    return _details(f"environment, flags, versions · {len(rows)}", grid(("", ""), rows, alt="environment").html)


def _headers_and_body(told: Told) -> str:
    return _fold("", told.get("headers"), told["text"])


def _fold(what: str, headers: Sequence[Sequence[str]] | None, body: tuple[int, str]) -> str:
    size, text = body
    lead = f"{what} " if what else ""
    told = ""
    if headers:
        told += _details(
            f"{lead}{counted(len(headers), 'header')}", _pre("\n".join(f"{key}: {value}" for key, value in headers))
        )
    return told + (_details(f"{lead}body · {size:,} bytes", _pre(text)) if size else "")


def _details(summary: str, inside: str) -> str:
    look = f"cursor:pointer;font:12px/1.6 {MONO}"
    return f'<details><summary style="{look}">{html.escape(summary)}</summary>{inside}</details>'


def _pre(text: str) -> str:
    look = f"white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.5 {MONO};background:{WASH};color:{INK}"
    return f'<pre style="{look};padding:.6em;margin:.2em 0;text-align:left">{html.escape(text)}</pre>'
