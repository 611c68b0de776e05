"""What a request is, when it failed and how many it stands for, as DuckDB says it over the view `spans`."""

from __future__ import annotations

from typing import Final

ENTRY: Final = "(kind IN ('server', 'consumer') OR coalesce(parent_span_id, '') = '')"
"""A request, seen from the service that answers it; a root span where nothing calls it over a wire."""
FAILED: Final = "(status = 'error' OR coalesce(try_cast(http_response_status_code AS INTEGER) >= 500, false))"
_THRESHOLD: Final = "rpad(nullif(regexp_extract(trace_state, '\\bth:([0-9a-f]{1,14})\\b', 1), ''), 14, '0')"
_PROBABILITY: Final = "try_cast(attributes['sampling.probability'] AS DOUBLE)"
WEIGHT: Final = f"""least(1e6, coalesce(
    1 / nullif(1 - ('0x' || {_THRESHOLD})::UBIGINT / 72057594037927936.0, 0),
    CASE WHEN {_PROBABILITY} > 0 AND {_PROBABILITY} <= 1 THEN 1 / {_PROBABILITY} END, 1))"""
"""Requests that a span stands for, by its rejection threshold `ot=th:…` (OpenTelemetry probability sampling), else by
an attribute, unless that is no probability."""
CALLED: Final = """CASE WHEN kind = 'client' AND regexp_matches(server_address, '^[^:]*[a-zA-Z][^:]*$')
    THEN name || ' ' || server_address ELSE name END"""
"""What tells one call from another: clients name spans `GET`, whomever they ask. A host's number is that of one pod."""


def hops(where: str, weight: str = "1::DOUBLE") -> str:
    """The table `hops`, of the spans that a condition holds for."""
    return (
        "SELECT trace_id, span_id, parent_span_id, service, name, kind, start_ns, end_ns, status, "
        f"{weight} AS weight FROM spans WHERE {where}"
    )
