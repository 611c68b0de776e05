"""What sets some spans apart from the others: every attribute value, over all spans or over a sample of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.telemetry.ask import user_sql
from shadowlab.telemetry.connection import statements
from shadowlab.telemetry.rows import Rows
from shadowlab.telemetry.views import BLOCK_BITS, SHARES

_KEPT: Final = 0.1
"""A sample up to this share is read once and kept; a larger one is read again, for it may not fit in memory."""


def contrast(
    case: Case,
    selection: str = "status = 'error'",
    *,
    within: str = "true",
    sample: float | None = None,
    top: int = 50,
    timeout_s: float = 60.0,
    memory: str = "2GB",
    **limits: Any,
) -> Rows:
    """The attribute values whose share differs most between spans that `selection` holds for and the others `within`.

    Both are SQL conditions over the columns of `spans`, `resource_attributes` left out. `sample` is the share of spans
    that is read, from 0 to 1: whole blocks of 2,048 that follow each other in time, the same ones every time; `None`
    reads all. Rows have `of` (`span` or `resource`), `attribute`, `value`, `selected_spans` and `spans` (counted, not
    scaled up), the shares `selected` and `others`, `effect` (their difference) and `margin`: the effect in all spans
    lies within `effect` +- `margin` in about 95 of 100 samples, as far as the blocks that were read show; 0 when all
    was read, null when only one block was. A sample may miss rare values.

    Raises `UsageError` for a share that cannot be, and `QueryError` as `user_sql` does.
    """
    if not (sample is None or 0 < sample <= 1) or top < 1:
        raise errors.UsageError(f"sample={sample}, top={top}: no share or number", hint="sample=0.02 reads 2 percent")
    whole = sample is None or sample == 1
    parts: Mapping[str, str] = {
        "selection": selection,
        "within": within,
        "top": str(int(top)),
        "block": "0" if whole else f"place >> {BLOCK_BITS}",
        "share": str(max(1, round((sample or 1) * SHARES))),
        "unread": repr(1 - (sample or 1)),
        "margin": "0::DOUBLE" if whole else "s.margin",
        "and_spread": "" if whole else 'LEFT JOIN spread s USING ("of", h)',
        "once": "MATERIALIZED" if (sample or 1) <= _KEPT else "NOT MATERIALIZED",
    }
    question = statements("contrast")
    for name, text in parts.items():
        question = question.replace(f"{{{name}}}", text)
    return user_sql(case, question, timeout_s=timeout_s, memory=memory, **limits)
