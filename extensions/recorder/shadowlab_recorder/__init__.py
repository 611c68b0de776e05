"""Keep what a failing request needs to live again.

::

    import shadowlab_recorder

    app = shadowlab_recorder.record(app, directory="recordings", environment=("TAX_RATE",))
"""

from __future__ import annotations

from shadowlab_recorder.asgi import RecordedApp
from shadowlab_recorder.flags import hook as flag_hook
from shadowlab_recorder.front import configure, record
from shadowlab_recorder.recorder import Recorder
from shadowlab_recorder.redaction import DENIED_NAMES
from shadowlab_recorder.snapshot import SqliteSnapshot
from shadowlab_recorder.snapshot_postgres import PostgresSnapshot
from shadowlab_recorder.wsgi import RecordedWsgiApp

__all__ = [
    "DENIED_NAMES",
    "PostgresSnapshot",
    "RecordedApp",
    "RecordedWsgiApp",
    "Recorder",
    "SqliteSnapshot",
    "__version__",
    "configure",
    "flag_hook",
    "record",
]
__version__ = "0.1.0"
