"""What burns, which errors explain it, and since when."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar, Self

from shadowlab import errors
from shadowlab.records.base import Record, counted


@dataclass(frozen=True, kw_only=True, slots=True)
class BurnWindow:
    """How one objective did over one window that ends at the triage's time."""

    burn_rate: float | None
    """Bad share over the allowed share; None when the window holds no request."""
    budget_spent: float
    """Share of the whole period's error budget that this window spent."""
    bad: int
    total: int
    alert: str | None = None
    """`page` or `ticket` when this window's condition holds."""
    series: tuple[float | None, ...] = ()
    """Burn rates of 24 equal slices of the window, oldest first; None for a slice without a request."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Objective:
    """One service level objective, measured."""

    name: str
    service: str
    operation: str | None
    indicator: str
    """`availability` or `latency`."""
    target: float
    """Share of good requests that is promised."""
    period: timedelta
    windows: Mapping[str, BurnWindow]
    budget_spent: float
    """Share of the period's error budget spent in the window that triggers (30 minutes unless told otherwise)."""
    alert: str | None = None
    source: str = ""
    """Where it was defined: a file, or `default`."""
    triggered: bool = False
    """Whether the window that triggers spent enough of the budget to raise an incident."""
    trigger: str = ""
    """The rule that raises it, in words."""
    exemplars: tuple[str, ...] = ()
    """Where latency burns: trace ids of slow requests of the window in different shapes, recorded ones first, then the
    slowest. Empty where failures burn: suspects have theirs."""
    controls: tuple[str, ...] = ()
    """Trace ids of quick requests of the same operation, each the nearest in shape to one exemplar."""
    recordings: tuple[str, ...] = ()
    """Ids of the recordings of these exemplars that are in the case."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """One frame of a stack, outermost first wherever frames are listed."""

    file: str
    """Path in the source tree when `in_app`, else as the runtime named it."""
    function: str
    line: int | None = None
    in_app: bool = False
    text: str | None = None
    """The source line, where the stack showed it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contrast:
    """One attribute value that sets failing requests apart from passing ones."""

    attribute: str
    value: str
    selection: float
    """Share of the failing requests that have it."""
    baseline: float
    """Share of the passing requests that have it."""
    effect: float
    """Difference of the two shares."""
    q: float
    """Benjamini-Hochberg adjusted p over everything that was looked at."""
    same_as: tuple[str, ...] = ()
    """Other `attribute=value` pairs that select the same spans."""
    interval: tuple[float, float] | None = None
    """95 % interval of the effect."""
    lift: float | None = None
    """Share of the failing over the share of the passing; None when no passing request has it."""
    support: int = 0
    """Requests that have it, failing or passing."""
    kind: str = "value"
    """`value`, `number` (beyond a bound), `set` (one of several values), `pair` (two that only together tell)."""

    @property
    def said(self) -> str:
        """The attribute and its value in words: `region = eu`, `cart.items >= 41`, `tenant is one of a, b`."""
        between = {"number": " ", "set": " is "}.get(self.kind, " = ")
        return f"{self.attribute}{between}{self.value}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """Something that changed in production: a deploy, a flag, a configuration."""

    kind: str
    service: str
    at: datetime
    before: str | None
    after: str
    before_revision: str | None = None
    after_revision: str | None = None
    evidence: tuple[str, ...] = ()
    p: float | None = None
    """Chance of a split of errors between old and new as uneven as this one, were both alike; None when not linked."""


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Suspect(Record):
    """One group of errors of one service operation, and why triage points at it."""

    fingerprint: str
    title: str
    service: str
    operation: str
    events: int
    """Errors in the window; `first_seen` and `last_seen` are those of the whole case, up to triage's time."""
    traces: int
    first_seen: datetime
    last_seen: datetime
    exemplars: tuple[str, ...]
    """Trace ids that show the symptom in different request shapes, best first."""
    exception_type: str | None = None
    exception_message: str | None = None
    """With its parameters masked."""
    frames: tuple[Frame, ...] = ()
    """The stack of the first exemplar, outermost first."""
    recordings: tuple[str, ...] = ()
    """Ids of recordings of its traces that are in the case, exemplars' first."""
    contrast: tuple[Contrast, ...] = ()
    change: Change | None = None
    controls: tuple[str, ...] = ()
    """Trace ids of passing requests of the same operation, each the nearest in shape to one exemplar."""
    budget_burned: float = 0.0
    """Requests that it broke in the window, over those that the objectives allow to break in it (one at the least)."""
    onset: tuple[datetime, datetime] | None = None
    """When its rate changed: the ends of a 99 % interval; None when no change of rate is proved."""
    why: str = ""
    """Which frames or tokens decided the fingerprint, and why it ranks where it does."""
    users: int = 0
    """Different users that its failing requests name in the window; 0 where no attribute names any."""
    tenants: int = 0
    """Different tenants, customers or accounts, likewise."""
    seen_from: tuple[str, ...] = ()
    """Other services that its failing requests pass through on their way back: the same fault, counted once."""

    kept: ClassVar[bool] = False

    def plot_contrast(self) -> Any:
        """Bars of what sets its failing requests apart (a plotly figure)."""
        return self.investigation.plots.contrast(self)

    def _repr_html_(self) -> str:
        """A small page where an investigation handed it out, else a table."""
        try:
            return str(self.investigation.plots.page(self))
        except errors.ShadowlabError:
            return Record._repr_html_(self)

    def _summary(self) -> str:
        return f" {self.title} ({counted(self.events, 'event')})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Blamed:
    """One service in the ranking of where it starts."""

    service: str
    score: float
    evidence: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Edge:
    """Calls of one service by another in the window."""

    caller: str
    callee: str
    calls: int
    errors: int
    """Calls whose answering span failed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LogGroup:
    """Log records of one service that say the same, their parameters masked."""

    fingerprint: str
    service: str
    template: str
    severity: str
    """The loudest of its records: `error`, `warn`, `info` …; empty where none says."""
    events: int
    """Records in the window."""
    before: int
    """Records in the window before."""
    traces: int
    failing: int
    """Records of traces that hold an error."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorBucket:
    """Requests of the objective's operation in one slice of time, for the timeline."""

    at: datetime
    total: int
    bad: int
    by_fingerprint: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True, repr=False)
class Triage(Record):
    """What burns, which errors explain it, since which change, and what is worth replaying."""

    at: datetime
    window: timedelta
    objectives: tuple[Objective, ...] = ()
    incident: bool = False
    """Whether an objective's trigger holds."""
    suspects: tuple[Suspect, ...] = ()
    services: tuple[Blamed, ...] = ()
    changes: tuple[Change, ...] = ()
    timeline: tuple[ErrorBucket, ...] = ()
    edges: tuple[Edge, ...] = ()
    """Who calls whom, most calls first."""
    blamed_path: tuple[str, ...] = ()
    """Services from the outermost caller to the one that is blamed first; empty when nobody is."""
    logs: tuple[LogGroup, ...] = ()
    """Log records without an exception, in groups: those that became more common first."""
    notes: tuple[str, ...] = ()
    """What the reader must know: a window longer than the data, low traffic, a default objective."""

    @property
    def top(self) -> Suspect:
        """The first suspect; raises `UsageError` when there is none."""
        if not self.suspects:
            raise errors.UsageError("triage found no error at all", hint="widen the window, or look at `inv.sql(...)`")
        return self.suspects[0]

    def suspect(self, fingerprint: str | None) -> Suspect | None:
        """The suspect of exactly this fingerprint, if it is one of them."""
        return next((s for s in self.suspects if s.fingerprint == fingerprint), None)

    def bind(self, investigation: object) -> Self:
        """`self` and its suspects, with their investigation remembered."""
        for suspect in self.suspects:
            suspect.bind(investigation)
        object.__setattr__(self, "_investigation", investigation)
        return self

    def plot_burn(self) -> Any:
        """Burn rates per objective and window (a plotly figure)."""
        return self.investigation.plots.burn(self)

    def plot_timeline(self) -> Any:
        """Errors over time, with changes marked (a plotly figure)."""
        return self.investigation.plots.timeline(self)

    def plot_services(self) -> Any:
        """The services in the order in which they are blamed (a plotly figure)."""
        return self.investigation.plots.services(self)

    def _repr_html_(self) -> str:
        """A small page where an investigation handed it out, else a table."""
        try:
            return str(self.investigation.plots.page(self))
        except errors.ShadowlabError:
            return Record._repr_html_(self)

    def _summary(self) -> str:
        burning = [o.name for o in self.objectives if o.alert]
        return f" {counted(len(self.suspects), 'suspect')}, burning: {', '.join(burning) or 'nothing'}"

    def rows(self) -> Sequence[Mapping[str, object]]:
        return [
            {"fingerprint": s.fingerprint, "title": s.title, "events": s.events, "traces": s.traces,
             "first seen": s.first_seen, "last seen": s.last_seen, "recordings": len(s.recordings)}
            for s in self.suspects
        ]  # fmt: skip
