"""Secrets in what a patch adds: named by kind and place, never shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from shadowlab.gates.bench import Bench
from shadowlab.gates.roles import Role
from shadowlab.records import Gate, Verdict
from shadowlab.scratch import Scratch

# Besides detect-secrets, whose scan alone finds a part of what people leave behind.
_PATTERNS = {
    "private key": r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY",
    "AWS access key": r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{30,})",
    "GitLab token": r"\bglpat-[A-Za-z0-9_-]{20,}",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    "Stripe key": r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,}",
    "model provider key": r"\bsk-[A-Za-z0-9_-]{20,}",
    "Google API key": r"\bAIza[0-9A-Za-z_-]{35}",
    "JSON web token": r"\beyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}",
    "password in a URL": r"\b[a-z][a-z0-9+.-]*://[^/\s:@'\"]+:[^/\s:@'\"{}$<>]{3,}@",
    "assigned secret": r"(?i)\b\w*(?:passw(?:or)?d|secret|api_?key|access_?token|auth_?token)\w*\s*[:=]\s*"
                       r"['\"][^'\"\s{}$<>]{8,}['\"]",
    "authorization header": r"(?i)\b(?:bearer|basic)\s+[A-Za-z0-9+/_.=-]{20,}",
}  # fmt: skip
_OWN = {kind: re.compile(pattern) for kind, pattern in _PATTERNS.items()}
_SUFFIXES = (".py", ".json", ".toml", ".yaml", ".yml", ".ini", ".cfg", ".md", ".sh", ".env", ".sql")
_HEX_ID = re.compile(r"\b[0-9a-f]{16,64}\b")


def secrets(bench: Bench) -> tuple[Gate, ...]:
    """detect-secrets and own patterns on the added lines, of the judge's split-off files too."""
    known = _known_ids(bench)
    found, lines = [], 0
    for part in (part for role in Role for part in bench.parts_of(role)):
        added = [(n, _HEX_ID.sub(lambda m: "" if m[0] in known else m[0], text)) for n, text in part.change.added]
        lines += len(added)
        kinds = sorted({*_own(added), *_detected(added, PurePosixPath(part.change.path).suffix)})
        found += [f"{part.change.path}:{number}: {kind}" for number, kind in kinds]
    return (
        Gate(
            name="secrets",
            verdict=Verdict.FAIL if found else Verdict.PASS,
            observed=f"{len(found)} found in {lines} added lines",
            limit="0",
            detail="; ".join(found[:20]) or "detect-secrets and own patterns, values never shown",
        ),
    )


_Line = tuple[int, str]


def _own(added: list[_Line]) -> Iterator[tuple[int, str]]:
    yield from ((number, kind) for number, text in added for kind, pattern in _OWN.items() if pattern.search(text))


def _detected(added: list[_Line], suffix: str) -> Iterator[tuple[int, str]]:
    from detect_secrets.core.scan import scan_file
    from detect_secrets.settings import default_settings

    with Scratch("shadowlab-secrets-") as scratch, default_settings() as settings:
        # A comment in the patch could allow its own secret; a file's name could hide it from the scan.
        settings.disable_filters("detect_secrets.filters.allowlist.is_line_allowlisted")
        place = scratch.path / f"added{suffix if suffix in _SUFFIXES else '.txt'}"
        place.write_text("\n".join(text.replace("\r", " ") for _, text in added))
        for secret in scan_file(str(place)):
            yield added[secret.line_number - 1][0], secret.type


def _known_ids(bench: Bench) -> set[str]:
    """Ids that the evidence gave: a test may cite them, and they open nothing."""
    ids = {bench.revision, bench.diagnosis.trace_id or "", bench.diagnosis.suspect or "", bench.replay.suspect or ""}
    return ids | set(bench.diagnosis.recordings) | {run.recording for run in bench.replay.runs} - {""}
