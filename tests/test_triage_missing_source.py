"""A case that was moved away from its service's source can still be triaged."""

from __future__ import annotations

import shutil
from pathlib import Path

from story import Story

import shadowlab
from shadowlab import choice


def test_a_case_that_left_its_source_behind_is_triaged_with_a_note(tmp_path: Path):
    story = Story()
    story.fails(story.span(1.0, error=True), "ValueError", "no price")
    here, away = tmp_path / "here", tmp_path / "far" / "away"
    here.mkdir()
    case = story.case(here)
    case.remember(source="../service")
    away.mkdir(parents=True)
    shutil.move(case.path, away / "case")
    found = shadowlab.open(away / "case").triage()
    assert len(found.suspects) == 1
    (note,) = [note for note in found.notes if "is no folder" in note]
    assert "name it with --source" in note


def test_a_case_without_a_source_needs_no_note(tmp_path: Path):
    assert choice.frames(shadowlab.open(Story().case(tmp_path).path)) == ((), ())
