"""No error is read twice, and what a later triage adds gives the groups that all at once would give."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from otlp import lines, traces
from story import SHOP, Story, busy, python_stack

from shadowlab import telemetry, triage
from shadowlab.case import Case, open_case
from shadowlab.cli import main
from shadowlab.triage import fact_cache, mask

WORDS = ("lorem", "ipsum", "dolor", "sit", "amet", "elitr", "sed", "diam")


def told(first: int, last: int) -> Story:
    """Errors that share a template, a word of it taking ever more values; wrapped ones; ones without a stack."""
    story = Story()
    story.number = first * 1000
    for n in range(first, last):
        story.fails(story.span(n, error=True), "ValueError", f"no price for {WORDS[n % len(WORDS)]} in {n} s")
        story.span(n, error=True, name="GET /items", error__type="503")
        inner = python_stack(*SHOP, error=f"KeyError: 'sku-{n}'")
        outer = python_stack(("/srv/shop/app.py", "answer"), error="shop.Failed: no answer")
        link = "\nThe above exception was the direct cause of the following exception:\n\n"
        story.fails(story.span(n, error=True), "shop.Failed", "no answer", inner + link + outer)
    return story


def taken(case: Case, *stories: Story) -> None:
    requests = [traces(spans) for story in stories for spans in story.told.values()]
    telemetry.ingest(case, [lines(case.path.parent / "more.jsonl", *requests)])


def signed(case: Case) -> tuple[str, dict[int, str]]:
    with telemetry.store(case) as store:
        found, table = triage.triage(store, known=telemetry.known_fingerprints(store))
    telemetry.set_fingerprints(case, table)
    pairs = zip(table.column("error_id").to_pylist(), table.column("fingerprint").to_pylist(), strict=True)
    return found.digest, dict(pairs)


def test_bit_by_bit_gives_the_groups_of_all_at_once(tmp_path: Path):
    whole, parts = open_case(tmp_path / "whole"), open_case(tmp_path / "parts")
    stories = [told(first, first + 8) for first in (16, 0, 8)]  # late data too
    taken(whole, *stories)
    for story in stories:
        taken(parts, story)
        last = signed(parts)
    assert last == signed(whole)


def test_what_was_read_before_is_not_masked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = open_case(tmp_path / "case")
    taken(case, told(0, 8))
    first = signed(case)
    monkeypatch.setattr(fact_cache, "KEPT", fact_cache.Kept())  # as in a process to come
    monkeypatch.setattr(mask, "templates", None)
    assert signed(case) == first


def test_a_process_that_has_read_errors_does_not_ask_the_case_for_new_ones(tmp_path: Path):
    case, asked = open_case(tmp_path / "case"), []
    for first in (0, 8):
        taken(case, told(first, first + 8))
        with telemetry.store(case) as store:
            triage.triage(store, known=lambda ids: asked.append(len(ids)))
    assert asked == [24]


def test_readings_under_other_rules_are_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = open_case(tmp_path / "case")
    taken(case, told(0, 8))
    _, first = signed(case)
    monkeypatch.setattr(mask, "VERSION", mask.VERSION + 1)
    _, again = signed(case)
    assert first.keys() == again.keys()
    assert not set(first.values()) & set(again.values())


def test_the_command_takes_corrections_and_changes(tmp_path: Path):
    story = Story()
    busy(story, seconds=600, fail=range(300, 600, 3))
    story.fails(story.span(601, error=True), "KeyError", "'sku'")
    case = story.case(tmp_path)
    changes = tmp_path / "changes.jsonl"
    changes.write_text('{"kind": "config", "service": "shop", "at": "2026-11-18T09:00:00Z", "after": "pool=2"}\n')

    def run(*words: str) -> dict[str, object]:
        shown = CliRunner().invoke(main, ["triage", str(case.path), "--json", *words])
        assert shown.exit_code == 0, shown.stderr
        return json.loads(shown.stdout)

    one, other = (s["fingerprint"] for s in run()["suspects"])
    assert [s["fingerprint"] for s in run("--merge", f"{one},{other}")["suspects"]] == [one]
    assert run("--changes", str(changes))["suspects"]
    assert CliRunner().invoke(main, ["triage", str(case.path), "--split", "TypeError"]).exit_code == 2
