"""A failing request as it might have come at another time, under other ids, or to another host: a cure must not mind.

A metamorphic relation (Chen et al., "Metamorphic testing", 1998): where the failure does not mind the move, its cure
must not mind it either. Where the service without the patch no longer fails in the same way, nothing is compared.
"""

from __future__ import annotations

import hashlib
import string
from collections.abc import Callable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Final

import msgspec

from shadowlab.replay import Fixture, Hooks

_LATER: Final = timedelta(days=3 * 365, hours=7, minutes=13)
_KINDS: Final = (string.digits, "abcdef", string.ascii_lowercase, string.ascii_uppercase)
"""Letters that stand for each other; a hexadecimal number stays one."""
_LEAST_DIGITS: Final = 4
"""A header's value with fewer is a name, a length or a version, and no id."""


def at_another_time(fixture: Fixture) -> Fixture:
    """The same request three years later."""
    return msgspec.structs.replace(fixture, time=(fixture.at + _LATER).isoformat())


def under_other_ids(fixture: Fixture) -> Fixture:
    """The same request with another recording's name, trace, seed and ids in its headers, letter for letter alike."""
    headers = tuple((name, _other(value) if _is_id(name, value) else value) for name, value in fixture.request.headers)
    return msgspec.structs.replace(
        fixture,
        request=msgspec.structs.replace(fixture.request, headers=headers),
        trace_id=fixture.trace_id and _other(fixture.trace_id),
        span_id=fixture.span_id and _other(fixture.span_id),
        rand_seed=fixture.rand_seed + 1,
    )


MOVES: Final[Mapping[str, Callable[[Fixture], Fixture]]] = MappingProxyType(
    {"at another time": at_another_time, "under other ids": under_other_ids}
)
"""By what is said of them."""
ON_ANOTHER_HOST: Final = "on another host"
ELSEWHERE: Final = Hooks(elsewhere=True)
"""How the request itself is replayed on another host: that takes a fork server of its own."""


def _is_id(name: str, value: str) -> bool:
    named = name.lower().endswith(("-id", "-key", "traceparent"))
    return named and sum(letter.isdigit() for letter in value) >= _LEAST_DIGITS


def _other(text: str) -> str:
    """Another text of the same length and kinds of letters, always the same for the same text."""
    draws = hashlib.shake_128(text.encode("utf-8", "surrogatepass")).digest(len(text))
    return "".join(_letter(letter, number) for letter, number in zip(text, draws, strict=True))


def _letter(letter: str, number: int) -> str:
    kind = next((kind for kind in _KINDS if letter in kind), letter)
    return kind[number % len(kind)]
