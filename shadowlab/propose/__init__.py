"""Turn a diagnosis into candidate patches; the gates judge them."""

from shadowlab.propose.request import Constraints, replay_command, request, schema
from shadowlab.propose.stage import PROPOSERS, propose

__all__ = ["PROPOSERS", "Constraints", "propose", "replay_command", "request", "schema"]
