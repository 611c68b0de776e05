"""Whether errors grow from a deploy on instead of beginning at some moment: ids that collide, a table that fills."""

from __future__ import annotations

from typing import Any


def grows(failing: Any) -> bool:
    """Whether failures in a row of requests since a deploy (booleans) grow in proportion to the requests before them.

    Two models are compared by likelihood: a rate that rises from nothing in a straight line, with one parameter, and
    the best step between two constant rates, with three. The step must be better by more than its parameters are
    worth (Schwarz's criterion, 1978), else it is growth. Fewer than ten failures prove no growth.
    """
    import numpy as np

    failing = np.asarray(failing, dtype=bool)
    n, total = len(failing), int(failing.sum())
    if total < 10 or total == n:
        return False
    place = np.arange(1, n + 1)
    slope = total / place.sum()
    line = float(np.log(slope * place[failing]).sum()) - total
    before = np.concatenate([[0], np.cumsum(failing)])[:-1]
    k = np.arange(n)
    step = float(np.max(_constant(before, k) + _constant(total - before, n - k)))
    return bool(line > step - np.log(n))


def _constant(failed: Any, requests: Any) -> Any:
    """Log likelihood of Poisson counts at their own best rate."""
    import numpy as np

    rate = np.divide(failed, requests, out=np.zeros(len(failed)), where=requests > 0)
    return failed * np.log(np.where(failed > 0, rate, 1.0)) - failed
