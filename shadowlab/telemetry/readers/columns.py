"""Numbers and ids of OTLP/JSON as the columns of the staging tables hold them; what they cannot hold stays as text."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

Limits = Mapping[str, tuple[int, int]]
"""Names of whole numbers, with the least and the most that their columns hold."""

_LARGEST: Final = 2**63 - 1
_COUNT: Final = (0, _LARGEST)
_INTEGER: Final = (-(2**31), 2**31 - 1)
TIMES: Final[Limits] = dict.fromkeys(
    ("startTimeUnixNano", "endTimeUnixNano", "timeUnixNano", "observedTimeUnixNano"), _COUNT
)
BUCKETS: Final[Limits] = {"offset": _INTEGER, "bucketCounts": _COUNT}
COUNTS: Final[Limits] = {
    "count": _COUNT, "zeroCount": _COUNT, "bucketCounts": _COUNT, "asInt": (-_LARGEST - 1, _LARGEST), "scale": _INTEGER,
}  # fmt: skip
_DOUBLES: Final = ("asDouble", "sum", "min", "max", "zeroThreshold", "quantile", "value")
_LISTS: Final = ("bucketCounts",)
_NO_NUMBER: Final = "beyond"
"""Read as null, where nothing would be read as zero."""


class Unkeepable(Exception):
    """One record cannot be kept."""


def whole_numbers(
    record: dict[str, Any], limits: Limits, attributes: list[dict[str, Any]], prefix: str = "otlp."
) -> None:
    """Write the whole numbers that `limits` names as their columns read them.

    What is beyond a column is kept among `attributes`, under its name after `prefix`. Raises `Unkeepable` for what is
    no number.
    """
    for name, (least, most) in limits.items():
        told = record.get(name)
        if told in (None, ""):
            continue
        numbers = [_whole(value, name) for value in (listed(record, name) if name in _LISTS else [told])]
        if all(least <= number <= most for number in numbers):
            texts = [str(int(number)) for number in numbers]
            record[name] = texts if name in _LISTS else texts[0]
        else:
            kept = json.dumps(told, separators=(",", ":")) if name in _LISTS else str(told)
            attributes.append({"key": f"{prefix}{name}", "value": {"stringValue": kept}})
            record[name] = None if name in _LISTS else _NO_NUMBER


def _whole(told: Any, name: str) -> Decimal:
    """Rounded as DuckDB rounds what it reads. No `int` yet: a few digits can tell of one that fills the memory."""
    try:
        number = Decimal(str(told)).to_integral_value(ROUND_HALF_UP)
    except ArithmeticError:
        number = Decimal("NaN")
    if number.is_nan():
        raise Unkeepable(f"its {name} {str(told)[:40]!r} is no number")
    return number


def doubles(record: dict[str, Any]) -> dict[str, Any]:
    """The record, when what must be a double in it is one or absent; raises `Unkeepable`."""
    for name in _DOUBLES:
        double(record.get(name), name)
    return record


def double(told: Any, name: str) -> None:
    """Raise `Unkeepable` for what is no double; nothing at all is none too few."""
    try:
        float("0" if told in (None, "") else str(told))
    except ValueError:
        raise Unkeepable(f"its {name} {str(told)[:40]!r} is no number") from None


def listed(record: Mapping[str, Any], name: str) -> list[Any]:
    """A list or nothing; raises `Unkeepable`."""
    told = record.get(name)
    if told is not None and not isinstance(told, list):
        raise Unkeepable(f"its {name} is no list")
    return told or []


def hex_id(told: str, name: str) -> str:
    """An id in hex; base64 is protobuf's plain mapping, in either of its alphabets. Raises `Unkeepable`."""
    if not told.endswith("="):
        return told
    try:
        return base64.b64decode(told.replace("-", "+").replace("_", "/"), validate=True).hex()
    except ValueError:
        raise Unkeepable(f"its {name} {told[:40]!r} is no id") from None
