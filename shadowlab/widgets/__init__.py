"""Views to click in JupyterLab, each with a static twin for paper. They send back choices, never SQL and never code.

>>> from shadowlab import widgets
>>> chosen = widgets.Suspects(found, inv=inv)  # doctest: +SKIP
>>> chosen.selected.exemplars  # doctest: +SKIP
"""

from shadowlab.widgets.gates import Gates
from shadowlab.widgets.patch_review import Decision, PatchReview
from shadowlab.widgets.replay_diff import ReplayDiff
from shadowlab.widgets.suspects import Suspects

__all__ = ["Decision", "Gates", "PatchReview", "ReplayDiff", "Suspects"]
