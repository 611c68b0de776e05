"""Clocks that are off: found from calls alone, bounded, and taken out of onsets and changes."""

from __future__ import annotations

import random
from pathlib import Path

from otlp import START
from story import SECOND, Story, number_of, triaged

from shadowlab.records import Change
from shadowlab.triage import burn

AHEAD = 240
"""Seconds by which the clock of `shop` is ahead."""


def skewed(*, ahead: int = AHEAD, seconds: int = 1800) -> Story:
    """Requests of front, mail and shop; from the middle on a fifth of shop's fail."""
    story, r = Story(), random.Random(3)
    for n in range(0, seconds, 2):
        trace, fails = story.trace(), n >= seconds // 2 and r.random() < 0.2
        front = story.span(n, service="front", trace=trace, name="GET /", ms=90, error=fails)
        call = story.span(n + 0.01, service="front", trace=trace, parent=number_of(front), kind=3, ms=70, error=fails)
        shop = story.span(n + 0.015 + ahead, trace=trace, parent=number_of(call), ms=60, error=fails)
        post = story.span(n + 0.085, service="front", trace=trace, parent=number_of(front), kind=3, name="m", ms=4)
        story.span(n + 0.086, service="mail", trace=trace, parent=number_of(post), name="POST /mail", ms=2)
        if fails:
            story.fails(shop, "KeyError", "'sku'")
    return story


def test_an_onset_is_told_in_the_time_that_most_services_have(tmp_path: Path):
    found = triaged(skewed(), tmp_path, at=burn.moment(START + (1800 + AHEAD) * SECOND))
    low, high = found.top.onset
    assert low <= burn.moment(START + 900 * SECOND) <= high
    assert high < burn.moment(START + (900 + AHEAD // 2) * SECOND)
    assert any("the clock of shop is 240.0 s ahead (± 0.005 s" in note for note in found.notes)


def test_a_told_change_is_linked_by_corrected_time(tmp_path: Path):
    change = Change(kind="config", service="shop", at=burn.moment(START + 899 * SECOND), before=None, after="pool=2")
    at = burn.moment(START + (1800 + AHEAD) * SECOND)
    linked = triaged(skewed(), tmp_path, at=at, told_changes=(change,)).top.change
    assert linked is not None
    assert linked.after == "pool=2"


def test_clocks_that_may_be_right_are_left_alone(tmp_path: Path):
    assert not any("the clock of" in note for note in triaged(skewed(ahead=0, seconds=600), tmp_path).notes)
