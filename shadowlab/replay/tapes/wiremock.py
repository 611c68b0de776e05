"""WireMock stub mappings: https://wiremock.org/docs/stubbing/, https://wiremock.org/docs/record-playback/."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, quote_plus

from shadowlab import errors
from shadowlab.replay.tapes.base import ANY, HOST, Answer, Sheet, content, from_base64, pairs, sure

_URLS = ("url", "urlPath", "urlPattern", "urlPathPattern", "urlPathTemplate")
_STARTED = "Started"
_MATCHERS = ("headers", "cookies", "basicAuthCredentials", "multipartPatterns", "customMatcher")


class WireMock:
    """A stub answers any number of calls, on any host; a scenario's answers come in the order of its states."""

    name = "wiremock"

    def recognises(self, sheet: Sheet) -> bool:
        """By `mappings`, or one mapping: `request` with one of WireMock's ways to name a URL, and `response`."""
        return bool(_mappings(sheet.document))

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """By priority, then scenarios in their order; of equal stubs the later one wins, as WireMock has it."""
        mappings = list(reversed(_mappings(sheet.document)))
        for mapping in sorted(mappings, key=lambda m: (int(m.get("priority") or 5), _state(m, mappings))):
            request, response = mapping["request"], mapping["response"]
            _left_out(mapping, sheet, notes)
            url, pattern = _where(request)
            if pattern is None:
                notes.append(f"{sheet.name}: {url} has a pattern that cannot be read, and was left out")
                continue
            posted, alike = _posted(request.get("bodyPatterns") or [], url, notes)
            broken = response.get("fault")
            yield Answer(
                method=str(request.get("method", ANY)),
                url=url,
                pattern=pattern,
                status=None if broken else int(response.get("status") or 200),
                headers=pairs(response.get("headers")),
                body=_body(response, sheet),
                lasting=not mapping.get("newScenarioState"),
                request_body=posted,
                alike=alike,
                elapsed_ms=float(response.get("fixedDelayMilliseconds") or 0),
                error=("ConnectError", f"fault {broken}") if broken else None,
            )


def _mappings(document: Any) -> list[dict[str, Any]]:
    mappings = document.get("mappings") if isinstance(document, dict) and "mappings" in document else [document]
    return mappings if isinstance(mappings, list) and mappings and all(_is_mapping(one) for one in mappings) else []


def _is_mapping(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("response"), dict):
        return False
    request = entry.get("request")
    return isinstance(request, dict) and (any(name in request for name in _URLS) or request.get("method") == ANY)


def _state(mapping: dict[str, Any], mappings: list[dict[str, Any]]) -> int:
    """How many steps its scenario has gone when it answers; 0 outside of one."""
    wanted, steps = mapping.get("requiredScenarioState", _STARTED), 0
    while mapping.get("scenarioName") and wanted != _STARTED and steps <= len(mappings):
        same = [m for m in mappings if m.get("scenarioName") == mapping["scenarioName"]]
        before = next((m for m in same if m.get("newScenarioState") == wanted), None)
        wanted, steps = (before.get("requiredScenarioState", _STARTED) if before else _STARTED), steps + 1
    return steps


def _where(request: dict[str, Any]) -> tuple[str, str | None]:
    """What people read, and the pattern of the whole URL; None for one that Python cannot read."""
    named = next((name for name in _URLS if name in request), None)
    url = str(request[named]) if named else "/…"
    path = {
        "url": re.escape(url),
        "urlPath": re.escape(url),
        "urlPattern": f"(?:{url})",
        "urlPathPattern": f"(?:{url})",
        "urlPathTemplate": re.sub(r"\\\{([^/]*?)\\\}", lambda found: _part(found[1], request), re.escape(url)),
        None: ".*",
    }[named]
    query = request.get("queryParameters") or {}
    whole = named in ("url", "urlPattern", None)
    asks = "".join(rf"(?=[^#]*[?&]{re.escape(name)}={value}(?:&|$))" for name, value in _values(query))
    return url, sure(HOST + asks + path + ("" if whole else r"(?:\?.*)?"))


def _part(name: str, request: dict[str, Any]) -> str:
    """What may stand for a part in braces of a path's template."""
    matcher = (request.get("pathParameters") or {}).get(re.sub(r"\\(.)", r"\1", name)) or {}
    return _written(str(matcher["equalTo"])) if "equalTo" in matcher else "[^/?#]+"


def _written(value: str) -> str:
    """A value as the ways in which a URL may spell it."""
    spelled = dict.fromkeys((value, quote(value), quote(value, safe=""), quote_plus(value)))
    return f"(?:{'|'.join(map(re.escape, spelled))})"


def _values(query: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, matcher in query.items():
        for one in matcher.get("hasExactly") or matcher.get("includes") or [matcher]:
            yield name, _written(str(one["equalTo"])) if "equalTo" in one else "[^&]*"


def _posted(patterns: list[dict[str, Any]], url: str, notes: list[str]) -> tuple[bytes | None, bool]:
    for pattern in patterns:
        if "equalTo" in pattern:
            return content(str(pattern["equalTo"])), False
        if "equalToJson" in pattern:
            expected = pattern["equalToJson"]
            return content(json.loads(expected) if isinstance(expected, str) else expected), True
        notes.append(f"{url}: a body that matches {', '.join(pattern)} is not looked at")
    return None, False


def _body(response: dict[str, Any], sheet: Sheet) -> bytes:
    if "base64Body" in response:
        return from_base64(response["base64Body"])
    if "jsonBody" in response:
        return content(response["jsonBody"])
    named = response.get("bodyFileName")
    if named is None:
        return content(response.get("body"))
    if str(named) not in sheet.beside:
        raise errors.RecordingError(f"body file {str(named)[:80]!r} is not in __files", hint="name the root folder")
    return sheet.beside[str(named)]


def _left_out(mapping: dict[str, Any], sheet: Sheet, notes: list[str]) -> None:
    what = [name for name in _MATCHERS if mapping["request"].get(name)]
    named = mapping["request"].get("pathParameters") or {}
    what += ["pathParameters"] * any("equalTo" not in matcher for matcher in named.values())
    what += [name for name in ("proxyBaseUrl", "transformers") if mapping["response"].get(name)]
    if what:
        notes.append(f"{sheet.name}: {', '.join(what)} of a stub were not looked at")
