"""Take the headers and variables of foreign recordings that are secrets; bodies stay, or nothing could be replayed."""

from __future__ import annotations

from typing import Any

import msgspec

from shadowlab.privacy import Redactor, is_secret
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.state import Headers


def redacted(fixture: Fixture, redactor: Redactor) -> Fixture:
    """The recording without its secret headers and variables; one from shadowlab-recorder has none left."""

    def clean(pairs: Headers) -> Headers:
        return tuple(
            (k, redactor.value(k, v)) if is_secret(k, redactor.policy) and not _gone(v) else (k, v) for k, v in pairs
        )

    def changed(part: Any, **fields: Any) -> Any:
        return msgspec.structs.replace(part, **fields)

    environment, answer = fixture.environment, fixture.response
    values = {
        k: redactor.value(k, v) if is_secret(k, redactor.policy) and not _gone(v) else v
        for k, v in environment.values.items()
    }
    calls = (
        changed(call, request_headers=clean(call.request_headers), headers=clean(call.headers))
        for call in fixture.outbound
    )
    error = fixture.error and changed(fixture.error, message=redactor.text(fixture.error.message))
    cleaned: Fixture = changed(
        fixture,
        request=changed(fixture.request, headers=clean(fixture.request.headers)),
        response=answer and changed(answer, headers=clean(answer.headers)),
        outbound=tuple(calls),
        environment=changed(environment, values=values),
        error=error,
    )
    return cleaned


def _gone(value: str) -> bool:
    """Whether the recorder took the value out already."""
    return value.startswith("[redacted:")
