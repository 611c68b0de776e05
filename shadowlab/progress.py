"""Bars for long work: rich in a terminal, tqdm.auto in a notebook, nothing where nobody looks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 when that is not known)."""


class NotebookBars:
    """One tqdm.auto bar for each thing that is being done; a `Progress`."""

    def __init__(self) -> None:
        self._open: dict[str, Any] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        from tqdm.auto import tqdm

        bar = self._open.get(what)
        if bar is None:
            bar = self._open[what] = tqdm(total=total or None, desc=what, leave=False)
        bar.total = total or None
        bar.update(done - bar.n)
        if total and done >= total:
            self._open.pop(what).close()

    def close(self) -> None:
        """Close what is still open: the work failed or was cut short."""
        while self._open:
            self._open.popitem()[1].close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


class TerminalBars:
    """One rich bar for each thing that is being done, on standard error when that is a terminal; a `Progress`."""

    def __init__(self) -> None:
        self._tasks: dict[str, Any] = {}
        self._shown: Any = None

    def __call__(self, what: str, done: int, total: int) -> None:
        if not sys.stderr.isatty():
            return
        if self._shown is None:
            from rich.console import Console
            from rich.progress import Progress as RichProgress

            self._shown = RichProgress(console=Console(stderr=True), transient=True)
            self._shown.start()
        task = self._tasks.get(what)
        if task is None:
            task = self._tasks[what] = self._shown.add_task(what, total=total or None)
        self._shown.update(task, completed=done, total=total or None)
        if total and done >= total:
            self._shown.remove_task(self._tasks.pop(what))

    def close(self) -> None:
        """Take the bars off the screen."""
        if self._shown is not None:
            self._shown.stop()
        self._shown, self._tasks = None, {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()
