"""A divisor that is zero."""

from __future__ import annotations

from collections.abc import Iterator

from shadowlab.diagnose.patterns.base import Clue, Guess

_ERRORS = ("ZeroDivisionError", "DivisionByZero", "decimal.DivisionByZero", "DivisionUndefined")


def guess(clue: Clue) -> Iterator[Guess]:
    """One guess for each divisor on the failing line."""
    import libcst as cst

    if clue.failure.type not in _ERRORS:
        return
    raised = f"{clue.failure.type}: {clue.failure.message}"
    empty = cst.Module(body=[])
    divisions = [node for node, _ in clue.at_failing_line(cst.BinaryOperation) if isinstance(node, cst.BinaryOperation)]
    divisors = [
        empty.code_for_node(node.right).strip()
        for node in divisions
        if isinstance(node.operator, cst.Divide | cst.FloorDivide | cst.Modulo)
    ]
    for text in dict.fromkeys(divisors):
        swaps = clue.swaps("set-value", only=text, value=1)
        yield Guess("value", f"`{text}` is zero at {clue.where}", clue.location, (raised,), swaps)
    if not divisors:
        yield Guess("value", f"a divisor is zero at {clue.where}", clue.location, (raised,))
