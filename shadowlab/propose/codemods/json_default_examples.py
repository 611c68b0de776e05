"""Before and after of `json-default`."""

from __future__ import annotations

from shadowlab.propose.codemods.base import Example, Site
from shadowlab.records import Failure


def _site(kind: str, function: str, line: int, line_length: int = 88) -> Site:
    failure = Failure(type="TypeError", message=f"Object of type {kind} is not JSON serializable")
    return Site("lib/serializer.py", function, line, failure, "lib.serializer", line_length)


_PLAIN = '''"""Turn answers into JSON."""

import json
from typing import Any


def to_json(value: Any) -> str:
    return json.dumps(value)
'''

_PLAIN_AFTER = '''"""Turn answers into JSON."""

import json
from decimal import Decimal
from typing import Any


def _json_default(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def to_json(value: Any) -> str:
    return json.dumps(value, default=_json_default)
'''

_LAID_OUT = '''from __future__ import annotations

import json
from uuid import NAMESPACE_URL, uuid5

import httpx

NAMES = {"a": uuid5(NAMESPACE_URL, "a")}
LIMITS = httpx.Limits(max_connections=5)


class Answer:
    """What goes out."""

    def body(self, rows: list[object]) -> bytes:
        """Its bytes."""
        return json.dumps(
            rows,
            separators=(",", ":"),
            ensure_ascii=False,
        ).encode()
'''

_LAID_OUT_AFTER = '''from __future__ import annotations

import json
from uuid import NAMESPACE_URL, UUID, uuid5

import httpx

NAMES = {"a": uuid5(NAMESPACE_URL, "a")}
LIMITS = httpx.Limits(max_connections=5)


def _json_default(value: object) -> str:
    """Write what json does not know."""
    if isinstance(value, UUID):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


class Answer:
    """What goes out."""

    def body(self, rows: list[object]) -> bytes:
        """Its bytes."""
        return json.dumps(
            rows,
            separators=(",", ":"),
            ensure_ascii=False,
            default=_json_default,
        ).encode()
'''

_OLD_STYLE = """from json import dumps
import datetime

_json_default = None

def store(when, path):
  line = dumps({'when': when})  # one line a call
  open(path, 'a').write(line)
"""

_OLD_STYLE_AFTER = """from json import dumps
import datetime

_json_default = None


def _json_default_2(value):
  if isinstance(value, datetime.datetime):
    return value.isoformat()
  raise TypeError(f'Object of type {type(value).__name__} is not JSON serializable')

def store(when, path):
  line = dumps({'when': when}, default=_json_default_2)  # one line a call
  open(path, 'a').write(line)
"""

_LONG = """import json


def encode(answer: dict[str, object]) -> str:
    return json.dumps(answer, sort_keys=True, allow_nan=False)
"""

_LONG_AFTER = """import json
from decimal import Decimal


def _json_default(value: object) -> float:
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def encode(answer: dict[str, object]) -> str:
    return json.dumps(
        answer, sort_keys=True, allow_nan=False, default=_json_default
    )
"""

_LONGER = """import json


def write(answer: dict[str, object], lines: list[str]) -> None:
    lines.append(json.dumps(answer, sort_keys=True, allow_nan=False) + "\\n")
"""

_LONGER_AFTER = """import json
from decimal import Decimal


def _json_default(value: object) -> str:
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def write(answer: dict[str, object], lines: list[str]) -> None:
    lines.append(json.dumps(
        answer,
        sort_keys=True,
        allow_nan=False,
        default=_json_default,
    ) + "\\n")
"""

_SET = """import json


def tags(value: object) -> str:
    return json.dumps(value)
"""

_SET_AFTER = """import json


def _json_default(value: object) -> list[object]:
    if isinstance(value, set):
        return sorted(value, key=str)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


def tags(value: object) -> str:
    return json.dumps(value, default=_json_default)
"""

_DEFAULT_THERE = """import json


def to_json(value: object) -> str:
    return json.dumps(value, default=repr_of)
"""

_IN_A_LIBRARY = """from starlette.responses import JSONResponse


def answer(value: object) -> JSONResponse:
    return JSONResponse(value)
"""

_NAME_TAKEN = """import json


class Decimal:
    pass


def to_json(value: object) -> str:
    return json.dumps(value)
"""

EXAMPLES = (
    Example("one plain call", _site("Decimal", "to_json", 8), "str", _PLAIN, _PLAIN_AFTER),
    Example("a laid out call, a name more in an import", _site("UUID", "body", 17), "str", _LAID_OUT, _LAID_OUT_AFTER),
    Example("an older style, kept", _site("datetime", "store", 7), "isoformat", _OLD_STYLE, _OLD_STYLE_AFTER),
    Example("a line that would grow too long", _site("Decimal", "encode", 5, 72), "float", _LONG, _LONG_AFTER),
    Example("a line far too long", _site("Decimal", "write", 5, 40), "str", _LONGER, _LONGER_AFTER),
    Example("lines that end in CRLF", _site("Decimal", "to_json", 8), "str", _PLAIN.replace("\n", "\r\n"),
            _PLAIN_AFTER.replace("\n", "\r\n")),
    Example("a built-in needs no import", _site("set", "tags", 5), "sorted", _SET, _SET_AFTER),
    Example("a default is there", _site("Decimal", "to_json", 5), "str", _DEFAULT_THERE, None, "already"),
    Example("a library writes it", _site("Decimal", "answer", 5), "str", _IN_A_LIBRARY, None, "a library does it"),
    Example("the name is taken", _site("Decimal", "to_json", 9), "str", _NAME_TAKEN, None, "something else"),
)  # fmt: skip
