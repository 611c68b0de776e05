"""How values that JSON does not know may be written in it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Rendering:
    """One way to write one type: `{v}` stands for the value, `{t}` for the type's name in the file."""

    expression: str
    returns: str
    """Return annotation."""
    sample: str
    """An expression that makes one."""
    shown: str
    """Python literal of what the sample becomes after JSON and back."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type of the standard library that `json` cannot write, and where it lives."""

    module: str | None
    """None for a built-in."""
    name: str
    ways: dict[str, Rendering]
    """The most careful first: one that loses nothing."""


_ISO = "{v}.isoformat()"
UNKNOWN: dict[str, Unknown] = {
    "Decimal": Unknown("decimal", "Decimal", {
        "str": Rendering("str({v})", "str", '{t}("12.50")', '"12.50"'),
        "float": Rendering("float({v})", "float", '{t}("12.50")', "12.5"),
    }),
    "UUID": Unknown("uuid", "UUID", {
        "str": Rendering("str({v})", "str", "{t}(int=7)", '"00000000-0000-0000-0000-000000000007"'),
    }),
    "datetime": Unknown("datetime", "datetime", {
        "isoformat": Rendering(_ISO, "str", "{t}(2025, 1, 2, 3, 4, 5)", '"2025-01-02T03:04:05"'),
    }),
    "date": Unknown("datetime", "date", {
        "isoformat": Rendering(_ISO, "str", "{t}(2025, 1, 2)", '"2025-01-02"'),
    }),
    "time": Unknown("datetime", "time", {
        "isoformat": Rendering(_ISO, "str", "{t}(3, 4, 5)", '"03:04:05"'),
    }),
    "timedelta": Unknown("datetime", "timedelta", {
        "seconds": Rendering("{v}.total_seconds()", "float", "{t}(minutes=1)", "60.0"),
    }),
    "PosixPath": Unknown("pathlib", "PurePath", {
        "str": Rendering("str({v})", "str", '{t}("a/b")', '"a/b"'),
    }),
    "set": Unknown(None, "set", {
        "sorted": Rendering("sorted({v}, key=str)", "list[object]", "{{2, 1}}", "[1, 2]"),
    }),
    "frozenset": Unknown(None, "frozenset", {
        "sorted": Rendering("sorted({v}, key=str)", "list[object]", "frozenset({{2, 1}})", "[1, 2]"),
    }),
}  # fmt: skip
