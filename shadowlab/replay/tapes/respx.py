"""respx routes, read out of Python source without running it: https://lundberg.github.io/respx/guide/.

Seen are routes made with literal arguments, and answers given by `.respond(...)`, `.mock(return_value=Response(...))`,
`.mock(side_effect=[...])` or `.return_value = Response(...)`. What is computed cannot be known and is told.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from typing import Any

from shadowlab.replay.tapes.base import ANY, HOST, Answer, Sheet, content, pairs, sure

_METHODS = frozenset({"get", "post", "put", "patch", "delete", "head", "options"})
_URL = ("url", "path", "scheme", "host", "port", "params", "url__eq", "path__eq", "url__regex", "path__regex",
        "url__startswith", "path__startswith", "json", "data", "content")  # fmt: skip


class _Unknown(Exception):
    """A value that only running the code would tell."""


class Respx:
    """A route answers any number of calls; a list of side effects is used up, one a call."""

    name = "respx"

    def recognises(self, sheet: Sheet) -> bool:
        """By the import, in a Python file."""
        return (
            sheet.name.endswith(".py")
            and re.search(r"^\s*(?:import\s[^#\n]*\brespx\b|from\s+respx\b)", sheet.text, re.MULTILINE) is not None
        )

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """In the order of the lines; raises nothing for a file that is no Python: it holds no routes then."""
        try:
            tree = ast.parse(sheet.text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            notes.append(f"{sheet.name}: this is no Python that can be read")
            return
        for route, responses, line in sorted(_given(tree), key=lambda found: found[2]):
            try:
                made = [_answer(route, one, last=n == len(responses)) for n, one in enumerate(responses, 1)]
            except _Unknown as exc:
                notes.append(f"{sheet.name}: line {line}: {exc} is computed, so this route was left out")
                continue
            yield from made


_Given = tuple[ast.Call, list[ast.Call], int]


def _given(tree: ast.Module) -> Iterator[_Given]:
    """Each route with the calls that make its answers, and its line."""
    names: dict[str, ast.Call] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and _is_route(node.value):
            names |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            route = _route(node.func.value, names)
            if route is not None and node.func.attr == "respond":
                yield route, [node], node.lineno
            elif route is not None and node.func.attr == "mock":
                yield route, _responses(node), node.lineno
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            route = _route(node.targets[0].value, names)
            if route is not None and node.targets[0].attr in ("return_value", "side_effect"):
                yield route, _calls(node.value), node.lineno


def _route(node: ast.expr, names: dict[str, ast.Call]) -> ast.Call | None:
    if isinstance(node, ast.Name):
        return names.get(node.id)
    return node if isinstance(node, ast.Call) and _is_route(node) else None


def _is_route(node: ast.Call) -> bool:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else None
    named = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name)
    return named and (called in _METHODS or called in ("route", "request", "add"))


def _responses(node: ast.Call) -> list[ast.Call]:
    return [
        call for word in node.keywords if word.arg in ("return_value", "side_effect") for call in _calls(word.value)
    ]


def _calls(node: ast.expr) -> list[ast.Call]:
    """What makes each answer: `Response(...)`, an exception, or its class, which is called without arguments."""
    parts = node.elts if isinstance(node, ast.List | ast.Tuple) else [node]
    made = [ast.Call(part, [], []) if isinstance(part, ast.Name | ast.Attribute) else part for part in parts]
    return [part for part in made if isinstance(part, ast.Call)]


def _failure(response: ast.Call) -> tuple[str, str] | None:
    """The exception that a side effect raises, None for a response; a function's answer is not known."""
    name = ast.unparse(response.func).rpartition(".")[2]
    if name in ("respond", "Response", "MockResponse"):
        return None
    if not name.endswith(("Error", "Timeout", "Exception")):
        raise _Unknown(f"`{ast.unparse(response)[:60]}`")
    return f"httpx.{name}", str(_value(response.args[0])) if response.args else ""


def _answer(route: ast.Call, response: ast.Call, *, last: bool) -> Answer:
    failed = _failure(response)
    keywords = {} if failed else {word.arg: _value(word.value) for word in response.keywords if word.arg}
    status = keywords.get("status_code", _value(response.args[0]) if response.args and not failed else 200)
    fields = {word.arg: _value(word.value) for word in route.keywords if word.arg}
    strange = sorted(fields.keys() - {*_URL, "method", "name"})
    if strange:
        raise _Unknown(f"a match by {', '.join(strange)}")
    url, pattern = _where(route, fields)
    posted = next((fields[name] for name in ("json", "content") if name in fields), None)
    body = (
        content(keywords["json"])
        if "json" in keywords
        else content(keywords.get("content", keywords.get("text", keywords.get("html"))))
    )
    kind = "application/json" if "json" in keywords else "text/plain; charset=utf-8" if "text" in keywords else None
    headers = pairs(keywords.get("headers"))
    if kind and not any(name.lower() == "content-type" for name, _ in headers):
        headers = (*headers, ("content-type", kind))
    return Answer(
        method=_method(route, fields),
        url=url,
        pattern=pattern,
        status=None if failed else int(status),
        error=failed,
        headers=headers,
        body=body,
        lasting=last,
        request_body=None if posted is None else content(posted),
        alike="json" in fields,
    )


def _method(route: ast.Call, fields: dict[str, Any]) -> str:
    assert isinstance(route.func, ast.Attribute)  # `_is_route` looked
    if route.func.attr in _METHODS:
        return route.func.attr
    if route.func.attr == "request" and route.args:
        return str(_value(route.args[0]))
    return str(fields.get("method", ANY))


def _where(route: ast.Call, fields: dict[str, Any]) -> tuple[str, str | None]:
    """respx takes a query that no pattern speaks of as it comes; so does this pattern."""
    assert isinstance(route.func, ast.Attribute)  # `_is_route` looked
    places = route.args[1:] if route.func.attr == "request" else route.args
    url = fields.get("url", fields.get("url__eq", _value(places[0]) if places else None))
    if url is not None:
        text = str(url)
        start = re.escape(text) if "://" in text else HOST + re.escape(text)
        return text, sure(start + _asked(fields, sure_of_query="?" in text))
    if "url__startswith" in fields:
        return str(fields["url__startswith"]), sure(f"{re.escape(str(fields['url__startswith']))}.*")
    if "url__regex" in fields:
        return str(fields["url__regex"]), sure(f"(?:{fields['url__regex']}).*")
    host = re.escape(str(fields["host"])) if "host" in fields else "[^/?#:]*"
    port = f":{int(fields['port'])}" if "port" in fields else r"(?::\d+)?"
    path = fields.get("path", fields.get("path__eq"))
    begins = fields.get("path__startswith")
    fits = re.escape(str(path)) if path else f"{re.escape(str(begins))}[^?#]*" if begins else "[^?#]*"
    if "path__regex" in fields:
        fits = f"(?:{fields['path__regex']})[^?#]*"
    scheme = re.escape(str(fields.get("scheme", ""))) or "[a-z]+"
    named = f"{fields.get('host', '')}{path or begins or fields.get('path__regex', '/…')}"
    return named, sure(f"{scheme}://{host}{port}{fits}{_asked(fields)}")


def _asked(fields: dict[str, Any], *, sure_of_query: bool = False) -> str:
    params = fields.get("params")
    if sure_of_query:
        return ""
    if not isinstance(params, dict):
        return r"(?:\?.*)?"
    return r"\?" + "".join(rf"(?=(?:.*&)?{re.escape(f'{k}={v}')}(?:&|$))" for k, v in params.items()) + ".*"


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "json.dumps" and node.args:
            return json.dumps(_value(node.args[0]))
        raise _Unknown(f"`{ast.unparse(node)[:60]}`") from None
