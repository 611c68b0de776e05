"""What pagers send: PagerDuty's webhooks v3 and Alertmanager's, over HTTP, from senders who know the secret."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from shadowlab import errors

LARGEST: Final = 1 << 20
"""Bytes of a body; larger ones are refused."""
_SERVICE_LABELS: Final = ("service_name", "service", "job")
_TIMEOUT_S: Final = 10
_LINGER_S: Final = 0.5
_PIECE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Page:
    """A service that somebody was paged for, and when it began."""

    key: str
    """`pagerduty:ID` or `alertmanager:FINGERPRINT:START`: the same incident has the same key."""
    service: str
    at: datetime


def read(body: bytes) -> tuple[Page, ...]:
    """The pages of a payload; none for what is over, acknowledged or a test. Raises `UsageError` for anything else."""
    try:
        document = json.loads(body)
        match document:
            case {"event": {"event_type": str(kind), "data": {"type": "incident"} as data, "occurred_at": str(at)}}:
                return (_pagerduty(data, at),) if kind == "incident.triggered" else ()
            case {"event": {"event_type": str()}}:
                return ()
            case {"alerts": list(alerts), "version": str()}:
                firing = [alert for alert in alerts if alert.get("status") == "firing"]
                return tuple(_alertmanager(alert) for alert in firing[:100])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise errors.UsageError(
        "no payload of PagerDuty's webhooks v3 or of Alertmanager's", hint="see docs/watch.md for what is read"
    )


def _pagerduty(data: Mapping[str, Any], at: str) -> Page:
    return Page(f"pagerduty:{_text(data['id'])}", _text(data["service"]["summary"]), _time(data.get("created_at", at)))


def _alertmanager(alert: Mapping[str, Any]) -> Page:
    labels, start = alert["labels"], _text(alert["startsAt"])
    service = next(_text(labels[name]) for name in _SERVICE_LABELS if name in labels)
    return Page(f"alertmanager:{_text(alert['fingerprint'])}:{start}", service, _time(start))


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or not value.isprintable():
        raise ValueError
    return value


def _time(text: object) -> datetime:
    moment = datetime.fromisoformat(_text(text))
    if moment.tzinfo is None:
        raise ValueError
    return moment.astimezone(UTC)


def signed(body: bytes, headers: Mapping[str, str], secret: bytes) -> bool:
    """Whether the sender knows the secret: PagerDuty signs the body (HMAC-SHA256), Alertmanager sends it as a bearer.

    Source: PagerDuty, "Webhook signatures": `X-PagerDuty-Signature: v1=HEX[,v1=HEX]`.
    """
    given = headers.get("X-PagerDuty-Signature", "")
    if given:
        wanted = "v1=" + hmac.new(secret, body, hashlib.sha256).hexdigest()
        signatures: Sequence[str] = given.split(",")[:10]
        return any(hmac.compare_digest(one.strip().encode(), wanted.encode()) for one in signatures)
    bearer = headers.get("Authorization", "")
    return hmac.compare_digest(bearer.encode("utf-8", "replace"), b"Bearer " + secret)


class Listener:
    """An HTTP server for one path, `/`, in threads; `take` is called with each page before the sender is answered."""

    def __init__(self, host: str, port: int, secret: bytes, take: Callable[[Page], None]) -> None:
        handler = type("Handler", (_Handler,), {"secret": secret, "take": staticmethod(take)})
        try:
            self._server = http.server.ThreadingHTTPServer((host, port), handler)
        except OSError as exc:
            raise errors.UsageError(
                f"cannot listen on {host}:{port}: {exc.strerror}", hint="name another port, or 0 for a free one"
            ) from exc
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        self._thread = threading.Thread(target=self._server.serve_forever, name="shadowlab-webhook", daemon=True)

    def __enter__(self) -> Listener:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    secret: bytes
    take: Callable[[Page], None]
    timeout = _TIMEOUT_S
    server_version, sys_version = "shadowlab", ""

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            self._answer(413 if length.isdecimal() else 411, f"a body of at most {LARGEST} bytes, with its length")
            self._linger()
            return
        body = self.rfile.read(int(length))
        if not signed(body, self.headers, self.secret):  # type: ignore[arg-type]  # a Message is a mapping of its headers
            self._answer(401, "the signature is missing, or not made with the secret given")
            return
        try:
            pages = read(body)
        except errors.UsageError as exc:
            self._answer(400, str(exc.args[0]))
            return
        try:
            for page in pages:
                self.take(page)
        except errors.ShadowlabError as exc:  # not kept: the sender tries again
            self._answer(503, str(exc.args[0]))
            return
        self._answer(202, f"{len(pages)} taken")

    def _answer(self, status: int, message: str) -> None:
        content = json.dumps({"message": message}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _linger(self) -> None:
        """Read a little of what is still being sent: a connection closed on unread bytes takes the answer with it."""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(_LINGER_S)
        for _ in range(4 * LARGEST // _PIECE):
            if not self.rfile.read1(_PIECE):
                return

    def log_message(self, *_: object) -> None:
        """Nothing: what is sent belongs in no log."""
