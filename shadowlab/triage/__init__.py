"""What deserves a look: what burns, which errors explain it, since which change, and what sets the failing apart."""

from __future__ import annotations

from shadowlab.triage import changes, plots, slo
from shadowlab.triage.fingerprint import Corrections
from shadowlab.triage.page import html, suspect_html
from shadowlab.triage.stage import triage

__all__ = ["Corrections", "changes", "html", "plots", "slo", "suspect_html", "triage"]
