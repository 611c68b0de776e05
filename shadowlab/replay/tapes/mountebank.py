"""Mountebank imposters: https://www.mbtest.dev/docs/api/stubs, as `mb save` and `replayable=true` write them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from shadowlab.replay.tapes.base import (
    ANY,
    HOST,
    Answer,
    Sheet,
    anywhere,
    content,
    from_base64,
    pairs,
    sure,
    with_query,
)


class Mountebank:
    """A stub's answers come one after the other; the last of them stays."""

    name = "mountebank"

    def recognises(self, sheet: Sheet) -> bool:
        """By `imposters`, or one imposter: `protocol` and `stubs`."""
        return bool(_imposters(sheet.document))

    def answers(self, sheet: Sheet, notes: list[str]) -> Iterator[Answer]:
        """An imposter knows its port and not for whom it stands: its answers fit every host."""
        for imposter in _imposters(sheet.document):
            if imposter.get("protocol") not in ("http", "https"):
                notes.append(f"{sheet.name}: an imposter of protocol {imposter.get('protocol')} was left out")
                continue
            for stub in imposter.get("stubs") or ():
                yield from _stub(stub, notes)


def _imposters(document: Any) -> list[dict[str, Any]]:
    imposters = document.get("imposters") if isinstance(document, dict) and "imposters" in document else [document]
    if not isinstance(imposters, list) or not all(
        isinstance(i, dict) and "protocol" in i and "stubs" in i for i in imposters
    ):
        return []
    return imposters


def _stub(stub: dict[str, Any], notes: list[str]) -> Iterator[Answer]:
    fields = _fields(stub.get("predicates") or [], notes)
    path = with_query(str(fields.get("path", "")), fields.get("query"))
    pattern = sure(anywhere(path) if "path" in fields else f"{HOST}.*")
    body = fields.get("body")
    responses = [one for one in stub.get("responses") or () if "is" in one]
    for number, each in enumerate(responses, 1):
        given = each["is"]
        raw = content(given.get("body"))
        yield Answer(
            method=str(fields.get("method", ANY)),
            url=path or "/…",
            pattern=pattern,
            status=int(given.get("statusCode") or 200),
            headers=pairs(given.get("headers")),
            body=from_base64(given.get("body")) if given.get("_mode") == "binary" else raw,
            lasting=number == len(responses),
            request_body=None if body is None else content(body),
            alike=isinstance(body, dict | list),
            elapsed_ms=_wait(each),
        )
    if len(responses) < len(stub.get("responses") or ()):
        notes.append(f"{path or 'a stub'}: answers by proxy, inject or fault were left out")


def _fields(predicates: list[dict[str, Any]], notes: list[str]) -> dict[str, Any]:
    """What the request must equal; other predicates are told."""
    found: dict[str, Any] = {}
    for predicate in predicates:
        equals = predicate.get("deepEquals") or predicate.get("equals")
        if isinstance(equals, dict):
            found |= {name: value for name, value in equals.items() if value not in ("", {})}
            continue
        if inner := predicate.get("and"):
            found |= _fields(inner, notes)
            continue
        notes.append(f"a predicate {', '.join(predicate)} is not looked at")
    return found


def _wait(each: dict[str, Any]) -> float:
    behaviors = each.get("behaviors") or each.get("_behaviors") or []
    for behavior in behaviors if isinstance(behaviors, list) else [behaviors]:
        if isinstance(behavior.get("wait"), int | float):
            return float(behavior["wait"])
    return 0.0
