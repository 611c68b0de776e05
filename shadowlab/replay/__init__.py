"""Run a recorded request again, alone: a copy of its world, held still, as often as you like.

The supervisor (`runner`, `server`) starts a fork server inside a sandbox (`sandboxes`), which imports the service once
and forks a child for each run (`inside`). `recording` and `fixture` read what the recorder wrote; `compare` and
`ledger` say what a replay is worth. A name is loaded when it is first used: taking telemetry in needs none of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from shadowlab.replay.changes import compare_trees as compare_trees
    from shadowlab.replay.event import from_event as from_event
    from shadowlab.replay.exporting import Exported as Exported
    from shadowlab.replay.exporting import export as export
    from shadowlab.replay.fixture import Fixture as Fixture
    from shadowlab.replay.jobs import Hooks as Hooks
    from shadowlab.replay.minimising import minimise as minimise
    from shadowlab.replay.plain_test import to_pytest as to_pytest
    from shadowlab.replay.recording import is_recording as is_recording
    from shadowlab.replay.recording import listed as listed
    from shadowlab.replay.recording import load as load
    from shadowlab.replay.recording import snapshot as snapshot
    from shadowlab.replay.recording import take_in as take_in
    from shadowlab.replay.replaying import replay as replay
    from shadowlab.replay.results import Calls as Calls
    from shadowlab.replay.results import MirrorResult as MirrorResult
    from shadowlab.replay.results import RunResult as RunResult
    from shadowlab.replay.runner import Runner as Runner
    from shadowlab.replay.schedules import Search as Search
    from shadowlab.replay.schedules import explore as explore
    from shadowlab.replay.trees import apply as apply
    from shadowlab.replay.trees import tree_of as tree_of

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

_PLACES: Final = {
    "Calls": "results",
    "Exported": "exporting",
    "Fixture": "fixture",
    "Hooks": "jobs",
    "MirrorResult": "results",
    "RunResult": "results",
    "Runner": "runner",
    "Search": "schedules",
    "apply": "trees",
    "compare_trees": "changes",
    "explore": "schedules",
    "export": "exporting",
    "from_event": "event",
    "is_recording": "recording",
    "listed": "recording",
    "load": "recording",
    "minimise": "minimising",
    "replay": "replaying",
    "snapshot": "recording",
    "take_in": "recording",
    "to_pytest": "plain_test",
    "tree_of": "trees",
}
"""In which module of this room each name is."""


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'shadowlab.replay' has no attribute {name!r}")
    return getattr(import_module(f"shadowlab.replay.{_PLACES[name]}"), name)
