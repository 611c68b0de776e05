"""Error logs that became more: what services say of themselves, charged to the one furthest down that says it.

A service may answer wrongly, or not do what it was asked to, without a span that fails: its log records tell. Templates
of records at error level that more requests of the window hold than before it (exact test) are told apart from what is
always there. Along a trace the lowest counts: a caller that writes down what its callee's failure did is no cause.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shadowlab.triage import arrays, chances, mask
from shadowlab.triage.arrays import arrow
from shadowlab.triage.look import Look
from shadowlab.triage.sampled import Sampled
from shadowlab.triage.scene import Scene
from shadowlab.triage.spans import BELOW
from shadowlab.triage.tables import Store, dicts, keep, workshop
from shadowlab.triage.words import one_each

ALPHA = 0.001
"""Chance of one template wrongly taken to have come up, over all that are looked at."""
ERROR = 17
"""OpenTelemetry's severity number from which a record tells of an error."""
MOST = 20_000
"""Records that are looked at; of more, those of the traces whose hashes are smallest."""
_LEAST = 5

# Traces as a whole, so that what is left out is left out of both periods alike.
_SAID = f"""
WITH records AS (
    SELECT coalesce(trace_id, '') AS trace_id, coalesce(span_id, '') AS span_id, coalesce(service, '') AS service, body,
           at_ns > $low AS late
    FROM logs
    WHERE at_ns > $first AND at_ns <= $high AND severity_number >= {ERROR} AND body <> ''
      AND attributes['exception.type'] IS NULL AND attributes['exception.stacktrace'] IS NULL
    ORDER BY CASE WHEN coalesce(trace_id, '') = '' THEN hash(at_ns, body) ELSE hash(trace_id) END, body LIMIT {MOST}),
bodies AS (SELECT DISTINCT body AS text FROM records),
masked AS ({mask.query("bodies")})
SELECT service, template, late, CASE WHEN trace_id <> '' THEN hash(trace_id) END AS tid,
       CASE WHEN span_id <> '' THEN hash(trace_id, span_id) END AS sid, count(*) AS records
FROM records JOIN masked ON text = body GROUP BY ALL ORDER BY ALL"""

_SAYS = """
CREATE TABLE says AS
SELECT said.* EXCLUDE (template), named.one FROM said JOIN named_records named USING (service, template)"""

# (1) how many requests of each period hold a template, and records that lie in none
_HELD = """
WITH picked AS (SELECT DISTINCT tid, late FROM sampled),
held AS (SELECT DISTINCT s.service, s.one, s.tid, p.late FROM says s JOIN picked p USING (tid))
SELECT service, one, count(*) FILTER (late) AS late, count(*) FILTER (NOT late) AS early,
       (SELECT count(*) FROM picked WHERE late) AS all_late, (SELECT count(*) FROM picked WHERE NOT late) AS all_early
FROM held GROUP BY service, one ORDER BY service, one"""
_ALONE = """
SELECT service, one, sum(records) FILTER (late) AS late, coalesce(sum(records) FILTER (NOT late), 0) AS early
FROM says WHERE tid IS NULL GROUP BY ALL HAVING late > 0 ORDER BY ALL"""

# (2) which of those records lie lowest: below them no other service fails or says that it does
_LOWEST = """
CREATE TABLE lowest AS
WITH RECURSIVE ancestry AS (SELECT sid, parent, service FROM family UNION SELECT sid, parent, service FROM sampled),
loud AS (SELECT DISTINCT s.sid, s.tid, s.service, s.one FROM says s JOIN risen USING (service, one) WHERE s.late),
signs AS (SELECT sid, service FROM loud WHERE sid IS NOT NULL UNION SELECT sid, service FROM err),
up(sid, ancestor, depth) AS (
    SELECT DISTINCT sid, sid, 0 FROM signs
    UNION
    SELECT up.sid, ancestry.parent, depth + 1 FROM up JOIN ancestry ON ancestry.sid = up.ancestor
    WHERE ancestry.parent IS NOT NULL AND depth < 64),
over AS (
    SELECT DISTINCT up.sid, up.ancestor, signs.service FROM up JOIN signs USING (sid)
    JOIN ancestry ON ancestry.sid = up.ancestor WHERE ancestry.service IS DISTINCT FROM signs.service)
SELECT loud.*, list(DISTINCT above.ancestor) FILTER (above.ancestor IS NOT NULL) AS above
FROM loud ANTI JOIN over ON over.ancestor = loud.sid
LEFT JOIN over above ON above.sid = loud.sid AND above.service = loud.service GROUP BY ALL"""

# (3) errors above them, which they explain; and requests that they alone tell of
_BENEATH = """
CREATE TABLE beneath AS
SELECT s.eid, min(l.service) AS teller, any_value(l.tid) AS tid
FROM (SELECT service, tid, unnest(above) AS sid FROM lowest) l JOIN err s USING (sid)
WHERE l.service <> s.service GROUP BY s.eid"""
_TOLD = """
SELECT l.service, count(DISTINCT l.tid) AS requests, min(l.one) AS one FROM lowest l
WHERE l.tid IN (SELECT tid FROM sampled WHERE late) AND l.tid NOT IN (SELECT tid FROM beneath)
  AND NOT EXISTS (SELECT 1 FROM err WHERE err.tid = l.tid AND err.service = l.service)
GROUP BY l.service ORDER BY l.service"""


@dataclass(frozen=True, slots=True)
class Told:
    """Requests of the window that a service's records tell of and nothing else does, beyond those of before."""

    requests: float
    words: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What services say of themselves."""

    told: Mapping[str, Told]
    """By service."""
    untraced: Mapping[str, list[str]]
    """Of services whose records name no trace: what came up, in words."""
    tellers: Mapping[int, str]
    """Of errors, by their place, below which another service's records tell of one: that service."""


NOTHING = Heard({}, {}, {})


def listen(store: Store, scene: Scene, sampled: Sampled, look: Look) -> Heard:
    """What services say of themselves in the window, in as many requests as are `sampled`."""
    with workshop() as con:
        return _listen(con, store, scene, sampled, look)


def _listen(con: Any, store: Store, scene: Scene, sampled: Sampled, look: Look) -> Heard:
    bounds = {"first": 2 * look.low_ns - look.high_ns, "low": look.low_ns, "high": look.high_ns}
    keep(con, "said", store.sql(_SAID, bounds).arrow())
    _tell(con, scene, sampled, look)
    _name(con)
    risen = {(row["service"], row["one"]): row for row in _risen(con)}
    _kept(con, "risen", ("service", "one"), [*risen])
    con.execute(_LOWEST)
    con.execute(_BENEATH)
    told = {}
    for row in dicts(con, _TOLD):
        before = max(found["early"] / found["all_early"] for key, found in risen.items() if key[0] == row["service"])
        more = row["requests"] - before * next(iter(risen.values()))["all_late"]
        words = f"{row['requests']:,} requests hold its error records that came up: “{row['one']}”"
        if more > 0:
            told[row["service"]] = Told(more, words)
    tellers = con.execute("SELECT eid, teller FROM beneath").fetchall()
    return Heard(told, _untraced(con), dict(tellers))


def _tell(con: Any, scene: Scene, sampled: Sampled, look: Look) -> None:
    """Tables `sampled`, `family`, spans near the window, and `err`, the errors in their traces."""
    import numpy as np

    of = {
        "sid": sampled.sid,
        "tid": sampled.tid,
        "late": sampled.late,
        "service": look.seen.words("service", sampled.op),
    }
    keep(con, "sampled", arrays.table({**of, "parent": arrow(sampled.above, ~sampled.below)}))
    ancestry, errors, near = scene.ancestry, scene.errors, scene.near
    spans = ancestry.spans
    parent = arrow(spans.above, ~spans.marked(BELOW))
    keep(
        con,
        "family",
        arrays.table({"sid": spans.sid, "parent": parent, "service": look.seen.words("service", spans.op)}),
    )
    service = arrays.texts(text or "" for text in errors.service.of(near).texts())
    columns = {name: getattr(errors, name)[near] for name in ("sid", "tid")}
    keep(con, "err", arrays.table({"eid": np.asarray(near), "service": service, **columns}))


def _name(con: Any) -> None:
    """Table `says`: the records, each with the template that it belongs to."""
    texts: dict[str, set[str]] = defaultdict(set)
    for row in dicts(con, "SELECT DISTINCT service, template FROM said"):
        texts[row["service"]].add(row["template"])
    named = [(service, text, one) for service, held in texts.items() for text, one in one_each(held).items()]
    _kept(con, "named_records", ("service", "template", "one"), named)
    con.execute(_SAYS)


def _risen(con: Any) -> list[dict[str, Any]]:
    """Templates that more requests hold than before, by chance once in a thousand triages."""
    rows = dicts(con, _HELD)
    found = []
    for row in rows:
        every, held = row["all_late"] + row["all_early"], row["late"] + row["early"]
        p = float(chances.drawn(row["late"], held, taken=row["all_late"], among=every))
        if row["late"] >= _LEAST and row["all_early"] and p * len(rows) <= ALPHA:
            found.append(row)
    return found


def _untraced(con: Any) -> dict[str, list[str]]:
    """Records in no trace that came up, in words, by service."""
    told: dict[str, list[str]] = defaultdict(list)
    rows = dicts(con, _ALONE)
    for row in rows:
        p = chances.hit(row["late"], of=row["late"] + row["early"], share=0.5)
        if row["service"] and row["late"] >= _LEAST and p * len(rows) <= ALPHA:
            told[row["service"]].append(
                f"its error records “{row['one']}” came up: {row['early']:,} to {row['late']:,}"
            )
    return told


def _kept(con: Any, name: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
    keep(con, name, arrays.table({column: arrays.texts(row[n] for row in rows) for n, column in enumerate(columns)}))
