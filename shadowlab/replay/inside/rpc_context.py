"""What a method of a gRPC server learns of its call, and says of its end, without grpcio's core."""

from __future__ import annotations

from typing import Any

from . import rpc
from .entry import Answer


class Aborted(Exception):
    """The service ended the call itself."""


class Context:
    """What a method learns of its call, and says of its end."""

    def __init__(self, metadata: tuple[rpc.Pair, ...]) -> None:
        self.number = 0
        self._metadata = metadata
        self._code: Any = None
        self._details: str = ""
        self._trailing: Any = ()

    def answer(self, content: bytes, error: Exception | None) -> Answer:
        headers = rpc.headers(self.number, self._details, self._trailing)
        return {"status": rpc.http_status(self.number), "headers": headers, "body": content, "error": error}

    def end(self, number: int, details: str) -> None:
        """The end that the server gives to a call; one that the method gave already stays."""
        if not self.number:
            self.number, self._details = number, details

    def invocation_metadata(self) -> tuple[rpc.Pair, ...]:
        return self._metadata

    def peer(self) -> str:
        return "ipv4:127.0.0.1:50000"

    def peer_identities(self) -> None:
        """Nobody proved who it is: certificates are not recorded."""

    peer_identity_key = peer_identities

    def auth_context(self) -> dict[str, Any]:
        return {}

    def is_active(self) -> bool:
        return True

    def time_remaining(self) -> float | None:
        return None

    def cancel(self) -> None:
        self.set_code(rpc.CANCELLED)

    def add_callback(self, callback: Any) -> bool:
        return True

    def set_compression(self, compression: Any) -> None:
        """What is on the wire is not looked at."""

    def disable_next_message_compression(self) -> None:
        """The same."""

    def send_initial_metadata(self, metadata: Any) -> Any:
        """Initial metadata is not part of the answer."""

    def set_trailing_metadata(self, metadata: Any) -> None:
        self._trailing = metadata

    def trailing_metadata(self) -> Any:
        return self._trailing

    def set_code(self, code: Any) -> None:
        self._code = code
        value = getattr(code, "value", code)
        self.number = int(value[0] if isinstance(value, tuple) else value)

    def code(self) -> Any:
        return self._code

    def set_details(self, details: Any) -> None:
        self._details = details.decode() if isinstance(details, bytes) else str(details)

    def details(self) -> str:
        return self._details

    def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> Any:
        self.set_code(code)
        self.number = self.number or rpc.UNKNOWN  # an abort is never OK
        self.set_details(details)
        self._trailing = trailing_metadata or self._trailing
        raise Aborted

    def abort_with_status(self, status: Any) -> Any:
        return self.abort(status.code, status.details, status.trailing_metadata)


class AioContext(Context):
    """The same, for methods that are awaited."""

    async def send_initial_metadata(self, metadata: Any) -> None:
        """Initial metadata is not part of the answer."""

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> None:
        super().abort(code, details, trailing_metadata)

    def add_done_callback(self, callback: Any) -> None:
        """The call is over when the replay is."""

    def done(self) -> bool:
        return False

    cancelled = done
