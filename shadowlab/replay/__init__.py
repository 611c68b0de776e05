"""Run a recorded request again, alone: a copy of its world, held still, as often as you like.

The supervisor (`runner`, `server`) starts a fork server inside a sandbox (`sandboxes`), which imports the service once
and forks a child for each run (`inside`). `recording` and `fixture` read what the recorder wrote; `compare` and
`ledger` say what a replay is worth.
"""

from shadowlab.replay.changes import compare_trees
from shadowlab.replay.event import from_event
from shadowlab.replay.exporting import Exported, export
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.jobs import Hooks
from shadowlab.replay.minimise import minimise
from shadowlab.replay.plain_test import to_pytest
from shadowlab.replay.recording import is_recording, listed, load, snapshot, take_in
from shadowlab.replay.replaying import replay
from shadowlab.replay.results import Calls, MirrorResult, RunResult
from shadowlab.replay.runner import Runner
from shadowlab.replay.schedules import Search, explore
from shadowlab.replay.trees import apply, tree_of

__all__ = [
    "Calls",
    "Exported",
    "Fixture",
    "Hooks",
    "MirrorResult",
    "RunResult",
    "Runner",
    "Search",
    "apply",
    "compare_trees",
    "explore",
    "export",
    "from_event",
    "is_recording",
    "listed",
    "load",
    "minimise",
    "replay",
    "snapshot",
    "take_in",
    "to_pytest",
    "tree_of",
]
