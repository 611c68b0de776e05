"""Ask a case, for tests that look at what it holds."""

from __future__ import annotations

from typing import Any

from shadowlab import telemetry
from shadowlab.case import Case


def asked(case: Case, query: str) -> list[dict[str, Any]]:
    """The rows of an answer."""
    with telemetry.store(case) as store:
        return store.sql(query).rows()
