"""Triage what arrives: when an objective's alert starts, or a page comes in, its incident becomes a case.

One incident gives one case: it is remembered before anything is made, so that a restart goes on where it stopped.
"""

from __future__ import annotations

import contextlib
import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from shadowlab import errors, live, reading, times
from shadowlab.evidence import Evidence
from shadowlab.investigation import Investigation, open_investigation
from shadowlab.register import Incident, Register

if TYPE_CHECKING:
    from shadowlab.records import Triage
    from shadowlab.webhooks import Page

_BEFORE: Final = 2
"""Windows of telemetry that a case gets: the one that burns, and as much before it to compare with."""
_AFTER_NS: Final = 60_000_000_000
"""How long after the moment that it names an incident's telemetry goes on: a minute."""
_SHORTEST_SECRET: Final = 16
_LONGEST_SECRET: Final = 4096

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Orders:
    """What is done when an incident begins."""

    out: Path
    """Folder below which cases are made."""
    window: timedelta = timedelta(minutes=30)
    slo: Path | None = None
    template: str | None = None
    """Report template to run on each new case."""


@dataclass(slots=True)
class Watch:
    """Looks at a case again and again, and sooner when somebody was paged."""

    inv: Investigation
    orders: Orders
    tell: Tell
    stopped: bool = False
    """Whether `stop` was called."""
    _woken: threading.Event = field(default_factory=threading.Event)
    _read: Any = None
    """What the last look read of errors, which no other needs to read again."""
    register: Register = field(init=False)
    """What is known of incidents."""

    def __post_init__(self) -> None:
        self.register = Register(self.inv.case, self.orders.out)

    def run(self, every: timedelta, *, once: bool = False) -> list[str]:
        """Look until `stop`, or once; gives the cases that were made."""
        made = self.seen()
        while True:
            made += self.look(once=once)
            if once or self.stopped:
                return made
            while self._woken.wait(every.total_seconds()) and not self.stopped:
                self._woken.clear()
                made += self.seen()

    def stop(self) -> None:
        """End `run` after what is in hand; safe from a signal handler and from other threads."""
        self.stopped = True
        self._woken.set()

    def seen(self) -> list[str]:
        """Make the cases of incidents that are known and have none: paged, or cut short when the last watch ended."""
        return [case for one in self.register.known().values() if one.state == "seen" for case in self._made(one)]

    def paged(self, page: Page) -> None:
        """Remember what a pager said, once; `run` makes its case. Raises `CaseError` when it cannot be written."""
        with self.inv.case.writing("watch"):
            if page.key not in self.register.known():
                self.register.begin(page.key, page.service, page.at)
        self._woken.set()

    def look(self, *, once: bool = False) -> list[str]:
        """One look: triage over the newest telemetry, a case for each alert that has started since.

        Telemetry that cannot be read now may be later, and is only told; the one look of `once` raises what it met.
        """
        try:
            live.take_in_log(self.inv.case)
            found, self._read = assess(self.inv, self.orders, self._read)
        except errors.ShadowlabError as exc:
            if once:
                raise
            self.tell(f"cannot look: {exc.args[0]}")
            return []
        made: list[str] = []
        known = self.register.known()
        alerting = {objective.name: objective for objective in found.objectives if objective.alert}
        for name, objective in alerting.items():
            before = known.get(name)
            if before is None or before.state == "closed":
                made += self._made(self.register.begin(name, objective.service, found.at))
            elif before.quiet_since is not None:
                self.register.remember(replace(before, quiet_since=None))
        for one in known.values():
            if one.state == "open" and ":" not in one.key and one.key not in alerting:
                self._calm(one, found.at)
        return made

    def _made(self, one: Incident) -> list[str]:
        place = Path(one.case)
        shutil.rmtree(place, ignore_errors=True)  # half-made by a watch that was killed
        try:
            self._make(one, place)
        except errors.UsageError as exc:
            shutil.rmtree(place, ignore_errors=True)
            self.register.remember(replace(one, state="empty"))
            self.tell(f"{one.key}: no case was made: {exc.args[0]}")
            return []
        except errors.ShadowlabError as exc:  # what else burns is still watched
            self.tell(f"{one.key}: its case was not finished: {exc.args[0]}; the next watch makes it")
            return []
        self.register.remember(replace(one, state="open"))
        self.tell(f"{one.key}: {one.service} is in {place}")
        return [one.case]

    def _make(self, one: Incident, place: Path) -> None:
        at = datetime.fromisoformat(one.at)
        inv = open_investigation(place, create=True, progress=None)
        self._cut(inv, one, at)
        source = self.inv.case.settings().get("source")
        if source is not None:
            inv.remember_source(self.inv.case.path.resolve() / source)
        objectives = self.orders.slo or self.inv.case.objectives
        inv.triage(slo=objectives if objectives.exists() else None, window=self.orders.window)
        if self.orders.template:
            inv.report(template=self.orders.template)

    def _cut(self, inv: Investigation, one: Incident, at: datetime) -> None:
        from shadowlab import keeping
        from shadowlab.telemetry import cutting

        until = _ns(at) + _AFTER_NS
        since = until - _BEFORE * (self.orders.window // timedelta(microseconds=1)) * 1000
        evidence = Evidence(inv.case)
        record, traces = cutting.cut(self.inv.case, inv.case, start_ns=since, end_ns=until, services=[one.service])
        keeping.keep(inv.case, "cut", record, evidence, incident=one.key, service=one.service, at=one.at)
        wanted = set(traces)
        tapes = [tape.id for tape in self.inv.recordings if tape.trace_id in wanted]
        if tapes:
            inv.ingest(*(self.inv.case.recordings / f"{tape}.json" for tape in tapes))

    def _calm(self, one: Incident, now: datetime) -> None:
        if one.quiet_since is None:
            self.register.remember(replace(one, quiet_since=now.isoformat()))
        elif now - datetime.fromisoformat(one.quiet_since) >= self.orders.window:
            self.register.remember(replace(one, state="closed"))
            self.tell(f"{one.key}: the alert has been off for {times.spoken(self.orders.window)}")


def assess(inv: Investigation, orders: Orders, known: Any = None) -> tuple[Triage, Any]:
    """Triage over the newest telemetry, without keeping a record of every look, and what it read of errors.

    `known` is what an earlier look read; None for what the case keeps.
    """
    from shadowlab import choice, telemetry, triage

    place = orders.slo or inv.case.objectives
    objectives = triage.slo.load(place) if place.exists() else None
    with telemetry.store(inv.case) as store:
        return triage.triage(
            store,
            objectives=objectives,
            at=None,
            window=orders.window,
            top=1,
            recorded={},
            source_frames=choice.frames(inv)[0],
            known=known if known is not None else partial(telemetry.known_fingerprints, store),
        )


def _ns(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def watch(
    path: Path,
    *,
    every: str,
    window: str,
    out: Path,
    slo: Path | None,
    template: str | None,
    webhook: str | None,
    webhook_secret: Path | None,
    once: bool,
    tell: Tell,
) -> list[str]:
    """Watch the case at `path` until SIGINT or SIGTERM, or once; gives the cases that were made.

    Raises `CaseError` when there is no such case, `ReportError` when there is no such template, `UsageError` for other
    options that cannot be.
    """
    from shadowlab import report, triage

    inv = open_investigation(path, create=False, progress=None)
    if slo is not None:
        triage.slo.load(slo)
    if template is not None:
        report.find(template)
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not there.is_dir():
        raise errors.UsageError(f"{there} is no folder", hint="name one with --out; it is made when there is none")
    orders = Orders(out=out, window=times.window(window), slo=slo, template=template)
    watching = Watch(inv, orders, tell)
    with _signals(watching), _listening(watching, webhook, webhook_secret):
        return watching.run(times.window(every), once=once)


@contextlib.contextmanager
def _listening(watching: Watch, address: str | None, secret: Path | None) -> Iterator[None]:
    if address is None:
        yield
        return
    from shadowlab import webhooks
    from shadowlab.telemetry.receiver import Address

    where = Address.read(address)
    if secret is None:
        raise errors.UsageError("--webhook needs --webhook-secret", hint="a file with the secret that senders know")
    try:
        content = reading.content(secret, _LONGEST_SECRET).strip()
    except OSError as exc:
        raise errors.UsageError(f"{secret} cannot be read: {exc.strerror}", hint="name the file of the secret") from exc
    if len(content) < _SHORTEST_SECRET:
        raise errors.UsageError(f"{secret} holds fewer than {_SHORTEST_SECRET} bytes", hint="make it longer")
    with webhooks.Listener(where.host, where.port, content, watching.paged) as listener:
        watching.tell(f"webhook on http://{Address(where.host, listener.port)}/")
        yield


@contextlib.contextmanager
def _signals(watching: Watch) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    both = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: watching.stop()) for number in both}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
