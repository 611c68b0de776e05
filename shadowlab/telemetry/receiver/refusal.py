"""Why a request is not taken, in the words of HTTP, of gRPC and of people."""

from __future__ import annotations

from typing import Self


class Refused(Exception):
    """Internal to the receiver: turned into an answer, never seen by a caller of `receive`."""

    def __init__(self, status: int, code: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.retry_after = retry_after
        """Seconds after which to try again; `None` when trying again is no use."""

    @classmethod
    def bad(cls, message: str) -> Self:
        """No OTLP: 400, INVALID_ARGUMENT."""
        return cls(400, 3, message)

    @classmethod
    def too_large(cls, message: str) -> Self:
        """413, RESOURCE_EXHAUSTED without a time to try again."""
        return cls(413, 8, message)

    @classmethod
    def unsupported(cls, message: str) -> Self:
        """415, UNIMPLEMENTED."""
        return cls(415, 12, message)

    @classmethod
    def stranger(cls) -> Self:
        """401, UNAUTHENTICATED."""
        return cls(401, 16, "a bearer token is needed")

    @classmethod
    def busy(cls, message: str, retry_after: int) -> Self:
        """429, RESOURCE_EXHAUSTED with a time to try again."""
        return cls(429, 8, message, retry_after)

    @classmethod
    def unavailable(cls, message: str, retry_after: int) -> Self:
        """503, UNAVAILABLE."""
        return cls(503, 14, message, retry_after)
