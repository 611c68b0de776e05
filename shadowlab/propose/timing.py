"""What a change costs, measured on snippets of our own; nothing of the tree is run."""

from __future__ import annotations

import math
import timeit

from shadowlab.propose.codemods import Timed

ROUNDS, LOOPS = 7, 20


def cost_ms(timed: Timed) -> float:
    """Milliseconds that `after` takes longer than `before` for `timed.values` values, best of several rounds.

    Rounded up to a hundredth, since the last digits are noise; at least 0.01.
    """
    before = min(timeit.repeat(timed.before, timed.setup, repeat=ROUNDS, number=LOOPS)) / LOOPS
    after = min(timeit.repeat(timed.after, timed.setup, repeat=ROUNDS, number=LOOPS)) / LOOPS
    return max(math.ceil((after - before) * 1e5) / 100, 0.01)
