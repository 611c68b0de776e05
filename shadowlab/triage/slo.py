"""What was promised: OpenSLO v1 documents whose metric source is `traces`, and a default where there is none.

The indicator is a ratio of spans (`ratioMetric` with `total` and `good` or `bad`) or a threshold on their duration
(`thresholdMetric` with `op` and `value`, in seconds). A metric source reads like this::

    metricSource:
      type: traces
      spec:
        operation: POST /charges        # the span's name, or METHOD and route
        status: error                   # or ok, unset; `!error` for everything but
        http.response.status_code: ">=500"

Keys: `service`, `operation`, `name`, `kind`, `method`, `route`, `status`, `http_status`, `max_duration`,
`attributes` (key to value, list of values, or a comparison), `query` (an SQL condition over the view `spans`); a key
with a dot is an attribute. Annotations `shadowlab/trigger-window` and `shadowlab/trigger-budget` in the metadata move
the trigger that raises an incident (30 minutes that spend 2 % of the budget). Source: OpenSLO specification, version 1.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from shadowlab import errors, reading, times
from shadowlab.triage.selector import Selector, read_selector

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800, "M": 30 * 86400, "Q": 90 * 86400, "Y": 365 * 86400}
_HINT = "see `pydoc shadowlab.triage.slo` for a document that can be read"
_LONGEST = 4_000_000
"""Characters of a file of objectives."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trigger:
    """When an incident is raised: a window that spends this share of the period's budget."""

    window: timedelta = timedelta(minutes=30)
    budget: float = 0.02
    """Share of the whole period's error budget, from 0 to 1."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Slices:
    """Window-based budgeting: a slice is good when its share of good requests reaches `target`."""

    window: timedelta
    target: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ObjectiveSpec:
    """One objective as it was written, not yet measured."""

    name: str
    service: str
    operation: str | None = None
    indicator: str = "availability"
    """`availability` or `latency`."""
    target: float = 0.999
    period: timedelta = timedelta(days=30)
    calendar: bool = False
    """Whether the document counts its budget by calendar (`isRolling: false`); it is measured as a rolling one."""
    total: Selector
    """Which spans count."""
    bad: Selector | None = None
    """Which of them are bad; None means a failed span or an HTTP status of 500 and above."""
    good: Selector | None = None
    """Which of them are good, where the document says that instead."""
    slices: Slices | None = None
    trigger: Trigger = Trigger()
    source: str = "default"

    @property
    def whole(self) -> bool:
        """Whether it counts all requests of a service, failed as everywhere: what any store can be asked."""
        said = (self.bad, self.good, self.slices)
        return self.total == Selector(service=self.service) and said == (None, None, None)


def default(service: str) -> ObjectiveSpec:
    """The objective of a service for which nobody wrote one: 99.9 % of its requests succeed, over 30 days."""
    return ObjectiveSpec(name=f"{service}-availability", service=service, total=Selector(service=service))


def notes(specs: Iterable[ObjectiveSpec]) -> list[str]:
    """What is measured otherwise than the documents say."""
    return [
        f"{spec.name}: its budget is that of a calendar window (isRolling: false); it is measured as one of "
        f"{times.spoken(spec.period)} that rolls, whatever was spent since the window began"
        for spec in specs
        if spec.calendar
    ]


def load(path: str | Path) -> tuple[ObjectiveSpec, ...]:
    """The objectives of an OpenSLO v1 file (several documents allowed), in the file's order.

    Raises `ObjectiveError` that names the file, the objective and the key that is wrong.
    """
    import yaml

    file = Path(path)
    try:
        told = [d for d in yaml.safe_load_all(reading.text(file, _LONGEST)) if d is not None]
        documents = [one for d in told for one in (d if isinstance(d, list) else [d])]  # as OpenSLO's own SDK reads
    except OSError as exc:
        raise errors.ObjectiveError(f"{file} cannot be read: {exc.strerror}", hint="name an OpenSLO file") from exc
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as exc:
        raise errors.ObjectiveError(f"{file} is no YAML: {_first_line(exc)}", hint=_HINT) from exc
    return read(documents, source=str(path))


def read(documents: Iterable[object], *, source: str) -> tuple[ObjectiveSpec, ...]:
    """The objectives of parsed OpenSLO documents; SLI documents among them are found by `indicatorRef`."""
    known = list(documents)
    indicators = {_at(d, "metadata", "name"): d for d in known if _at(d, "kind") == "SLI"}
    found: list[ObjectiveSpec] = []
    for document in known:
        if not isinstance(document, Mapping) or not str(document.get("apiVersion", "")).startswith("openslo/v1"):
            raise errors.ObjectiveError(f"{source} is no OpenSLO v1 document", hint="it needs `apiVersion: openslo/v1`")
        if document.get("kind") == "SLO":
            found += _Reader(document, indicators, source).specs()
    if not found:
        raise errors.ObjectiveError(f"{source} holds no objective: no document of `kind: SLO`", hint=_HINT)
    names = [spec.name for spec in found]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise errors.ObjectiveError(
            f"{source} has two objectives that are named {twice!r}", hint="give each a `metadata.name` of its own"
        )
    return tuple(found)


class _Reader:
    """One SLO document, with words for what is wrong in it."""

    def __init__(self, document: Mapping[str, Any], indicators: Mapping[Any, Any], source: str) -> None:
        self.document, self.indicators, self.source = document, indicators, source
        self.name = str(_at(document, "metadata", "name") or "")
        self.spec = _at(document, "spec")

    def wrong(self, what: str) -> errors.ObjectiveError:
        return errors.ObjectiveError(f"{self.source}, objective {self.name or '(no name)'!r}: {what}", hint=_HINT)

    def specs(self) -> list[ObjectiveSpec]:
        if not self.name or not isinstance(self.spec, Mapping):
            raise self.wrong("`metadata.name` or `spec` is missing")
        objectives = self.spec.get("objectives")
        if not isinstance(objectives, list) or not objectives:
            raise self.wrong("`spec.objectives` lists no target")
        return [self._one(entry, n if len(objectives) > 1 else 0) for n, entry in enumerate(objectives, 1)]

    def _one(self, entry: object, number: int) -> ObjectiveSpec:
        if not isinstance(entry, Mapping):
            raise self.wrong(f"`spec.objectives` holds {entry!r}, not a mapping")
        total, good, bad, indicator = self._indicator(entry)
        return ObjectiveSpec(
            name=f"{self.name}-{number}" if number else self.name,
            service=total.service or "",
            operation=total.operation,
            indicator=indicator,
            target=self._target(entry),
            period=self._period(),
            calendar=self._calendar(),
            total=total,
            good=good,
            bad=bad,
            slices=self._slices(entry),
            trigger=self._trigger(),
            source=Path(self.source).name,
        )

    def _indicator(self, entry: Mapping[str, Any]) -> tuple[Selector, Selector | None, Selector | None, str]:
        spec = self._indicator_spec(entry)
        if isinstance(threshold := spec.get("thresholdMetric"), Mapping):
            total = self._selector(threshold, "thresholdMetric")
            limit = self._number(entry.get("value"), "objectives.value")
            operator = str(entry.get("op", ""))
            if operator not in ("lt", "lte"):
                raise self.wrong(f"`objectives.op` is {operator!r}; a duration is good when `lt` or `lte` a value")
            return total, Selector(max_duration_ns=round(limit * 1e9), strict=operator == "lt"), None, "latency"
        ratio = spec.get("ratioMetric")
        if not isinstance(ratio, Mapping) or "total" not in ratio:
            raise self.wrong("the indicator has neither a `ratioMetric` with a `total` nor a `thresholdMetric`")
        total = self._selector(ratio["total"], "ratioMetric.total")
        good = self._selector(ratio["good"], "ratioMetric.good") if "good" in ratio else None
        bad = self._selector(ratio["bad"], "ratioMetric.bad") if "bad" in ratio else None
        if good is not None and good.says_no_more_than(total):
            good = None  # "good" that repeats "total" says nothing: a failed span is bad, as everywhere
        timed = any(s is not None and s.max_duration_ns is not None for s in (good, bad))
        return total, good, bad, "latency" if timed else "availability"

    def _indicator_spec(self, entry: Mapping[str, Any]) -> Mapping[str, Any]:
        inline = entry.get("indicator") or self.spec.get("indicator")
        name = entry.get("indicatorRef") or self.spec.get("indicatorRef")
        found = inline if inline is not None else self.indicators.get(name)
        if found is None:
            raise self.wrong(f"no SLI named {name!r} in the file" if name else "it names no `indicator`")
        spec = _at(found, "spec")
        if not isinstance(spec, Mapping):
            raise self.wrong("the indicator has no `spec`")
        return spec

    def _selector(self, holder: object, where: str) -> Selector:
        metric = _at(holder, "metricSource")
        kind = _at(metric, "type")
        if str(kind).lower() != "traces":
            raise self.wrong(f"the metric source of `{where}` is {kind!r}; shadowlab measures `traces`")
        spec = _at(metric, "spec")
        if spec is not None and not isinstance(spec, Mapping):
            raise self.wrong(f"`{where}.metricSource.spec` is no mapping")
        try:
            return read_selector(spec or {}, service=str(self.spec.get("service") or "") or None)
        except ValueError as exc:
            raise self.wrong(f"`{where}`: {exc}") from exc

    def _target(self, entry: Mapping[str, Any]) -> float:
        percent = entry.get("targetPercent")
        said = entry.get("target", None if percent is None else round(self._number(percent, "targetPercent") / 100, 12))
        target = self._number(said, "objectives.target")
        if not 0 < target < 1:
            raise self.wrong(
                f"its target is {target:g}; a target lies between 0 and 1; percent go into `targetPercent`"
            )
        return target

    def _window(self) -> Any:
        windows = self.spec.get("timeWindow")
        return windows[0] if isinstance(windows, list) and windows else windows

    def _period(self) -> timedelta:
        return self._duration(_at(self._window(), "duration") or "30d", "timeWindow.duration")

    def _calendar(self) -> bool:
        rolling = _at(self._window(), "isRolling")
        return rolling is False or (rolling is None and _at(self._window(), "calendar") is not None)

    def _slices(self, entry: Mapping[str, Any]) -> Slices | None:
        method = str(self.spec.get("budgetingMethod", "Occurrences"))
        if method == "Occurrences":
            return None
        if method != "Timeslices":
            raise self.wrong(f"`budgetingMethod` is {method!r}; known are Occurrences and Timeslices")
        share = self._number(entry.get("timeSliceTarget"), "objectives.timeSliceTarget")
        if not 0 < share <= 1:
            raise self.wrong(f"`objectives.timeSliceTarget` is {share:g}; it is a share from 0 to 1")
        return Slices(window=self._duration(entry.get("timeSliceWindow", "1m"), "timeSliceWindow"), target=share)

    def _trigger(self) -> Trigger:
        notes = {**_mapping(_at(self.document, "metadata", "labels")),
                 **_mapping(_at(self.document, "metadata", "annotations"))}  # fmt: skip
        window, budget = notes.get("shadowlab/trigger-window"), notes.get("shadowlab/trigger-budget")
        share = Trigger().budget if budget is None else self._number(budget, "shadowlab/trigger-budget")
        if not 0 < share <= 1:
            raise self.wrong(f"`shadowlab/trigger-budget` is {share:g}; it is a share from 0 to 1")
        length = Trigger().window if window is None else self._duration(window, "shadowlab/trigger-window")
        return Trigger(window=length, budget=share)

    def _number(self, value: object, key: str) -> float:
        if value is None:
            raise self.wrong(f"`{key}` is missing; it is a number")
        try:
            number = math.nan if isinstance(value, bool) else float(value)  # type: ignore[arg-type]  # any YAML value
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise self.wrong(f"`{key}` is {value!r}, not a number")
        return number

    def _duration(self, text: object, key: str) -> timedelta:
        found = re.fullmatch(r"(\d{1,6})([smhdwMQY])", str(text).strip())
        if not found or int(found[1]) == 0:
            raise self.wrong(f"`{key}` is {text!r}; write a duration such as 28d or 30m")
        return timedelta(seconds=int(found[1]) * _UNITS[found[2]])


def _at(document: object, *keys: str) -> Any:
    for key in keys:
        if not isinstance(document, Mapping):
            return None
        document = document.get(key)
    return document


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _first_line(exc: Exception) -> str:
    return " ".join(str(exc).replace('in "<unicode string>", ', "").split())[:200]
