"""The error groups of a triage: choose one, see its exemplars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import traitlets

from shadowlab import errors, views
from shadowlab.records import Replay, Suspect, Triage
from shadowlab.widgets.view import View, index_in, script

if TYPE_CHECKING:
    from shadowlab.investigation import Investigation


class Suspects(View):
    """Suspects of `triage`; `selected` is the chosen one. With `inv` an exemplar shows its waterfall, and the button
    replays the chosen suspect `times` times."""

    _esm = script("suspects.js")
    offered: traitlets.List[dict[str, Any]] = traitlets.List().tag(sync=True)
    index = traitlets.Int(0).tag(sync=True)
    """Which suspect is chosen, from 0."""
    waterfall = traitlets.Unicode().tag(sync=True)
    """SVG of the exemplar that was asked for."""

    def __init__(self, triage: Triage, *, inv: Investigation | None = None, times: int = 20) -> None:
        self.triage, self.times = triage, times
        super().__init__(
            inv=inv,
            button=f"Replay it {times} times",
            page=views.suspects(triage).html,
            offered=[_offered(suspect) for suspect in triage.suspects],
        )

    @property
    def selected(self) -> Suspect:
        """The chosen suspect; raises `UsageError` when triage found none."""
        return self.triage.suspects[self.index] if self.triage.suspects else self.triage.top

    def verb(self, inv: Investigation) -> Replay:
        """Replay the chosen suspect."""
        return inv.replay(self.selected, times=self.times)

    def heard(self, content: dict[str, Any]) -> None:
        """A chosen suspect, or an exemplar of it to look at."""
        if (chosen := index_in(content, "suspect", len(self.triage.suspects))) is not None:
            self.index, self.waterfall = chosen, ""
        elif self.inv is not None and self.triage.suspects:
            traces = self.selected.exemplars
            if (which := index_in(content, "exemplar", len(traces))) is not None:
                self._look(self.inv, traces[which])

    def _look(self, inv: Investigation, trace: str) -> None:
        try:
            shown = inv.plots.waterfall(trace)
        except errors.ShadowlabError as exc:
            self.message = str(exc)
            return
        self.waterfall = shown.svg if isinstance(shown, views.Picture) else ""


def _offered(suspect: Suspect) -> dict[str, Any]:
    """What the browser shows of a suspect, as text."""
    deepest = next((f"{f.file}:{f.line} {f.function}" for f in reversed(suspect.frames) if f.in_app), "")
    return {
        "title": suspect.title,
        "where": f"{suspect.service}: {suspect.operation}",
        "frame": deepest,
        "events": suspect.events,
        "recordings": len(suspect.recordings),
        "seen": f"{suspect.first_seen:%H:%M:%S} to {suspect.last_seen:%H:%M:%S} UTC",
        "exemplars": list(suspect.exemplars),
        "contrast": [c.said for c in suspect.contrast[:4]],
        "fingerprint": suspect.fingerprint,
    }
