"""One command per verb. Results go to standard output, everything else to standard error."""

from shadowlab.cli import taking_in, story, looking  # isort: skip  # their order is that of `--help`
from shadowlab.cli.commands import main

__all__ = ["looking", "main", "story", "taking_in"]
