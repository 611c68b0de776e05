"""One command per verb. Results go to standard output, everything else to standard error."""

from shadowlab.cli import ingestion, incident, inspection, sharing, tour  # isort: skip  # their order is that of `--help`
from shadowlab.cli.commands import main

__all__ = ["incident", "ingestion", "inspection", "main", "sharing", "tour"]
