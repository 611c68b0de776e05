"""Decide with numbers whether a patch may go on: checks, tests, replay, speed, the shadow run.

>>> judge((0, 10), (7, 10)).verdict.value
'fail'
"""

from shadowlab.gates.canary import judge

__all__ = ["judge"]
