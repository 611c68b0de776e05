"""What every view has: a static page, a button that runs the next verb, a bar while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import anywidget
import traitlets

from shadowlab import errors
from shadowlab.records import Record
from shadowlab.views import Page

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation

_HERE = Path(__file__).parent


def script(name: str) -> str:
    """A view's script: what all views share, then its own part."""
    return (_HERE / "view.js").read_text() + (_HERE / name).read_text()


class View(anywidget.AnyWidget):
    """A view over one record. With `inv` at hand its button runs the next verb; `result` is what came of it.

    What the browser sends is looked up among what was offered; anything else is ignored.
    """

    _css = (_HERE / "view.css").read_text()
    page = traitlets.Unicode().tag(sync=True)
    """Static HTML in which everything from outside is escaped."""
    button = traitlets.Unicode().tag(sync=True)
    """What the button says; empty when there is none."""
    state = traitlets.Unicode("ready").tag(sync=True)
    """`ready`, `running`, `done`, `failed`."""
    message = traitlets.Unicode().tag(sync=True)
    progress = traitlets.Dict().tag(sync=True)
    """`what`, `done`, `total` of the running verb."""

    def __init__(self, *, inv: Investigation | None = None, button: str = "", **traits: Any) -> None:
        self.inv = inv
        self.result: Record | None = None
        super().__init__(button=button if inv is not None else "", **traits)
        self.on_msg(self._heard)

    def verb(self, inv: Investigation) -> Record:
        """What the button runs."""
        raise errors.UsageError("this view has no verb of its own")

    def run(self) -> None:
        """Press the button: run the verb, show its progress, keep its record in `result`."""
        if self.inv is None or self.state == "running":
            return
        self.state, self.message, self.progress = "running", "", {}
        before, self.inv.progress = self.inv.progress, self._tell
        try:
            self.result = self.verb(self.inv)
            self.state, self.message = "done", repr(self.result)
        except errors.ShadowlabError as exc:
            self.state, self.message = "failed", str(exc)
        except BaseException as exc:
            self.state, self.message = "failed", type(exc).__name__
            raise
        finally:
            self.inv.progress = before

    def pages(self) -> tuple[Page, ...]:
        """The static twin, part by part."""
        return (Page(self.page, type(self).__name__),)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} view>"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        shown = super()._repr_mimebundle_(**kwargs)
        if shown is None:
            return None
        content, metadata = shown
        return {**content, "text/html": "".join(page.html for page in self.pages())}, metadata

    def _tell(self, what: str, done: int, total: int) -> None:
        self.progress = {"what": what, "done": done, "total": total}

    def _heard(self, _: object, content: object, __: object) -> None:
        if not isinstance(content, dict):
            return
        if content.get("press") is True:
            self.run()
        else:
            self.heard(content)

    def heard(self, content: dict[str, Any]) -> None:
        """A choice that the browser sent."""


def index_in(content: dict[str, Any], key: str, size: int) -> int | None:
    """The choice `key` when it is one of `size` that were offered."""
    chosen = content.get(key)
    return chosen if isinstance(chosen, int) and not isinstance(chosen, bool) and 0 <= chosen < size else None
