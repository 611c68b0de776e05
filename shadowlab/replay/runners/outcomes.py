"""What a runner of another language tells, made whole: only status, body and error are asked of it."""

from __future__ import annotations

from typing import Any

from shadowlab.records import Control, Effect


def whole(document: dict[str, Any], *, database: bool) -> dict[str, Any]:
    """An outcome with what it leaves out. What it does not say of a `database` that it had is not known."""
    unknown = {"shape": {}, "sha256": "", "unknown": "the runner does not say" if database else ""}
    bare: dict[str, Any] = {"status": None, "headers": [], "body": "", "error": None, "database": unknown,
                            "outbound": [], "unrecorded": [], "unused": [], "logs": [], "events": [], "readings": {},
                            "seams": [], "substituted": 0, "cpu_ms": 0.0}  # fmt: skip
    document = {**bare, **{name: value for name, value in document.items() if value is not None}}
    if document["error"]:
        document["error"] = {"frames": [], "causes": [], **document["error"]}
    document["outbound"] = [{"body_sha256": "", "status": None, **call} for call in document["outbound"]]
    return document


def seams(entries: list[dict[str, Any]]) -> tuple[Effect, ...]:
    """The lines of its ledger; raises ValueError for a control that there is not."""
    return tuple(
        Effect(seam=str(one["seam"])[:40], control=Control(one["control"]), how=str(one["how"])[:300])
        for one in entries[:100]
    )
