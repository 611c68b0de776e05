"""Write a tape down as a recording: fixture v1, described by `recording.schema.json`."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any

from shadowlab_recorder import commands, database, database_document, database_unseen, database_untouched, protobuf
from shadowlab_recorder.body import Body
from shadowlab_recorder.redaction import Redacted, Redaction
from shadowlab_recorder.tape import Exchange, Tape

SCHEMA = "shadowlab.recording/v1"
_EXACT = 2**53


def document(
    tape: Tape, redaction: Redaction, *, service: Mapping[str, Any], blob: str | None, pause: Callable[[], None]
) -> dict[str, Any]:
    """The recording as JSON; `service` holds what is the same for all recordings of a process.

    `pause` is called between small pieces of the work.
    """
    clean = Redacted(redaction, pause=pause)
    if tape.held is not None and tape.log is None:
        tape.log = database.Log("postgresql", "", None)
    if tape.held is not None and tape.log is not None:
        tape.log.dumped = tape.held.dump(tape.log.names())
    made = _document(tape, clean, service, blob)
    return _document(tape, Redacted(redaction, clean, pause), service, blob) if clean.took else made


def _document(tape: Tape, clean: Redacted, service: Mapping[str, Any], blob: str | None) -> dict[str, Any]:
    clean.learn(tape.request_headers, tape.response_headers)
    clean.learn(*(headers for each in tape.outbound for headers in (each.request_headers, each.headers)))
    query = clean.query(tape.query)
    values = {name: clean.value(name, value) for name, value in service["environment"].items()}
    made = {
        "schema": SCHEMA,
        "id": tape.id,
        "service": service["name"],
        "kind": tape.kind,
        "service_version": service["version"],
        "commit": service["commit"],
        "trace_id": tape.trace_id,
        "span_id": tape.span_id,
        "request": {
            "method": tape.method,
            "path": clean.text(tape.path),
            "query": clean.text(query),
            "headers": clean.headers(tape.request_headers),
            **_asked(tape, protobuf.cleaned(tape.request_body, clean)),
        },
        "time": timestamp(tape.time_ns),
        "monotonic_ns": tape.monotonic_ns,
        "rand_seed": tape.rand_seed(),
        "db_snapshot": blob,
        "db_environment": service["db_environment"],
        "outbound": [_exchange(each, tape.began, clean) for each in tape.numbered()],
        "environment": {
            "read": sorted(tape.environment_read),
            "unset": sorted(name for name, was_set in tape.environment_read.items() if not was_set),
            "values": values,
        },
        "flags": {name: clean.value(name, v) if isinstance(v, str) else v for name, v in tape.flags.items()},
        "versions": service["versions"],
        "response": _response(tape, clean),
        "error": _error(tape.error, clean),
        "control": tape.control,
        "truncated": truncated(tape),
    }
    if tape.log is not None:
        made["database"] = database_document.document(tape.log, clean.cell, clean.text)
    elif untouched := database_untouched.document(tape, service["db_environment"]):
        made["database"] = untouched
    if tape.files:
        made["files"] = [_file(path, body, clean) for path, body in tape.files.values()]
    if tape.draws_size:
        urandom = base64.b64encode(b"".join(tape.draws)).decode()
        lengths = [len(each) for each in tape.draws]
        made["randomness"] = {"urandom": urandom, "draws": lengths, "cut": tape.draws_size > sum(lengths)}
    made |= _called(tape, clean)
    return made | {"redaction": clean.report()}


def encoded(body: bytes) -> dict[str, Any]:
    """`body` and `body_encoding`: JSON where that gives the bytes back, else text, else base64."""
    if not body:
        return {"body": None, "body_encoding": "none"}
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return {"body": base64.b64encode(body).decode(), "body_encoding": "base64"}
    try:
        value = json.loads(text, parse_constant=_refused, parse_int=_exact_int, parse_float=_exact_float)
        same = json.dumps(value, separators=(",", ":"), ensure_ascii=False) == text
    except (ValueError, RecursionError):
        same = False
    return {"body": value, "body_encoding": "json"} if same else {"body": text, "body_encoding": "utf-8"}


def timestamp(ns: int) -> str:
    """RFC 3339 in UTC with nine fractional digits."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def truncated(tape: Tape) -> list[str]:
    """The parts that were cut or could not be had; with any of them the recording cannot be replayed."""
    parts = {
        "request.body": tape.request_body.cut or not _whole(tape.request_body, tape.request_headers),
        "response.body": tape.response_body.cut,
        "outbound": tape.outbound_lost,
        "db_snapshot": tape.snapshot_lost,
        "call": tape.call_lost,
        "files": tape.files_lost,
    }
    parts |= {f"files[{path}]": body.cut for path, body in tape.files.values()}
    for each in tape.outbound:
        parts[f"outbound[{each.seq}].request_body"] = each.request_body.cut
        answered = each.status is not None and each.error is None
        parts[f"outbound[{each.seq}].body"] = each.body.cut or (answered and not _whole(each.body, each.headers))
    return [*(name for name, cut in parts.items() if cut), *sorted(tape.unseen | database_unseen.somewhere)]


def _whole(body: Body, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether all of a body that its headers announce went by."""
    announced = {name.lower(): value for name, value in headers}
    if body.ended:
        return True
    length = announced.get(b"content-length", b"0")
    return b"transfer-encoding" not in announced and length.isdigit() and int(length) <= body.size


def _asked(tape: Tape, clean: bytes) -> dict[str, Any]:
    """The request's body; in which pieces it came, and whether the service left some of it unread."""
    made, body = encoded(clean), tape.request_body
    if tape.kind == "asgi" and clean == body.bytes() and (pieces := body.pieces()):
        made["pieces"] = pieces
    if tape.kind in ("asgi", "wsgi") and _unread(tape):
        made["unread"] = True
    return made


def _unread(tape: Tape) -> bool:
    """Whether the service never asked for the rest of its body: by its length, or in ASGI by its last piece."""
    body, announced = tape.request_body, {name.lower(): value for name, value in tape.request_headers}
    if body.cut or body.ended or tape.body_lost:
        return False
    if b"transfer-encoding" in announced:
        return tape.kind == "asgi"  # a stream of WSGI does not say where a body in chunks ends
    length = announced.get(b"content-length", b"")
    return length.isdigit() and len(length) < 16 and int(length) > body.size


def _file(path: str, body: Body, clean: Redacted) -> dict[str, Any]:
    return {"path": path, "sha256": body.sha256(), "size": body.size, **encoded(clean.body(body.bytes()))}


def _called(tape: Tape, clean: Redacted) -> dict[str, Any]:
    """`call` of a function, and `message` of a consumer."""
    made: dict[str, Any] = {}
    if tape.call is not None:
        given = json.loads(clean.body(tape.call["text"].encode()))
        made["call"] = {"target": tape.call["target"], **given, "lossy": tape.call["lossy"]}
        if "system" in tape.call:
            made["call"]["system"] = tape.call["system"]
    if tape.message is not None:
        message = tape.message
        made["message"] = {
            "system": message.system,
            "shape": message.shape,
            "argument": message.argument,
            "topic": message.topic,
            "partition": message.partition,
            "offset": message.offset,
            "key": message.key and clean.text(message.key),
            "timestamp_ms": message.timestamp_ms,
            "headers": [[name, clean.value(name, value)] for name, value in message.headers],
            "idempotency_key": message.idempotency_key and clean.text(message.idempotency_key),
            "redelivered": message.redelivered,
            "exchange": message.exchange,
            "methods": message.methods,
            "text": message.text,
            **encoded(clean.body(message.payload)),
        }
    return made


def _response(tape: Tape, clean: Redacted) -> dict[str, Any] | None:
    if tape.status is None:
        return None
    headers = clean.headers(tape.response_headers)
    return {"status": tape.status, "headers": headers, **encoded(protobuf.cleaned(tape.response_body, clean))}


def _exchange(each: Exchange, began: float, clean: Redacted) -> dict[str, Any]:
    if each.client == "redis":
        sent, answered = commands.cleaned(each.method, each.request_body.bytes(), each.body.bytes(), clean)
    else:
        sent, answered = protobuf.cleaned(each.request_body, clean), protobuf.cleaned(each.body, clean)
    request = encoded(sent)
    error = {"type": each.error[0], "message": clean.text(each.error[1])} if each.error else None
    return {
        "seq": each.seq,
        "client": each.client,
        "method": each.method,
        "url": clean.url(each.url),
        "request_headers": clean.headers(each.request_headers),
        "request_body": request["body"],
        "request_body_encoding": request["body_encoding"],
        "request_body_sha256": each.request_body.sha256(),
        "status": each.status,
        "headers": clean.headers(each.headers),
        **encoded(answered),
        "started_ms": round(max(each.started - began, 0.0) * 1000, 3),
        "elapsed_ms": each.elapsed_ms,
        "error": error,
    }


def _error(error: dict[str, Any] | None, clean: Redacted) -> dict[str, Any] | None:
    return error and {**error, "message": clean.text(error["message"])}


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _exact_int(digits: str) -> int:
    if len(digits) > 16 or abs(int(digits)) > _EXACT:
        raise ValueError("a number that other readers of JSON would round")
    return int(digits)


def _exact_float(digits: str) -> float:
    """A float that every writer of JSON writes in the same way: `10.0` and `1e-7` are not among them."""
    value = float(digits)
    if value.is_integer() or not 1e-4 <= abs(value) < 1e16:
        raise ValueError("a number that other writers of JSON would write differently")
    return value
