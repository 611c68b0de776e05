"""One walk over a unified diff, which everybody who reads diffs shares."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowlab import errors, hunks

LINES = st.lists(st.sampled_from(["a", "b", "--- a/x", "+++ b/x", "@@ -1 +1 @@", ""]), max_size=12)


@given(LINES, LINES)
def test_a_walk_finds_both_sides_of_a_diff_with_their_numbers(before: list[str], after: list[str]) -> None:
    told = list(difflib.unified_diff(before, after, "a/x", "b/x", lineterm="", n=1))
    walked = list(hunks.walk("".join(f"{line}\n" for line in told)))
    for line in walked:
        if line.kind in ("same", "removed"):
            assert before[line.old - 1] == line.text
        if line.kind in ("same", "added"):
            assert after[line.new - 1] == line.text
    assert sum(line.kind == "outside" for line in walked) == (2 if told else 0)
    assert len(walked) == len(told)


def test_a_hunk_that_is_too_short_is_refused_with_its_line() -> None:
    with pytest.raises(errors.PatchError, match="line 3 of the diff does not belong in its hunk"):
        list(hunks.walk("@@ -1,3 +1,3 @@\n a\ndiff --git a/x b/x\n"))
    with pytest.raises(errors.PatchError, match="ends inside a hunk"):
        list(hunks.walk("@@ -1,3 +1,3 @@\n a\n"))


def test_a_picture_of_a_broken_diff_ends_the_hunk_instead() -> None:
    kinds = [line.kind for line in hunks.walk("@@ -1,3 +1,3 @@\n a\ndiff --git a/x b/x\n", strict=False)]
    assert kinds == ["hunk", "same", "outside"]


def test_a_missing_newline_is_a_note_and_no_line() -> None:
    told = list(hunks.walk("@@ -1 +1 @@\n-a\n\\ No newline at end of file\n+a\n"))
    assert [(line.kind, line.old, line.new) for line in told[1:]] == [
        ("removed", 1, 1),
        ("note", 2, 1),
        ("added", 2, 1),
    ]
