"""What is known of causes by exception: one file a pattern, asked in turn.

A pattern reads the failure and the slice and guesses; it never says *confirmed*. A guess that names a `Swap` can be put
to the test: the replay replaces the value, and the outcome tells.
"""

from shadowlab.diagnose.patterns import anywhere, missing_key, none_value, not_json, zero_division
from shadowlab.diagnose.patterns.base import Clue, Guess, Pattern, Swap

PATTERNS: tuple[Pattern, ...] = (not_json.guess, none_value.guess, missing_key.guess, zero_division.guess)


def guesses(clue: Clue) -> tuple[Guess, ...]:
    """What the patterns that know this failure say of it, else the honest general answer."""
    found = tuple(guess for pattern in PATTERNS for guess in pattern(clue))
    return found or tuple(anywhere.guess(clue))


__all__ = ["PATTERNS", "Clue", "Guess", "Pattern", "Swap", "guesses"]
