"""Unpack what the collector's file exporter packs message by message: four bytes of length, then a zstd frame.

With `compression: zstd` it does so to JSON as well as to protobuf. What comes out are the lines, or the messages behind
their lengths, that it writes without compression.
"""

from __future__ import annotations

from typing import Final, Protocol

ZSTD: Final = b"\x28\xb5\x2f\xfd"
_LENGTH: Final = 4
_LONGEST: Final = 64 << 20
"""Bytes of a message, packed or not."""


class _Source(Protocol):
    def peek(self, size: int) -> bytes: ...
    def read(self, size: int) -> bytes: ...


def is_framed(head: bytes) -> bool:
    """Whether a file that starts with these eight bytes is such a stream."""
    return head[_LENGTH:] == ZSTD and len(ZSTD) < int.from_bytes(head[:_LENGTH], "big") <= _LONGEST


class Framed:
    """Such a stream, unpacked."""

    def __init__(self, packed: _Source) -> None:
        self._packed = packed
        self._number = 0
        self._ahead = b""

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end. Raises `OSError` for a message that is damaged, cut off or too large."""
        if not self._ahead and self._packed.peek(1):
            self._number += 1
            self._ahead = self._message()
        block, self._ahead = self._ahead[:size], self._ahead[size:]
        return block

    def _message(self) -> bytes:
        length = int.from_bytes(self._whole(_LENGTH), "big")
        if length > _LONGEST:
            raise OSError(f"message {self._number} says that it is {length:,} bytes long")
        message = self._unpacked(self._whole(length))
        if message.lstrip()[:1] == b"{":
            return message.replace(b"\n", b" ") + b"\n"
        return len(message).to_bytes(_LENGTH, "big") + message

    def _whole(self, size: int) -> bytes:
        told = b""
        while len(told) < size and (block := self._packed.read(size - len(told))):
            told += block
        if len(told) < size:
            raise OSError(f"the file ends within message {self._number}")
        return told

    def _unpacked(self, told: bytes) -> bytes:
        import pyarrow

        try:
            message = bytes(pyarrow.CompressedInputStream(pyarrow.BufferReader(told), "zstd").read(_LONGEST + 1))
        except OSError as exc:
            raise OSError(f"message {self._number}: {exc}") from exc
        if len(message) > _LONGEST:
            raise OSError(f"message {self._number} unpacks to more than {_LONGEST >> 20} MiB")
        return message
