"""The nouns, in the order in which an incident meets them.

A record is what one stage hands to the next: frozen, keyword-only, and named by the SHA-256 of its canonical JSON
(RFC 8785). Its `parents` are the digests of the records it was made from, so provenance needs no hidden state.

>>> plan = Plan(files=(), steps=("merge",), approvals=("payments",), rollback="git revert")
>>> plan == from_json(plan.to_json())
True
"""

from shadowlab.records.base import Judged, Record, Verdict, canonical, digest_of, overall, table
from shadowlab.records.diagnosis import Commit, Diagnosis, Hypothesis, Intervention, Location, Slice, Status
from shadowlab.records.evidence import Check, Plan, Report, Verification
from shadowlab.records.gates import Gate, GateReport, Judgement, Statistic
from shadowlab.records.ingest import Ingest, IngestedFile, Query, Rejected, Unreplayable
from shadowlab.records.kept import from_json
from shadowlab.records.proposal import Candidate, Proposal, Risk
from shadowlab.records.replay import (
    Attempt,
    Control,
    Effect,
    Failure,
    Finding,
    Need,
    Outcome,
    Outline,
    Recording,
    Recordings,
    Replay,
)
from shadowlab.records.triage import (
    Blamed,
    BurnWindow,
    Change,
    Contrast,
    Edge,
    ErrorBucket,
    Frame,
    LogGroup,
    Objective,
    Suspect,
    Triage,
)
from shadowlab.records.variants import Became, Compared, Comparison, Exploration, Minimised, Part, comparison

STORY = (Ingest, Triage, Replay, Diagnosis, Proposal, GateReport, Plan)
"""What a report tells of, in the order in which an incident meets it."""

__all__ = [
    "STORY",
    "Attempt",
    "Became",
    "Blamed",
    "BurnWindow",
    "Candidate",
    "Change",
    "Check",
    "Commit",
    "Compared",
    "Comparison",
    "Contrast",
    "Control",
    "Diagnosis",
    "Edge",
    "Effect",
    "ErrorBucket",
    "Exploration",
    "Failure",
    "Finding",
    "Frame",
    "Gate",
    "GateReport",
    "Hypothesis",
    "Ingest",
    "IngestedFile",
    "Intervention",
    "Judged",
    "Judgement",
    "Location",
    "LogGroup",
    "Minimised",
    "Need",
    "Objective",
    "Outcome",
    "Outline",
    "Part",
    "Plan",
    "Proposal",
    "Query",
    "Record",
    "Recording",
    "Recordings",
    "Rejected",
    "Replay",
    "Report",
    "Risk",
    "Slice",
    "Statistic",
    "Status",
    "Suspect",
    "Triage",
    "Unreplayable",
    "Verdict",
    "Verification",
    "canonical",
    "comparison",
    "digest_of",
    "from_json",
    "overall",
    "table",
]
