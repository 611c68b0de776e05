"""Templates of log records that say the same about other things are one; those that say something else are not."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from shadowlab.triage.mask import templates
from shadowlab.triage.words import one_each


def groups(*records: str) -> set[str]:
    found = templates(list(records), logs=True)
    into = one_each(found)
    return {into[text] for text in found}


def test_names_in_any_place_are_values():
    assert groups(
        "ssh.service: Merged ssh.service/start into installed job ssh.service/start as 7",
        "-.slice: Merged -.slice/start into installed job -.slice/start as 12",
        "getty@tty1.service: Merged getty@tty1.service/start into installed job getty@tty1.service/start as 3",
    ) == {"<*>: Merged <*> into installed job <*> as <n>"}  # fmt: skip


def test_a_list_of_any_length_is_one_value():
    assert len(groups("called by a.b.C:3", "called by a.b.C:3 a.d.E:77 f.g.H:5", "called by x.Y$z:9, a.b.C:1")) == 1


def test_who_speaks_is_no_value():
    assert len(groups("Net::open: link is up", "Net::close: link is up")) == 2
    assert len(groups("openLink now on 3", "closeLink now on 3")) == 2


def test_what_is_done_is_no_value_where_nothing_else_is_said():
    done = ("boot", "halt", "wait", "start", "stop", "reset", "mount")
    records = [f"{word} (command {n})" for n, word in enumerate(done)]
    assert len(groups(*records)) == len(records)


def test_names_of_several_words_are_one_value():
    names = ("Widevine", "Safety Tips", "PKI Metadata", "Crowd Deny", "On Device Head Suggest")
    assert groups(*(f"started registration for {name}" for name in names)) == {"started registration for <*>"}


def test_different_words_stay_apart():
    records = ["link is up", "link is down", "took 3 ms to build", "took 3 ms to spawn", "no topology change"]
    assert len(groups(*records)) == len(records)


def test_what_brackets_hold_is_one_value_however_deep():
    assert groups("sent Req{A:{B:[1 2] C:{}} D:4} at last", "sent Req{A:{B:[]}} at last") == {"sent Req{<v>} at last"}


def test_the_verb_of_a_request_is_no_value():
    assert groups('10.0.0.1 "GET /a HTTP/1.1" 200', '10.0.0.2 "POST /b HTTP/1.1" 201') == {
        "<addr> GET <str> <n>", "<addr> POST <str> <n>"}  # fmt: skip


def test_five_times_the_records_give_no_more_groups():
    r = random.Random(5)
    said = ("opened {} for {}", "user {} left {}", "job {} of {} took 4 ms", "cannot reach {}: {}", "{}: {} is down")
    names = [f"{a}.{b}" for a in ("web", "queue", "store", "edge") for b in ("main", "spare", "test", "old")]
    records = [r.choice(said).format(r.choice(names), r.choice(names)) for _ in range(3_000)]
    assert groups(*records) == groups(*records[:600])
    assert len(groups(*records)) == len(said)


@given(st.lists(st.text("ab.:AB<n>(){} 1", max_size=12), max_size=30), st.randoms(use_true_random=False))
def test_no_order_changes_what_is_one(texts: list[str], r: random.Random):
    shuffled = sorted(texts, key=lambda _: r.random())
    assert one_each(texts) == one_each(shuffled)
