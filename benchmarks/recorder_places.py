"""Where a process's memory lies, drawn anew, so that no arrangement is measured at one place only.

What the same instructions cost depends on the addresses that they touch, and those on what was made before and on how
deep the stack is: Mytkowicz, Diwan, Hauswirth, Sweeney, "Producing wrong data without doing anything obviously wrong!",
ASPLOS 2009; drawn anew as in Curtsinger and Berger, "Stabilizer", ASPLOS 2013.
"""

from functools import partial

MOST = 600
"""Objects of one size."""
DEEPEST = 30
"""Frames."""

_held = []


def move(chance):
    """Makes objects of each size that the interpreter's allocator knows: what comes after lies behind them."""
    _held.append([float(n) for n in range(chance.randrange(MOST))])
    _held.extend([bytes(size) for _ in range(chance.randrange(MOST))] for size in range(8, 480, 16))


def deeper(depth, call):
    """`call` below so many more frames, of the interpreter's stack and, as it goes through C, of the processor's."""
    return partial(deeper, depth - 1, call)() if depth else call()
