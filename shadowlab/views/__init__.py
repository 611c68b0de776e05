"""Pictures and tables of records, made once, for the notebook, the page, the code host and the printer alike.

>>> from shadowlab import views
>>> views.patch(inv.latest(sl.Proposal))  # doctest: +SKIP
"""

from shadowlab.views.answers import answers
from shadowlab.views.around import changes, exemplars, logs, notes, services
from shadowlab.views.compare import compare
from shadowlab.views.findings import (
    attempts,
    commits,
    contrast,
    effects,
    held,
    hypotheses,
    interventions,
    objectives,
    slices,
    suspects,
)
from shadowlab.views.ledger import ledger
from shadowlab.views.missing import missing
from shadowlab.views.recorded import recorded
from shadowlab.views.remedies import gates, patch, patch_in_full, rationale, statistics, steps
from shadowlab.views.shown import Page, Picture, picture
from shadowlab.views.sidebyside import in_full, side_by_side
from shadowlab.views.summary import glance
from shadowlab.views.tables import grid

__all__ = [
    "Page",
    "Picture",
    "answers",
    "attempts",
    "changes",
    "commits",
    "compare",
    "contrast",
    "effects",
    "exemplars",
    "gates",
    "glance",
    "grid",
    "held",
    "hypotheses",
    "in_full",
    "interventions",
    "ledger",
    "logs",
    "missing",
    "notes",
    "objectives",
    "patch",
    "patch_in_full",
    "picture",
    "rationale",
    "recorded",
    "services",
    "side_by_side",
    "slices",
    "statistics",
    "steps",
    "suspects",
]
