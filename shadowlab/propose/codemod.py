"""Mend known faults on the concrete syntax tree: small, predictable, without a model."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from shadowlab.propose.codemods import CODEMODS, Codemod, Rewrite, Site
from shadowlab.propose.diff import unified
from shadowlab.propose.question import Draft, Drafts, Question
from shadowlab.propose.timing import cost_ms
from shadowlab.propose.trying import AS_BEFORE, UNTRIED, tried


@dataclass(frozen=True, slots=True)
class CodemodProposer:
    """The registered codemods at the places of the stack; the first variant that answers as before ends the search."""

    name: str = "codemod"

    def propose(self, question: Question) -> Drafts:
        """Drafts, best first; a red one is kept when nothing is better, and says that it is red."""
        notes: list[str] = []
        found: list[Draft] = []
        for draft in drafts(question, notes):
            found.append(tried(draft, question))
            if found[-1].rank == AS_BEFORE:
                break
        return Drafts(drafts=tuple(sorted(found, key=lambda draft: draft.rank)), notes=tuple(notes))


@dataclass(frozen=True, slots=True)
class SearchProposer:
    """Every variant of every codemod that applies; only those for which the replay goes green are kept."""

    name: str = "search"

    def propose(self, question: Question) -> Drafts:
        """Green drafts, best first."""
        if question.bench is None:
            return Drafts(notes=("search keeps what the replay turns green, and nothing can be replayed here",))
        notes: list[str] = []
        found = [tried(draft, question) for draft in drafts(question, notes)]
        green = sorted((draft for draft in found if draft.rank < UNTRIED), key=lambda draft: draft.rank)
        notes.append(f"{len(found)} variants were tried, {len(green)} turn the replay green")
        return Drafts(drafts=tuple(green), notes=tuple(notes))


def drafts(question: Question, notes: list[str]) -> Iterator[Draft]:
    """A draft for each variant of each codemod at the innermost place where it applies; why not goes to `notes`."""
    known = False
    for codemod in CODEMODS:
        for site in question.sites():
            variants = codemod.variants(site)
            known = known or bool(variants)
            text = question.text(site.file) if variants else None
            made = [(v, codemod.rewrite(text, site, v)) for v in variants] if text is not None else []
            notes += dict.fromkeys(f"{codemod.name}: {why}" for _, why in made if isinstance(why, str))
            good = [(variant, rewrite) for variant, rewrite in made if isinstance(rewrite, Rewrite)]
            for variant, rewrite in good:
                yield _draft(question, codemod, site, variant, rewrite, text or "")
            if good:
                break
    if not known:
        error = question.request["error"]
        notes.append(f"no codemod knows {error['type']}: {error['message'].partition(chr(10))[0][:120]}")


def _draft(question: Question, codemod: Codemod, site: Site, variant: str, rewrite: Rewrite, text: str) -> Draft:
    test_file = _test_file(question, rewrite)
    test = rewrite.test if _annotated(question) else rewrite.test.replace(") -> None:", "):")
    cost = cost_ms(rewrite.timed)
    measured = f"{rewrite.timed.values} such values in one answer cost at most {cost:g} ms more, measured apart"
    return Draft(
        diff=unified({site.file: (text, rewrite.text), test_file: (None, test)}),
        tests=tuple(f"{test_file}::{name}" for name in rewrite.test_names),
        test_files=(test_file,),
        rationale=f"{_evidence(question)} {rewrite.does} ({codemod.name}, {variant}).",
        surface=f"{rewrite.surface}; {measured}",
        expected_perf_ms=cost,
    )


def _evidence(question: Question) -> str:
    """What was seen where, and how far the cause is proved."""
    diagnosis, error = question.diagnosis, question.request["error"]
    way = " > ".join(f"{f['file']}:{f['line']} {f['func']}" for f in question.request["stack"])
    trace = f"Trace {diagnosis.trace_id}" if diagnosis.trace_id else f"Recording {diagnosis.recordings[0]}"
    failure = f"{trace} fails with {error['type']}: {error['message']} at {way}."
    proved = [h.cause for h in diagnosis.hypotheses if h.status.value == "confirmed"]
    if proved:
        return f"{failure} Confirmed by intervention: {'; '.join(proved)}."
    return f"{failure} The cause is {diagnosis.hypotheses[0].status.value} only." if diagnosis.hypotheses else failure


def _test_file(question: Question, rewrite: Rewrite) -> str:
    """A new file beside the service's tests."""
    folder = question.test_folder()
    start = "" if folder == "." else f"{folder}/"
    names = (f"{start}test_{rewrite.test_slug}{'' if n == 1 else f'_{n}'}.py" for n in range(1, 1000))
    return next(name for name in names if name not in question.tree.files)


def _annotated(question: Question) -> bool:
    """Whether the service's tests say `-> None`."""
    tests = sorted(f for f in question.tree.files if re.search(r"(^|/)test_\w+\.py$", f))[:3]
    heads = [line for f in tests for line in (question.text(f) or "").splitlines() if line.startswith("def test_")]
    return not heads or any("-> None" in line for line in heads)
