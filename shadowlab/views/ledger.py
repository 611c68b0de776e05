"""The audit ledger as a table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shadowlab.views.shown import Page
from shadowlab.views.tables import Markup, cell, grid, name


def ledger(entries: Sequence[Mapping[str, Any]]) -> Page:
    """The audit ledger: who did what when, each entry chained to the one before."""
    rows: list[Sequence[object]] = []
    for e in entries:
        record = e.get("record") or {}
        words = "; ".join(f"{k} {_spoken(v)}" for k, v in (e.get("arguments") or {}).items() if v not in _SILENT)
        at = Markup(f"<span style='white-space:nowrap'>{cell(str(e.get('at', ''))[:19].replace('T', ' '))}</span>")
        made = f"{record.get('type', '')} {str(record.get('digest', ''))[:12]}".strip()
        chain = (name(str(e.get("previous", ""))[:12]), name(str(e.get("digest", ""))[:12]))
        rows.append((e.get("seq"), at, e.get("verb"), words[:200], name(made), *chain))
    return grid(("", "at (UTC)", "verb", "with", "made", "previous", "entry"), rows, alt="audit ledger")


_SILENT: tuple[object, ...] = (None, "", [], {})


def _spoken(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{20,52}\b", r"\1", text)  # commits and digests, short as beside them
