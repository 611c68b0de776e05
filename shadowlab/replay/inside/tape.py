"""The request's own ordered tape of calls: which recorded one answers, and when its answer comes."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import threading
from collections.abc import Callable
from typing import Any

from .clock import Clock
from .urls import bare, split

NOT_ENDED = "the call had not ended when it was recorded"
_LONG_S = 3600.0
_NEAREST = 3
_lock = threading.Lock  # as it is before threads take turns: nothing in here hands a turn on
_HOP = {"content-encoding", "transfer-encoding", "content-length", "connection", "keep-alive"}


class Tape:
    """One recording's outbound calls; each is used once, but for stubs, which last."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._calls: list[dict[str, Any]] = []
        self._used: list[bool] = []
        self._began_ns = 0
        self.log: list[dict[str, Any]] = []
        self.unrecorded: list[str] = []
        self._choosing = _lock()
        self.at_once = False
        """Whether answers that a loop waits for are all there at once, so that a schedule decides which is first."""

    def insert(self, calls: list[dict[str, Any]]) -> None:
        """Begin with the calls of one recording."""
        self._calls = sorted(calls, key=lambda call: call.get("seq", 0))
        self._used = [False] * len(calls)
        self._began_ns = self._clock.monotonic_ns
        self.log, self.unrecorded = [], []
        self._choosing = _lock()  # whoever chose when this process was forked does not let go of it here

    def unused(self) -> list[str]:
        """Recorded calls that were not made this time."""
        return [
            f"{call['method']} {bare(call['url'])}"
            for call, used in zip(self._calls, self._used, strict=True)
            if not used and not call.get("lasting")
        ]

    def answer(
        self, method: str, url: str, body: bytes, *, fits: Callable[[dict[str, Any]], bool] = lambda call: True
    ) -> dict[str, Any] | None:
        """The recorded call that this one stands for: same method, URL and body first, then method and URL in order.

        `fits`: whether a call with this method and URL is about the same thing, where the URL does not say.
        """
        with self._choosing:
            return self._answer(method, url, body, fits)

    def _answer(
        self, method: str, url: str, body: bytes, fits: Callable[[dict[str, Any]], bool]
    ) -> dict[str, Any] | None:
        digest = hashlib.sha256(body).hexdigest()
        free = [i for i, used in enumerate(self._used) if not used]
        same = [i for i in free if _fits(self._calls[i], method, url) and fits(self._calls[i])]
        exact = [i for i in same if self._calls[i].get("request_body_sha256") == digest]
        exact = exact or [i for i in same if _alike(self._calls[i], body)]
        loose = [i for i in same if not _particular(self._calls[i])]
        entry = {"method": method.upper(), "url": url, "body_sha256": digest, "body_same": bool(exact)}
        if not same:
            line = f"nothing was recorded for {method.upper()} {bare(url)}; nearest: {self._nearest(method, url, fits)}"
            self.unrecorded.append(line)
            self.log.append({**entry, "status": None, "unrecorded": True})
            return None
        at = (exact or loose or same)[0]
        call = self._calls[at]
        self._used[at] = not call.get("lasting")
        self.log.append({**entry, "status": call.get("status"), "error": (call.get("error") or {}).get("type")})
        return call

    def left_ns(self, call: dict[str, Any]) -> int:
        """How long until the answer comes: at the recorded moment, or as long as it took when the call is made later.

        So answers to calls that were under way at the same time keep their order.
        """
        if call.get("started_ms") is None:
            return elapsed_ns(call)
        early = int(call["started_ms"] * 1e6) - (self._clock.monotonic_ns - self._began_ns)
        return elapsed_ns(call) + max(early, 0)

    async def come(self, call: dict[str, Any]) -> None:
        """Wait until the answer comes; one that had not come leaves the service's own limits an hour."""
        if not ended(call):
            await asyncio.sleep(_LONG_S)
        else:
            await asyncio.sleep(0 if self.at_once else self.left_ns(call) / 1e9)

    def _nearest(self, method: str, url: str, fits: Callable[[dict[str, Any]], bool]) -> str:
        if not self._calls:
            return "the recording holds no outbound call"
        ranked = sorted(
            zip(self._calls, self._used, strict=True),
            key=lambda pair: _distance(pair[0], method, url) + pair[1] * 0.5 + (not fits(pair[0])) * 0.7,
        )
        return ", ".join(_differs(call, used, method, url, fits(call)) for call, used in ranked[:_NEAREST])


def _fits(call: dict[str, Any], method: str, url: str) -> bool:
    if call["method"].upper() not in (method.upper(), "ANY"):
        return False
    if pattern := call.get("pattern"):
        return re.fullmatch(pattern, url) is not None
    return _same(call["url"], url)


def _alike(call: dict[str, Any], body: bytes) -> bool:
    """Whether a stub asks for this body as JSON, however it is written."""
    if call.get("request_body_sha256") or call.get("request_body") is None:
        return False
    recorded, encoding = call["request_body"], call["request_body_encoding"]
    try:
        return _holds(json.loads(body), json.loads(recorded) if encoding == "utf-8" else recorded)
    except (ValueError, RecursionError):
        return False


def _holds(actual: Any, expected: Any) -> bool:
    """Whether JSON is what was asked for; an object may hold more, as where extra elements are ignored."""
    if isinstance(actual, dict) and isinstance(expected, dict):
        return all(key in actual and _holds(actual[key], value) for key, value in expected.items())
    if isinstance(actual, list) and isinstance(expected, list):
        return len(actual) == len(expected) and all(map(_holds, actual, expected))
    return bool(actual == expected)


def _particular(call: dict[str, Any]) -> bool:
    """Whether a stub asks for a body: before it comes one that takes any."""
    return bool(call.get("lasting") and call.get("request_body") is not None)


def _same(recorded: str, url: str) -> bool:
    if recorded == url:
        return True
    # A query that was redacted when it was recorded cannot be compared: the path decides.
    return "redacted" in recorded and bare(recorded) == bare(url)


def _distance(call: dict[str, Any], method: str, url: str) -> float:
    theirs, ours = split(call["url"]), split(url)
    weights = {1.0: call["method"].upper() != method.upper(), 2.0: theirs.netloc != ours.netloc,
               1.1: theirs.path != ours.path, 0.5: theirs.query != ours.query}  # fmt: skip
    return sum(weight for weight, differs in weights.items() if differs)


def _differs(call: dict[str, Any], used: bool, method: str, url: str, fits: bool) -> str:
    theirs, ours = split(call["url"]), split(url)
    parts = [
        name
        for name, a, b in (
            ("method", call["method"].upper(), method.upper()),
            ("host", theirs.netloc, ours.netloc),
            ("path", theirs.path, ours.path),
            ("query", theirs.query, ours.query),
            ("key", fits, True),
        )
        if a != b
    ]
    why = f"{' and '.join(parts)} differ" if parts else ""
    why = "; ".join(filter(None, (why, "used already" if used else "")))
    return f"{call['method'].upper()} {bare(call['url'])} ({why})"


def headers_of(call: dict[str, Any]) -> list[tuple[str, str]]:
    # The body was recorded decoded, so what describes its transfer must go.
    return [(name, value) for name, value in call.get("headers", []) if name.lower() not in _HOP]


def content_of(call: dict[str, Any]) -> bytes:
    body, encoding = call.get("body"), call.get("body_encoding", "none")
    if encoding == "json":
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    if encoding == "utf-8":
        return str(body).encode("utf-8", "surrogatepass")
    return base64.b64decode(str(body)) if encoding == "base64" else b""


def ended(call: dict[str, Any]) -> bool:
    """Whether a recorded call had come to an answer or an error when the request ended, or gave it up."""
    return bool(call.get("error")) or call.get("status") is not None


def broken(call: dict[str, Any]) -> dict[str, str] | None:
    """The recorded error, `type` and `message`: without a type for a call that had not ended, None for an answer."""
    error: dict[str, str] | None = call.get("error")
    return error or (None if ended(call) else {"type": "", "message": NOT_ENDED})


def elapsed_ns(call: dict[str, Any]) -> int:
    return int(call.get("elapsed_ms", 0.0) * 1e6)


def error_kind(
    module: Any, failure: dict[str, str], base: type[Exception], fallback: type[Exception]
) -> type[Exception]:
    """The client's own exception of the recorded name."""
    found = getattr(module, failure["type"].rpartition(".")[2], None)
    return found if isinstance(found, type) and issubclass(found, base) else fallback
