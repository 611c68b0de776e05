"""Hoverfly simulations, schema v5: https://docs.hoverfly.io/en/latest/pages/keyconcepts/simulations/simulations.html."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from shadowlab.replay.tapes.base import ANY, Answer, Sheet, content, from_base64, pairs, sure

_ALL = r"[^?#]*"


class Hoverfly:
    """A pair answers any number of calls that its matchers fit."""

    name = "hoverfly"

    def recognises(self, sheet: Sheet) -> bool:
        """By `data.pairs` and the schema's version."""
        document = sheet.document if isinstance(sheet.document, dict) else {}
        data, meta = document.get("data"), document.get("meta")
        return isinstance(data, dict) and isinstance(data.get("pairs"), list) and isinstance(meta, dict)

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """Matchers of scheme, host, path, query and whole bodies are kept; the others are told."""
        for pair in sheet.document["data"]["pairs"]:
            request, response = pair["request"], pair["response"]
            url, pattern = _where(request)
            if pattern is None:
                notes.append(f"{sheet.name}: {url} has a pattern that cannot be read, and was left out")
                continue
            posted, alike = _posted(_matchers(request, "body"), url, notes)
            what = [name for name in ("headers", "requiresState") if request.get(name)]
            what += [name for name in ("templated", "transitionsState", "removesState") if response.get(name)]
            if what:
                notes.append(f"{url}: {', '.join(what)} were not looked at")
            coded = response.get("encodedBody")
            yield Answer(
                method=_method(_matchers(request, "method")),
                url=url,
                pattern=pattern,
                status=int(response.get("status") or 200),
                headers=pairs(response.get("headers")),
                body=from_base64(response.get("body")) if coded else content(response.get("body")),
                lasting=True,
                request_body=posted,
                alike=alike,
                elapsed_ms=float(response.get("fixedDelay") or 0),
            )


def _matchers(request: dict[str, Any], name: str) -> list[dict[str, Any]]:
    matchers = request.get(name) or []
    return matchers if isinstance(matchers, list) else [matchers]


def _method(matchers: list[dict[str, Any]]) -> str:
    return str(matchers[0]["value"]) if matchers and matchers[0].get("matcher", "exact") == "exact" else ANY


def _where(request: dict[str, Any]) -> tuple[str, str | None]:
    scheme = _fits(_matchers(request, "scheme"), "[a-z]+")
    host = _fits(_matchers(request, "destination"), "[^/?#]*")
    path = _fits(_matchers(request, "path"), _ALL)
    query = request.get("query") or {}
    asks = "".join(
        rf"(?=[^#]*[?&]{re.escape(name)}={_fits(matchers, '[^&]*')}(?:&|$))" for name, matchers in query.items()
    )
    words = [str(m["value"]) for name in ("destination", "path") for m in _matchers(request, name)[:1]]
    return "".join(words) or "any URL", sure(rf"{scheme}://{asks}{host}{path}" + (r"\?.*" if query else ""))


def _fits(matchers: list[dict[str, Any]], anything: str) -> str:
    """One part's pattern; a matcher that is no pattern lets everything pass, as a replay has one request only."""
    for matcher in matchers:
        value = str(matcher.get("value", ""))
        match matcher.get("matcher", "exact"):
            case "exact":
                return re.escape(value)
            case "glob":
                return ".*".join(re.escape(piece) for piece in value.split("*"))
            case "regex":
                return f"(?:{value})"
    return anything


def _posted(matchers: list[dict[str, Any]], url: str, notes: list[str]) -> tuple[bytes | None, bool]:
    for matcher in matchers:
        kind, value = matcher.get("matcher", "exact"), matcher.get("value", "")
        if kind in ("exact", "json"):
            return content(json.loads(value) if kind == "json" else value), kind == "json"
        notes.append(f"{url}: a body that matches by {kind} is not looked at")
    return None, False
