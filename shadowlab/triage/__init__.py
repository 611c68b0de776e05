"""What deserves a look: what burns, which errors explain it, since which change, and what sets the failing apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shadowlab.triage import changes, slo
from shadowlab.triage.fingerprint import Corrections
from shadowlab.triage.stage import triage

if TYPE_CHECKING:
    from shadowlab.triage import plots
    from shadowlab.triage.page import html, suspect_html

__all__ = ["Corrections", "changes", "html", "plots", "slo", "suspect_html", "triage"]


def __getattr__(name: str) -> Any:
    """What draws, imported when it is first asked for: triage itself draws nothing."""
    from importlib import import_module

    match name:
        case "plots":
            return import_module("shadowlab.triage.plots")
        case "html" | "suspect_html":
            return getattr(import_module("shadowlab.triage.page"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
