"""Bars for long work: rich in a terminal, one line beneath the cell in a notebook, nothing where nobody looks."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Callable
from importlib import import_module
from types import TracebackType
from typing import Any, Self

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is (0 when that is not known)."""


def wanted(asked: Progress | str | None) -> Progress | None:
    """Whom to tell of progress: `asked` itself; for `"auto"` a notebook's bars, and nobody elsewhere."""
    if asked != "auto":
        return None if isinstance(asked, str) else asked
    return NotebookBars() if "ipykernel" in sys.modules else None


class NotebookBars:
    """One bar beneath the running cell, for whatever is being done; a `Progress`.

    It is gone when the work or its cell is done, from the saved notebook too: a report holds no dead bars.
    """

    def __init__(self) -> None:
        self._now: str | None = None
        self._handle: Any = None
        self._cell: object = None
        self._shown_at = 0.0

    def __call__(self, what: str, done: int, total: int) -> None:
        ended = bool(total) and done >= total
        now = time.monotonic()
        if ended or what != self._now or now - self._shown_at > 0.1:
            self._shown_at = now
            self._show("" if ended else _bar(what, done, total))
        self._now = None if ended else what

    def close(self) -> None:
        """Take away what is still shown: the work failed or was cut short."""
        self._now = None
        self._show("")

    def _show(self, markup: str) -> None:
        from IPython import get_ipython

        display: Any = import_module("IPython.display")
        shell = get_ipython()
        cell = getattr(shell, "execution_count", None)
        content = display.HTML(markup)
        if self._handle is not None and self._cell == cell:
            self._handle.update(content)
        elif markup:
            self._cell, self._handle = cell, display.display(content, display_id=True)
            if shell is not None:
                shell.events.register("post_run_cell", self._cell_ended)

    def _cell_ended(self, result: object) -> None:
        """What never came to its last step ends with the cell: some stages give each step a name of its own."""
        from IPython import get_ipython

        self._now = None
        self._handle.update(import_module("IPython.display").HTML(""))
        self._handle = None
        if (shell := get_ipython()) is not None:
            shell.events.unregister("post_run_cell", self._cell_ended)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def _bar(what: str, done: int, total: int) -> str:
    share = f"value='{done}' max='{total}'" if total else ""
    count = f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""
    return f"<div><progress {share}></progress> {html.escape(what)} {count}</div>"


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
