"""Ids that the service made in production, and the ones it makes now: later requests must ask for the latter."""

from __future__ import annotations

import json
import re
from typing import Any

_TOKEN = re.compile(r"[A-Za-z0-9_-]{6,}")
_MOST = 200_000


class Names:
    """Learned by laying a recorded answer over the replayed one; used on what is asked next."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def learn(self, recorded: bytes, replayed: bytes) -> None:
        """Take note of every id that stands in the same place of both JSON bodies and differs."""
        if recorded == replayed or recorded[:1] not in b"{[" or len(self.known) > _MOST:
            return
        try:
            self._walk(json.loads(recorded), json.loads(replayed))
        except (ValueError, RecursionError):
            return

    def put(self, text: str) -> str:
        """Text with the recorded ids replaced by today's."""
        return _TOKEN.sub(self._named, text) if self.known else text

    def _named(self, found: re.Match[str]) -> str:
        return self.known.get(found[0], found[0])

    def _walk(self, recorded: Any, replayed: Any) -> None:
        if isinstance(recorded, dict) and isinstance(replayed, dict):
            for key in recorded.keys() & replayed.keys():
                self._walk(recorded[key], replayed[key])
        elif isinstance(recorded, list) and isinstance(replayed, list):
            for one, other in zip(recorded, replayed, strict=False):
                self._walk(one, other)
        elif isinstance(recorded, str) and isinstance(replayed, str) and _is_id(recorded) and _is_id(replayed):
            self.known[recorded] = replayed


def _is_id(text: str) -> bool:
    return _TOKEN.fullmatch(text) is not None and any(character.isdigit() for character in text)
