"""Errors that were only passed on are charged to the error that they pass on.

A failing span passes an error on when a span below it failed with it: with the same exception, with one that its own
chain of causes names, or with anything when it has no exception of its own. Where the types differ (a caller's
`UpstreamError` above a callee's `KeyError`), the group decides: when at least half of a group's spans have a failing
span below them, the group is taken to pass errors on; a fault that usually stands alone stays a fault of its own, also
in the traces where something handled happened below it. Clocks of different services are not compared for this.

A span that fails without a word, as clients of other services do, is charged to what its own service says right above.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shadowlab.triage.coded import NONE, coded_texts
from shadowlab.triage.fingerprint import Signed
from shadowlab.triage.places import Places
from shadowlab.triage.raised import Raised
from shadowlab.triage.readings import Reading
from shadowlab.triage.spans import NEVER

_LONGEST = 64
"""Spans by which an error is passed on."""


@dataclass(frozen=True, slots=True)
class Charged:
    """Which error each error passes on."""

    root: Any
    """The place of that error, for each error; its own where it passes none on."""
    sid: Any
    """The failing spans, ascending."""
    root_of: Any
    """The place of the error at the root of each failing span's last one."""
    call: Any
    """The place of the call that failed without a word, for each error that tells of one; else its own."""

    @property
    def causing(self) -> Any:
        """Which errors are their own (booleans)."""
        import numpy as np

        return self.root == np.arange(len(self.root))

    def roots(self, sid: Any) -> tuple[Any, Any]:
        """The root of each span's last error, and whether it has one."""
        import numpy as np

        if not len(self.sid):
            return np.zeros(len(sid), dtype=np.int64), np.zeros(len(sid), dtype=bool)
        place = np.minimum(self.sid.searchsorted(sid), len(self.sid) - 1)
        return self.root_of[place], self.sid[place] == sid


def charge(errors: Raised, signed: Signed, places: Places) -> Charged:
    """Charge the errors of a case."""
    import numpy as np

    sid, of = np.unique(errors.sid, return_inverse=True)
    at_ns = np.where(errors.at_ns == NEVER, 2**63 - 1, errors.at_ns)
    last = np.zeros(len(sid), dtype=np.int64)
    in_time = np.argsort(at_ns, kind="stable")
    last[of[in_time]] = in_time  # of several, the last one stays
    held, above = _held(places, sid, last)
    told = _told_above(errors, signed, last, held, above)
    below, silent = (_below(places, last, held[which], above[which]) for which in (~told, told))
    root_of = _roots(errors, signed, last, below)
    root_of[held[told]] = root_of[above[told]]
    final, own = last[of], np.arange(len(of))
    root = np.where(signed.group == signed.group[final], root_of[of], own)
    call = np.where((own == final) & (silent[of] >= 0), last[silent[of]], own)
    return Charged(root, sid, root_of, call)


def _roots(errors: Raised, signed: Signed, last: Any, below: Any) -> Any:
    """The place of the error at the root of each failing span's last one, by the failing span below each."""
    import numpy as np

    holders = np.flatnonzero(below >= 0)
    many = len(signed.fingerprints)
    group = signed.group[last]
    held, spans = np.bincount(group[holders], minlength=many), np.bincount(group, minlength=many)
    usual = (held > 0) & (2 * held >= spans)
    goes_on = np.zeros(len(last), dtype=bool)
    goes_on[holders] = usual[group[holders]] | _passes_on(errors, signed, last[holders], last[below[holders]])
    at = np.arange(len(last))
    for _ in range(_LONGEST):
        onward = goes_on[at]
        if not onward.any():
            break
        at = np.where(onward, below[at], at)
    return last[at]


def _told_above(errors: Raised, signed: Signed, last: Any, held: Any, above: Any) -> Any:
    """Which failing spans that are held say nothing themselves, where those right above them in their service do."""
    import numpy as np

    silent = np.array([_silent(reading) for reading in signed.readings], dtype=bool)[signed.reading[last]]
    leaf = np.ones(len(last), dtype=bool)
    leaf[above] = False
    service = errors.service.code[last]
    return silent[held] & leaf[held] & ~silent[above] & (service[held] == service[above])


def _silent(reading: Reading) -> bool:
    """Whether an error says nothing but that it happened."""
    return reading.path is None and not reading.root_type and not reading.template


def _held(places: Places, sid: Any, last: Any) -> tuple[Any, Any]:
    """The places of failing spans that are held by another, and of those right above them."""
    import numpy as np

    held = np.flatnonzero(places.held[last])
    holder = places.holder[last[held]]
    above = np.minimum(sid.searchsorted(holder), max(0, len(sid) - 1))
    there = (sid[above] == holder) & (above != held)
    return held[there], above[there]


def _below(places: Places, last: Any, held: Any, above: Any) -> Any:
    """Of the failing spans right below each, the place of the one that ended last; -1 where there is none."""
    import numpy as np

    in_time = np.lexsort((last[held], places.ended_ns[last[held]]))
    below = np.full(len(last), -1)
    below[above[in_time]] = held[in_time]  # of several, the last one stays
    return below


def _passes_on(errors: Raised, signed: Signed, own: Any, below: Any) -> Any:
    """Which of these errors pass on what those below them say, by what both say."""
    import numpy as np

    kind, words = errors.type.code, signed.readings
    template = coded_texts([reading.template for reading in words]).code
    same = (kind[own] == kind[below]) & (template[signed.reading[own]] == template[signed.reading[below]])
    nothing = np.array([not word for word in errors.type.words] + [True], dtype=bool)
    on = nothing[np.where(kind[own] == NONE, len(errors.type.words), kind[own])] | same
    chained = np.array([bool(reading.causes) for reading in words], dtype=bool)
    for n in np.flatnonzero(~on & chained[signed.reading[own]]).tolist():
        said = words[signed.reading[below[n]]]
        on[n] = bool({errors.type.text(below[n]), said.root_type}.intersection(words[signed.reading[own[n]]].causes))
    return on
