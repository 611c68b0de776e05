"""Take one request, whatever the transport: parse it, wait for the disk, say what was kept."""

from __future__ import annotations

import asyncio
import errno
import hmac
from dataclasses import dataclass
from typing import Final

from shadowlab.telemetry.receiver import bodies, log
from shadowlab.telemetry.receiver.bodies import Encoding, Parsed, Signal
from shadowlab.telemetry.receiver.commit import Committer
from shadowlab.telemetry.receiver.refusal import Refused
from shadowlab.telemetry.receiver.status import Status

_SMALL: Final = 256 << 10
"""Bodies above this are unpacked and parsed in a thread, so that the others are answered meanwhile."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much is taken; bytes and seconds."""

    body: int = 20 << 20
    """Of one request as it is sent."""
    unpacked: int = 64 << 20
    """Of one request, unpacked."""
    in_flight: int = 96 << 20
    """Of all requests that are being read or wait for the disk."""
    log: int = 512 << 20
    """Of log that no segment holds yet."""
    retry_s: int = 2
    """After which a client is asked to try again."""
    interval_s: float = 1.0
    """Between two turns of the log into segments; what is younger shows in the log only."""


class Intake:
    """The one way in; used from the event loop."""

    def __init__(self, committer: Committer, status: Status, limits: Limits, token: str | None) -> None:
        self.committer, self.status, self.limits = committer, status, limits
        self._token = token.encode() if token else None
        self.open = True
        self.active = 0
        """Requests that are being taken."""
        self._reading = 0

    def admit(self, authorization: str | None) -> None:
        """Before a body is read: is the sender known, and is there room? Raises `Refused`."""
        wanted = b"Bearer " + self._token if self._token else b""
        if wanted and not hmac.compare_digest((authorization or "").encode(errors="replace"), wanted):
            raise Refused.stranger()
        if not self.open:
            raise Refused.unavailable("the receiver is leaving", 1)
        if self.status.log_bytes > self.limits.log:
            raise Refused.busy("the log is longer than can be stored now", self.limits.retry_s)
        if self._reading + self.committer.waiting > self.limits.in_flight:
            raise Refused.busy("too many requests at once", self.limits.retry_s)

    def reading(self, size: int) -> None:
        """Count bytes of a request that are in memory; negative when they are let go."""
        self._reading += size

    async def take(self, signal: Signal, encoding: Encoding, body: bytes, coding: str = "") -> Parsed:
        """Keep a request; returns when it is on the disk. Raises `Refused`."""
        self.active += 1
        try:
            return await self._take(signal, encoding, body, coding)
        finally:
            self.active -= 1

    async def _take(self, signal: Signal, encoding: Encoding, body: bytes, coding: str) -> Parsed:
        if len(body) > _SMALL:
            parsed = await asyncio.get_running_loop().run_in_executor(None, self._parse, signal, encoding, body, coding)
        else:
            parsed = self._parse(signal, encoding, body, coding)
        if parsed.body:
            await self._commit(log.packed(parsed.kind, parsed.body))
        self.status.acknowledged(signal.value, parsed.records, parsed.rejected)
        return parsed

    def _parse(self, signal: Signal, encoding: Encoding, body: bytes, coding: str) -> Parsed:
        return bodies.parse(signal, encoding, bodies.unpack(body, coding, self.limits.unpacked))

    async def _commit(self, record: bytes) -> None:
        try:
            await asyncio.wrap_future(self.committer.submit(record))
        except OSError as exc:
            self.status.healthy = False
            what = "the disk is full" if exc.errno in _FULL else f"the log cannot be written: {exc.strerror}"
            raise Refused.unavailable(what, self.limits.retry_s) from exc
        self.status.healthy = True
        self.status.waiting_bytes = self.committer.waiting
