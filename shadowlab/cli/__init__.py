"""One command per verb. Results go to standard output, everything else to standard error.

Exit codes: 0 done, and a positive verdict where there is one; 1 a negative or inconclusive verdict; 2 misuse, or input
that cannot be used; 70 a fault of shadowlab itself; 130 interrupted.
"""

from shadowlab.cli import taking_in, story, looking  # isort: skip  # their order is that of `--help`
from shadowlab.cli.commands import main

__all__ = ["looking", "main", "story", "taking_in"]
