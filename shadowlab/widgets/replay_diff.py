"""What was recorded beside what the replay did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import traitlets

from shadowlab import views
from shadowlab.records import Diagnosis, Recording, Replay
from shadowlab.views import Page
from shadowlab.widgets.view import View, script

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation


class ReplayDiff(View):
    """`recorded` (a `Recording`, or what `inv.show(id)` gives of one) beside its `replayed` outcome.

    The nondeterminism ledger can be opened beneath. With `inv` the button diagnoses the replay.
    """

    _esm = script("replay_diff.js")
    ledger = traitlets.Unicode().tag(sync=True)
    """The nondeterminism ledger as static HTML."""

    def __init__(
        self, recorded: Recording | Mapping[str, Any] | Any, replayed: Replay, *, inv: Investigation | None = None
    ) -> None:
        self.replayed = replayed
        fixture = getattr(recorded, "document", recorded)
        self._pages = (views.compare(fixture, replayed), views.effects(replayed))
        super().__init__(inv=inv, button="Diagnose it", page=self._pages[0].html, ledger=self._pages[1].html)

    def verb(self, inv: Investigation) -> Diagnosis:
        """Diagnose the replay."""
        return inv.diagnose(self.replayed)

    def pages(self) -> tuple[Page, ...]:
        """The comparison, then the nondeterminism ledger."""
        return self._pages
