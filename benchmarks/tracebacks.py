"""Real Python tracebacks with their true cause: small programs that really fail, in many places, on changing input.

Each cause is one function of one generated module that does one wrong thing; it is reached by several call paths, on
changing values, from three versions of the module whose lines have moved, sometimes wrapped by `raise … from …`.
"""

from __future__ import annotations

import linecache
import random
import traceback
from collections.abc import Callable
from typing import Any

from faults import Event

FAULTS: dict[str, str] = {
    "key": "return {'amount': 1}[value]",
    "field": "return {'id': 3}['currency']",
    "index": "return [1, 2][int(value[-2:]) + 5]",
    "integer": "return int(value + 'x')",
    "decimal": "import decimal; return decimal.Decimal('1.' + value + '.')",
    "attribute": "return None.total",
    "other_attribute": "return None.currency",
    "add": "return 1 + value",
    "argument": "return (lambda a: a)(b=value)",
    "json": "import json; return json.loads('{\"a\": ' + value)",
    "not_json": "import json, decimal; return json.dumps({'a': decimal.Decimal(1)})",
    "file": "return open('/nowhere/' + value)",
    "date": "import datetime; return datetime.datetime.strptime(value, '%Y-%m-%d')",
    "zero": "return len(value) / 0",
    "unpack": "a, b = [value] * 3",
    "encode": "return ('é' + value).encode('ascii')",
    "decode": "return b'\\xff\\xfe'.decode('utf-8') + value",
    "regex": "import re; return re.compile('(' + value)",
    "struct": "import struct; return struct.unpack('>I', value.encode()[:3])",
    "table": "import sqlite3; return sqlite3.connect(':memory:').execute('SELECT * FROM missing WHERE a = ?', [value])",
    "unique": "import sqlite3; c = sqlite3.connect(':memory:'); c.execute('CREATE TABLE t (email UNIQUE)'); "
    "c.execute('INSERT INTO t VALUES (?)', [value]); c.execute('INSERT INTO t VALUES (?)', [value])",
    "refused": "import socket; return socket.create_connection(('127.0.0.1', 9), timeout=0.2)",
    "import": "import not_there_at_all",
    "name": "return undefined_thing",
    "assertion": "assert value.startswith('never'), f'{value} is refused'",
    "base64": "import base64; return base64.b64decode('abc' + value[:0], validate=True)",
    "xml": "import xml.etree.ElementTree as x; return x.fromstring('<a>' + value)",
    "recursion": "return main(value, depth + 1)",
    "iteration": "return next(iter([]))",
    "uuid": "import uuid; return uuid.UUID(value)",
    "path": "import pathlib; return pathlib.Path('/nowhere', value).read_text()",
    "custom": "raise Refused(f'customer {value} may not pay {len(value)}.00 EUR')",
}


def events(seed: int, count: int) -> list[Event]:
    """`count` events of as many causes as there are faults, twice each in different modules."""
    r = random.Random(f"tracebacks {seed}")
    sites = [
        (fault, module) for fault in FAULTS for module in r.sample(("cart", "billing", "ledger", "mail", "stock"), 2)
    ]
    programs = {(*site, version): _program(r, *site, version) for site in sites for version in range(3)}
    weights = [1 / (1 + n % 15) for n in range(len(sites))]
    told = []
    for site in r.choices(sites, weights, k=count):
        told.append(_run(r, sites.index(site), programs[(*site, r.randrange(3))]))
    return told


def _program(r: random.Random, fault: str, module: str, version: int) -> Callable[..., Any]:
    """Compile one version of a module with this fault; its functions lead to it. Different faults share functions."""
    function = ("price", "send", "store", "check")[list(FAULTS).index(fault) % 4]
    source = (
        "\n" * r.randrange(1, 40) + "class Refused(Exception):\n    pass\n\n"
        f"def {function}(value, depth=0):\n    main = {function}\n    {FAULTS[fault]}\n\n"
        f"def quote(value):\n    return {function}(value)\n\n"
        f"def order(value):\n    return quote(value)\n\n"
        f"def retry(value):\n    for _ in range(1):\n        return {function}(value)\n\n"
        "def wrapped(value):\n    try:\n        return quote(value)\n    except Exception as exc:\n"
        "        raise RuntimeError(f'order {value} failed') from exc\n"
    )
    file = f"/srv/release-{version}/{fault}/{module}.py"
    linecache.cache[file] = (len(source), None, source.splitlines(True), file)
    room: dict[str, Any] = {"__name__": f"app.{module}"}
    exec(compile(source, file, "exec"), room)  # our own text, made above
    return lambda way, value: room[way](value)


def _run(r: random.Random, truth: int, program: Callable[..., Any]) -> Event:
    value = "".join(r.choices("abcdefghij", k=3)) + f"{r.randrange(10**6):06}"
    try:
        program(r.choice(("quote", "order", "retry", "retry", "wrapped")), value)
    except Exception as exc:
        own = exc.__traceback__.tb_next.tb_next if exc.__traceback__ and exc.__traceback__.tb_next else None
        module = type(exc).__module__
        kind = type(exc).__name__ if module == "builtins" else f"{module}.{type(exc).__name__}"
        return Event(truth, "shop", kind, str(exc), "".join(traceback.format_exception(exc.with_traceback(own))))
    raise AssertionError("the program did not fail")
