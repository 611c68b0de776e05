"""A body as it goes by."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shadowlab_recorder.room import Room

MOST_PIECES = 256
"""Of a body that came in more, their lengths are not kept."""


class Body:
    """A body in pieces: the first `limit` bytes, and the digest and size of all of it."""

    size = 0
    kept = 0
    ended = False
    """Whether the last byte went by."""
    form: Any = None
    """The class of the Protocol Buffers message that it is."""
    _digest: Any = None

    def __init__(self, limit: int, room: Room | None = None) -> None:
        self.limit = limit
        self._room = room
        self._pieces: list[bytes] = []

    def add(self, piece: bytes) -> None:
        size = len(piece)
        self.size += size
        taken = 0
        if self._digest is None:
            taken = min(size, self.limit - self.kept)
            if self._room is not None:
                taken = self._room.take(taken)
            if taken == size:
                self._pieces.append(piece if type(piece) is bytes else bytes(piece))
                self.kept += size
                return
        self._cut(piece, taken)

    def _cut(self, piece: bytes, kept: int) -> None:
        """From the first byte that is not kept on, nothing is, and the digest goes along."""
        if self._digest is None:
            self._pieces.append(bytes(piece[:kept]))
            self.kept += kept
            self._digest = hashlib.sha256(b"".join(self._pieces))
            piece = piece[kept:]
        self._digest.update(piece)

    @property
    def cut(self) -> bool:
        return self.size > self.kept

    def bytes(self) -> bytes:
        return b"".join(self._pieces)

    def pieces(self) -> list[int]:
        """The lengths of its pieces, if there are some of them and not very many."""
        lengths = [len(piece) for piece in self._pieces if piece]
        return lengths if 1 < len(lengths) <= MOST_PIECES and not self.cut else []

    def sha256(self) -> str:
        """Of the whole body, the part beyond the limit included."""
        digest = hashlib.sha256(self.bytes()) if self._digest is None else self._digest
        return str(digest.hexdigest())
