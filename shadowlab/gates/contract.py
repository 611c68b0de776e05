"""The OpenAPI document before and after: what callers were promised."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shadowlab.gates import tapes
from shadowlab.gates.bench import Bench, did_not_run
from shadowlab.gates.runtime import Runtime
from shadowlab.records import Gate, Verdict, digest_of

_ASK = """
import importlib, json, sys
sys.path.insert(0, ".")
module, _, name = sys.argv[1].partition(":")
app = importlib.import_module(module)
for part in name.split("."):
    app = getattr(app, part)
openapi = getattr(app, "openapi", None)
with open(sys.argv[2], "w") as file:
    json.dump(openapi() if callable(openapi) else None, file)
"""
_SECONDS = 60.0
_LARGEST = 20 * 2**20


def contract(bench: Bench) -> tuple[Gate, ...]:
    """Whether the OpenAPI document is the same; a service that has none is judged by the other gates alone."""
    limit = "the same OpenAPI document" if bench.limits.no_api_contract_change else "shown only"
    place, environment = bench.runtime(), _environment(bench)
    before, why = _document(bench, bench.base, place, environment)
    if why or before is None:
        reason = why or "the entrypoint has no openapi()"
        return (did_not_run("contract", limit, reason),)
    after, why = _document(bench, bench.patched, place, environment)
    changed = sorted(_changed(before, after or {}))
    fails = bool(changed or why) and bench.limits.no_api_contract_change
    return (
        Gate(
            name="contract",
            verdict=Verdict.FAIL if fails else Verdict.PASS,
            observed="changes the OpenAPI document" if changed else "leaves the OpenAPI document as it was",
            limit=limit,
            detail=why
            or "; ".join(changed[:10])
            or f"{len(before.get('paths', {}))} paths, SHA-256 {digest_of(before)[:12]}",
        ),
    )


def _document(
    bench: Bench, tree: Path, place: Runtime, environment: Mapping[str, str]
) -> tuple[dict[str, Any] | None, str | None]:
    """The document, or why there is none."""
    with bench.copy(tree) as copy:
        out = copy.parent / f"openapi-{secrets.token_hex(8)}.json"
        words = ("-s", "-B", "-c", _ASK, bench.service.entrypoint, str(out))
        ran = place.run(words, copy, timeout_s=_SECONDS, variables=environment)
        if ran.code != 0 or out.is_symlink() or not out.exists() or out.stat().st_size > _LARGEST:
            lines = [line for line in ran.output.splitlines() if line.strip()] or ["it said nothing"]
            return None, f"{bench.service.entrypoint} cannot be loaded: {lines[-1][:200]}"
        try:
            document = json.loads(out.read_bytes())
        except (ValueError, RecursionError):
            return None, "openapi() gave no JSON"
    return document if isinstance(document, dict) else None, None


def _environment(bench: Bench) -> dict[str, str]:
    """What the service was seen to need: recorded values, stand-ins for the rest, a database of its own."""
    names = dict.fromkeys(bench.service.environment, "shadowlab-stand-in")
    for fixture in tapes.failing(bench)[:1] if bench.case else ():
        names |= dict.fromkeys(fixture.environment.read, "shadowlab-stand-in") | fixture.environment.values
        if fixture.db_environment:
            recorded = fixture.environment.values.get(fixture.db_environment, "")
            names[fixture.db_environment] = "sqlite:///contract.sqlite" if ":///" in recorded else "contract.sqlite"
    return {name: value for name, value in names.items() if not name.startswith(("PYTHON", "LD_", "PATH", "HOME"))}


def _changed(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two documents differ, as paths."""
    if isinstance(before, dict) and isinstance(after, dict):
        keys = before.keys() | after.keys()
        return [found for key in keys for found in _changed(before.get(key), after.get(key), f"{path}/{key}")]
    return [] if before == after else [path or "/"]
