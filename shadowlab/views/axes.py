"""Where a value lies on paper, and which ticks tell it: linear, logarithmic, time and category axes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a figure, drawn from pixel `start` (its low end) to pixel `end`."""

    kind: str
    """`linear`, `log`, `date`, `category`."""
    low: float
    high: float
    start: float
    end: float
    categories: tuple[str, ...] = ()

    def at(self, value: object) -> float | None:
        """The pixel of a value in the axis' own words; None where it has no place."""
        place = self.place(value)
        return None if place is None else self.pixel(place)

    def place(self, value: object) -> float | None:
        """A value as a number along the axis: epoch seconds, log10, the category's index."""
        return place(value, self.kind, self.categories)

    def pixel(self, number: float) -> float:
        """The pixel of a number along the axis."""
        span = (self.high - self.low) or 1.0
        return self.start + (number - self.low) / span * (self.end - self.start)

    def ticks(self, form: str | None, room: float) -> list[tuple[float, str]]:
        """Pixels and words of the ticks; `room` is how many pixels one needs."""
        count = max(2, int(abs(self.end - self.start) / room))
        numbers: list[tuple[float, str]]
        match self.kind:
            case "category":
                numbers = [(float(n), word) for n, word in enumerate(self.categories)]
            case "date":
                numbers = _date_ticks(self.low, self.high, count)
            case "log":
                numbers = [(math.log10(v), spelled(v, form)) for v in _log_ticks(self.low, self.high)]
            case _:
                numbers = [(v, spelled(v, form)) for v in _linear_ticks(self.low, self.high, count)]
        edge = (self.high - self.low) * 1e-6
        return [(self.pixel(n), word) for n, word in numbers if self.low - edge <= n <= self.high + edge]


def place(value: object, kind: str, categories: Sequence[str]) -> float | None:
    """A value as a number along an axis of `kind`; None when it has none."""
    if value is None:
        return None
    try:
        match kind:
            case "category":
                return float(categories.index(str(value)))
            case "date":
                return seconds(value)
            case "log":
                return math.log10(float(value)) if float(value) > 0 else None  # type: ignore[arg-type]  # guarded below
        number = float(value)  # type: ignore[arg-type]  # anything without a number is caught
        return number if math.isfinite(number) else None
    except (TypeError, ValueError):
        return None


def seconds(value: Any) -> float | None:
    """Epoch seconds of a datetime, a numpy or pandas time, or an ISO 8601 text; naive times are UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif hasattr(value, "astype"):
        value = value.astype("datetime64[us]").item()
    if hasattr(value, "to_pydatetime"):
        value = value.to_pydatetime()
    if not isinstance(value, datetime):
        return float(value) / 1000
    return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()


def kind_of(values: Iterable[object], declared: str | None) -> str:
    """The axis type that values ask for, as plotly would guess it."""
    if declared in ("linear", "log", "date", "category"):
        return declared
    first = next((v for v in values if v is not None), 0.0)
    if isinstance(first, datetime) or type(first).__name__ in ("datetime64", "Timestamp"):
        return "date"
    if not isinstance(first, str):
        return "linear"
    return "date" if re.match(r"\d{4}-\d\d-\d\d", first) else "category"


def spelled(value: float, form: str | None) -> str:
    """A number in d3's format `form`, of which `,`, a precision, `%`, `f`, `d` and `s` are known."""
    known = re.fullmatch(r"(,?)(?:\.(\d+))?~?([%fdgrs]?)", form or "")
    if not form or not known:
        return f"{value:,.6g}".replace("e+0", "e").replace("e-0", "e-")
    comma, precision, letter = known.groups()
    match letter:
        case "%":
            return f"{value:{comma}.{precision or 0}%}"
        case "d":
            return f"{value:{comma}.0f}"
        case "f":
            return f"{value:{comma}.{precision or 6}f}"
        case _:
            return f"{value:{comma}.{precision or 6}g}"


def round_ticks(high: float) -> list[float]:
    """0 and about five round numbers up to `high`."""
    return [value for value in _linear_ticks(0.0, high, 5) if value <= high]


def _linear_ticks(low: float, high: float, count: int) -> list[float]:
    raw = (high - low) / count or 1.0
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [n * step for n in range(first, first + count + 2)]


def _log_ticks(low: float, high: float) -> list[float]:
    if high - low < 0.7:
        return [v for v in _linear_ticks(10**low, 10**high, 4) if v > 0]
    factors = (1, 2, 5) if high - low < 2.5 else (1,)
    return [m * 10.0**power for power in range(math.floor(low), math.ceil(high) + 1) for m in factors]


def _date_ticks(low: float, high: float, count: int) -> list[tuple[float, str]]:
    step = next((s for s in _STEPS_S if (high - low) / s <= count), 604800)
    first = math.ceil(low / step) * step
    moments = [float(m) for m in range(int(first), int(high) + 1, step)]
    short = "%m-%d" if step >= 86400 else "%H:%M:%S" if step < 60 else "%H:%M"
    return [(m, datetime.fromtimestamp(m, UTC).strftime(short)) for m in moments]
