"""Hear of exceptions that a framework answers with a 500 of its own, so that none comes out of the application."""

from __future__ import annotations

import sys
from typing import Any, Self


class Ear:
    """Listens to Flask's and Django's signal of an unhandled exception while its block runs."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def __enter__(self) -> Self:
        for signal in _signals():
            signal.connect(self._heard)
        return self

    def __exit__(self, *exc: object) -> None:
        for signal in _signals():
            signal.disconnect(self._heard)

    def _heard(self, sender: Any, **details: Any) -> None:
        # Flask tells the exception; Django tells the request, while the exception is the one at hand.
        error = details.get("exception") or sys.exc_info()[1]
        self.error = error if isinstance(error, Exception) else self.error


def _signals() -> list[Any]:
    places = ("flask", "django.core.signals")
    return [sys.modules[place].got_request_exception for place in places if place in sys.modules]
