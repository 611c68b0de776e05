"""Decide with numbers whether a patch may go on: checks, tests, replay, speed, the shadow run.

One file a gate family; `stage` puts them in order, `bench` holds the trees, `canary` judges counts that are watched.

>>> judge((0, 10), (7, 10)).verdict.value
'fail'
"""

from shadowlab.gates.canary import judge
from shadowlab.gates.stage import gate

__all__ = ["gate", "judge"]
