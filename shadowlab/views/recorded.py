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
Fields = Mapping[str, Any]


def recorded(recording: Fields) -> Page:
    """A recording as `replay.look.opened` gives it: plain values, secrets taken out; everything is escaped here."""
    parts = [
        _head(recording),
        _part("Request", _request(recording["request"])),
        _part("Message", _message(recording["message"])) if recording.get("message") else "",
        _part("Calls to others", _tape(recording["outbound"])) if recording.get("outbound") else "",
        _part("Database", _database(recording)) if recording.get("database") or recording.get("db_snapshot") else "",
        _part("Files read", _files(recording["files"])) if recording.get("files") else "",
        _part("Answer", _answer(recording)),
        _part("Around it", _around(recording)),
    ]
    style = f"font:14px/1.5 {SANS};text-align:left"
    return Page(f'<div class="recording" style="{style}">{"".join(parts)}</div>', f"recording {recording['summary']}")


def _head(recording: Fields) -> str:
    lacks = "".join(f"<li>{html.escape(what)}</li>" for what in recording.get("missing") or ())
    warning = (
        f"<p style='color:{VERMILLION}'><b>Cannot be replayed alone; it lacks</b></p><ul>{lacks}</ul>" if lacks else ""
    )
    what = "a control: it passed, and was drawn" if recording.get("control") else recording.get("kind", "")
    facts = (
        recording.get("service"),
        recording.get("time"),
        what,
        recording.get("commit") and f"commit {recording['commit'][:9]}",
    )
    line = " · ".join(html.escape(str(fact)) for fact in facts if fact)
    ids = f"recording {recording['id']}" + (f", trace {recording['trace_id']}" if recording.get("trace_id") else "")
    return (
        f"<h3 style='margin:.2em 0'><code>{html.escape(recording['summary'])}</code></h3>"
        f"<p style='{FAINT};margin:.2em 0'>{line}<br>{html.escape(ids)}</p>{warning}"
    )


def _part(title: str, content: str) -> str:
    return f"<h4 style='margin:1em 0 .3em;border-bottom:1px solid {RULE}'>{title}</h4>{content}"


def _request(request: Fields) -> str:
    query = f"?{request['query']}" if request.get("query") else ""
    rest = "<p>The service had not read the rest of its body.</p>" if request.get("unread") else ""
    line = f"<p style='margin:.2em 0'>{code(request['method'] + ' ' + request['path'] + query)}</p>"
    return line + _headers_and_body(request) + rest


def _message(message: Fields) -> str:
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
    rows = [(key.replace("_", " "), code(str(message[key]))) for key in names if message.get(key) is not None]
    return grid(("message", ""), rows, alt="message").html + _headers_and_body(message)


def _tape(calls: Sequence[Fields]) -> str:
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


def _database(recording: Fields) -> str:
    known = recording.get("database") or {}
    parts = [
        f"<p style='margin:.2em 0'>snapshot {name(recording['db_snapshot'][6:22])}…</p>"
        if recording.get("db_snapshot")
        else ""
    ]
    unknown = "".join(f"<li>{html.escape(str(what))}</li>" for what in known.get("incomplete") or ())
    parts.append("<p>Nothing was asked of it.</p>" if known.get("untouched") else "")
    parts.append(f"<p>Not known of its state:</p><ul>{unknown}</ul>" if unknown else "")
    parts += [_statement(*each) for each in _in_order(known)[:_MOST]]
    for table, rows in (known.get("rows") or {}).items():
        summary = f"rows of {table} as they were before: {len(rows)}"
        parts.append(_details(summary, _rows(sorted({key for row in rows for key in row}), rows)))
    return "".join(parts)


def _in_order(known: Fields) -> list[tuple[str, Fields]]:
    both = [("read", one) for one in known.get("reads") or ()] + [("write", one) for one in known.get("writes") or ()]
    return sorted(both, key=lambda pair: int(pair[1]["seq"]))


def _statement(kind: str, statement: Fields) -> str:
    count = statement.get("row_count")
    rows = [dict(zip(statement.get("columns") or (), row, strict=False)) for row in statement.get("rows") or ()]
    before = statement.get("before") or ()
    failed = f" · {statement['error'].get('type', 'error')}" if statement.get("error") else ""
    size = counted(len(rows) if count is None else count, "row")
    summary = f"{statement['seq']} {kind} · {size}{failed} · {statement['statement']}"
    parameters = statement.get("parameters")
    inside = "" if parameters is None else f"<p>parameters {code(str(parameters))}</p>"
    if rows:
        inside += _rows(list(statement["columns"]), rows)
    if before:
        inside += f"<p>before</p>{_rows(sorted({key for row in before for key in row}), before)}"
    return _details(summary, inside)


def _rows(columns: Sequence[str], rows: Sequence[Fields]) -> str:
    cells = [[code("null") if row.get(c) is None else str(row[c]) for c in columns] for row in rows[:_MOST]]
    more = f"<p>{len(rows) - _MOST} more rows are not shown.</p>" if len(rows) > _MOST else ""
    return grid(list(columns), cells, alt="rows").html + more


def _files(files: Sequence[Fields]) -> str:
    return "".join(
        _details(f"{file['path']} · {file['size']:,} bytes", _pre(file["text"][1])) for file in files[:_MOST]
    )


def _answer(recording: Fields) -> str:
    response, error = recording.get("response"), recording.get("error")
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


def _around(recording: Fields) -> str:
    environment = recording.get("environment") or {}
    values = environment.get("values") or {}
    rows: list[Sequence[object]] = [(code(key), code(str(values[key])) if key in values else "read, value not recorded")
            for key in sorted({*values, *(environment.get("read") or ())})]  # fmt: skip
    rows += [(code(f"flag {key}"), code(str(value))) for key, value in (recording.get("flags") or {}).items()]
    versions = recording.get("versions") or {}
    rows += [
        (key, code(str(versions[key]))) for key in ("python", "platform", "locale", "time_zone") if versions.get(key)
    ]
    gone = recording.get("redaction") or {}
    rows += [(f"taken out by rule {rule}", f"{count} values") for rule, count in gone.items()]
    return _details(f"environment, flags, versions · {len(rows)}", grid(("", ""), rows, alt="environment").html)


def _headers_and_body(part: Fields) -> str:
    return _fold("", part.get("headers"), part["text"])


def _fold(what: str, headers: Sequence[Sequence[str]] | None, body: tuple[int, str]) -> str:
    size, text = body
    lead = f"{what} " if what else ""
    folds = ""
    if headers:
        folds += _details(
            f"{lead}{counted(len(headers), 'header')}", _pre("\n".join(f"{key}: {value}" for key, value in headers))
        )
    return folds + (_details(f"{lead}body · {size:,} bytes", _pre(text)) if size else "")


def _details(summary: str, inside: str) -> str:
    css = f"cursor:pointer;font:12px/1.6 {MONO}"
    return f'<details><summary style="{css}">{html.escape(summary)}</summary>{inside}</details>'


def _pre(text: str) -> str:
    css = f"white-space:pre-wrap;overflow-wrap:anywhere;font:12px/1.5 {MONO};background:{WASH};color:{INK}"
    return f'<pre style="{css};padding:.6em;margin:.2em 0;text-align:left">{html.escape(text)}</pre>'
