"""Rows of SQLite that went to the service."""

from __future__ import annotations

import sqlite3
from typing import Any

from shadowlab_recorder.database import ROWS_LIMIT
from shadowlab_recorder.plain import plain
from shadowlab_recorder.room import Room


class Fetched:
    """Rows that went to the service, kept as they are until they are wanted."""

    __slots__ = ("cut", "kept", "room")

    def __init__(self, room: Room | None) -> None:
        self.kept: list[tuple[Any, ...]] = []
        self.cut = False
        self.room = room

    def add(self, row: tuple[Any, ...]) -> None:
        size = 56 + 16 * len(row)
        for value in row:
            if type(value) is str or type(value) is bytes:
                size += len(value)
        room = self.room
        if len(self.kept) >= ROWS_LIMIT:
            self.cut = True
        elif room is None or room.used + size <= room.granted:
            if room is not None:
                room.used += size
            self.kept.append(row)
        elif room.take(size) == size:
            self.kept.append(row)
        else:
            self.cut = True

    def has(self, places: tuple[int, ...], wanted: list[str]) -> bool:
        for row in self.kept:
            for place, value in zip(places, wanted, strict=True):
                if str(row[place]) != value:
                    break
            else:
                return True
        return False

    def rows(self) -> list[tuple[Any, ...]]:
        return [tuple(_value(value) for value in row) for row in self.kept]


def _value(value: Any) -> Any:
    """A value as SQLite holds it: what a converter made of it is turned back by the adapter of its type."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return {"real": str(value)}
    if not isinstance(value, (type(None), int, float, str, bytes)):
        value = sqlite3.adapt(value, sqlite3.PrepareProtocol, str(value))
    return plain(value)[0]
