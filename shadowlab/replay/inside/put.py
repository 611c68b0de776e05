"""Put a function of ours in the place of one of theirs."""

from __future__ import annotations

from typing import Any


def put(owner: Any, **functions: Any) -> None:
    """Set each name of `owner`, a module or a class, to the function given for it."""
    for name, function in functions.items():
        setattr(owner, name, function)
