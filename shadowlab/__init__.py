"""Shadow mode debugging: from a trace to a proved fix, inside a notebook that an auditor can check.

>>> import shadowlab as sl
>>> sl.Verdict.PASS
<Verdict.PASS: 'pass'>

Nothing happens on import; a name is loaded when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from shadowlab.errors import ShadowlabError as ShadowlabError
    from shadowlab.investigation import Investigation as Investigation
    from shadowlab.investigation import open_investigation as open
    from shadowlab.records import Comparison as Comparison
    from shadowlab.records import Diagnosis as Diagnosis
    from shadowlab.records import Exploration as Exploration
    from shadowlab.records import GateReport as GateReport
    from shadowlab.records import Ingest as Ingest
    from shadowlab.records import Judgement as Judgement
    from shadowlab.records import Minimised as Minimised
    from shadowlab.records import Plan as Plan
    from shadowlab.records import Proposal as Proposal
    from shadowlab.records import Recording as Recording
    from shadowlab.records import Replay as Replay
    from shadowlab.records import Report as Report
    from shadowlab.records import Suspect as Suspect
    from shadowlab.records import Triage as Triage
    from shadowlab.records import Verdict as Verdict
    from shadowlab.records import Verification as Verification

_RECORDS = (
    "Comparison",
    "Diagnosis",
    "Exploration",
    "GateReport",
    "Ingest",
    "Judgement",
    "Minimised",
    "Plan",
    "Proposal",
    "Recording",
    "Replay",
    "Report",
    "Suspect",
    "Triage",
    "Verdict",
    "Verification",
)
__all__ = ["Investigation", "ShadowlabError", "__version__", "open", *_RECORDS]


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name in _RECORDS:
        return getattr(import_module("shadowlab.records"), name)
    match name:
        case "open":
            return import_module("shadowlab.investigation").open_investigation
        case "Investigation":
            return import_module("shadowlab.investigation").Investigation
        case "ShadowlabError":
            return import_module("shadowlab.errors").ShadowlabError
        case "widgets":
            return import_module("shadowlab.widgets")
    raise AttributeError(f"module 'shadowlab' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


def load_ipython_extension(ipython: Any) -> None:
    """`%load_ext shadowlab`: `%sql` and `%%sql` over the case at hand."""
    from importlib import import_module

    import_module("shadowlab.magic").load(ipython)
