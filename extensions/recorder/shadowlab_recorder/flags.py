"""The feature flags that a request asked for, through a hook of OpenFeature."""

from __future__ import annotations

from typing import Any

from shadowlab_recorder.quiet import quietly
from shadowlab_recorder.tape import current


def hook() -> Any:
    """A hook to be added with `openfeature.api.add_hooks([shadowlab_recorder.flag_hook()])`.

    Each flag that a recorded request evaluates is kept with its value. Raises `ImportError` without openfeature-sdk.
    """
    from openfeature.hook import Hook

    class Seen(Hook):  # type: ignore[misc]  # openfeature is Any here
        def after(self, hook_context: Any, details: Any, hints: Any) -> None:
            quietly(_seen, details.flag_key, details.value)

    return Seen()


def _seen(name: str, value: Any) -> None:
    tape = current()
    if tape is not None:
        tape.flags[str(name)] = value
