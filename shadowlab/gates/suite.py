"""The service's own tests before and after, and the new test red before and green after.

A test runs in the same process as the code it tests, so no result of it can be proved: code that sets out to forge
results can. What is held: the judge's copy of the tests, in which the patch has no word; the same tests must have run
before and after; exit code and results must agree; and a test planted under a random name, which must fail, has to
come back as a failure. What a patch would need to get past that is looked for by `shortcuts`, and the replay, which
reads no test result at all, has the last word.
"""

from __future__ import annotations

import secrets
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from shadowlab.gates.bench import Bench, did_not_run
from shadowlab.gates.roles import Role
from shadowlab.gates.runtime import Runtime
from shadowlab.records import Gate, Verdict

_SECONDS = 300.0
_LARGEST = 20 * 2**20
_PLANTED = "def test_planted():\n    assert False, 'planted: must fail'\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One test that ran."""

    outcome: str
    """`passed`, `failed`, `error`, `skipped`."""
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """What one run of pytest came to."""

    code: int | None
    cases: dict[str, Case]
    planted: Case | None
    output: str
    held: tuple[str, ...]

    @property
    def passed(self) -> set[str]:
        """Ids of the tests that passed."""
        return {name for name, case in self.cases.items() if case.outcome == "passed"}

    def doubt(self, *, planted: bool) -> str | None:
        """Why these results are not to be believed, or None."""
        if self.code is None:
            return f"the tests did not end within {_SECONDS:.0f} s"
        if planted and (self.planted is None or self.planted.outcome != "failed"):
            return "a planted test that must fail did not come back as a failure"
        red = any(case.outcome in ("failed", "error") for case in self.cases.values())
        if self.code != int(red or planted):
            return f"exit code {self.code} does not fit the results: {_last(self.output)}"
        return None


def tests(bench: Bench) -> tuple[Gate, ...]:
    """The service's own tests, from the judge's copy: whatever passed before must pass after."""
    limit = "what passed before passes after"
    words = _command(bench.service.tests)
    if words is None:
        why = "shadowlab.toml names no `tests` command that runs pytest"
        return (did_not_run("tests", limit, why),)
    place = bench.runtime(tests=True)
    with bench.copy(bench.base) as tree:
        before = _run(place, words, tree)
    if (doubt := before.doubt(planted=False)) or not before.passed:
        why = f"before the patch: {doubt or 'no test passed'}"
        return (did_not_run("tests", limit, why),)
    with bench.copy(bench.patched) as tree:
        after = _run(place, words, tree, beside=_folder(before))
    return (_compared(before, after, limit, place),)


def _compared(before: Suite, after: Suite, limit: str, place: Runtime) -> Gate:
    doubt = after.doubt(planted=True)
    broken = sorted(before.passed - after.passed)
    other = sorted(after.cases.keys() ^ before.cases.keys())
    reasons = [doubt] if doubt else []
    reasons += [f"no longer passes: {name}" for name in broken[:10]]
    reasons += [f"ran only once: {name}" for name in other[:10] if name not in broken]
    failing = len(before.cases) - len(before.passed)
    return Gate(
        name="tests",
        verdict=Verdict.FAIL if reasons else Verdict.PASS,
        observed=f"{len(after.passed)} of {len(after.cases)} pass, {len(before.passed)} passed before",
        limit=limit,
        detail="; ".join(reasons)
        or f"{failing} did not pass before either; planted failure seen; {_on(place)}held: {', '.join(after.held)}",
    )


def _on(place: Runtime) -> str:
    """What the tests ran on, as part of a sentence; nothing for another language."""
    beside = f", with {' and '.join(place.tools)} beside it" if place.tools else ""
    return f"on {place.description}{beside}; " if place.description else ""


def new_test(bench: Bench) -> tuple[Gate, ...]:
    """The candidate's tests: red on the service as it is, for the diagnosed reason, and green with the patch."""
    name, limit = "new test red-green", "fails before, passes after"
    brought = {part.change.path for part in bench.parts_of(Role.TEST)}
    ids = bench.candidate.tests
    foreign = [test for test in ids if test.split("::")[0] not in brought]
    if not ids or foreign or any(test.startswith("-") for test in ids):
        detail = f"not brought by the diff: {', '.join(foreign)}" if foreign else "the candidate brings no test"
        return (Gate(name=name, verdict=Verdict.FAIL, observed="no new test", limit=limit, detail=detail),)
    place, words = bench.runtime(tests=True), ["-q", *ids]
    with bench.copy(bench.base) as tree:
        for path in brought:
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(bench.tested / path, tree / path)
        red = _run(place, words, tree)
    with bench.copy(bench.tested) as tree:
        green = _run(place, words, tree, beside=PurePosixPath(ids[0].split("::")[0]).parent)
    reasons = [*_not_red(red, ids, bench), *_not_green(green, red)]
    why = next((case.message.splitlines()[0] for case in red.cases.values() if case.message), "")
    return (
        Gate(
            name=name,
            verdict=Verdict.FAIL if reasons else Verdict.PASS,
            observed=f"{_count(red, 'failed')} red before, {len(green.passed)} green after, of {len(ids)}",
            limit=limit,
            detail="; ".join(reasons) or f"before: {why[:200]}",
        ),
    )


def _not_red(red: Suite, ids: Sequence[str], bench: Bench) -> list[str]:
    reasons = [f"before the patch: {doubt}"] if (doubt := red.doubt(planted=False)) else []
    missing = [test for test in ids if not any(name == test or name.startswith(f"{test}[") for name in red.cases)]
    reasons += [f"did not run before the patch: {test}" for test in missing]
    for name, case in red.cases.items():
        if case.outcome != "failed":
            reasons.append(f"{name} is {case.outcome} before the patch")
        elif not _relates(case.message, bench):
            reasons.append(f"{name} fails before the patch for another reason: {case.message[:120]}")
    return reasons


def _relates(message: str, bench: Bench) -> bool:
    """Whether a test failed by an assertion, or by the very error that was diagnosed."""
    kind = message.split(":")[0].strip().rpartition(".")[2]
    failure = bench.diagnosis.error or bench.replay.error
    expected = failure.type.rpartition(".")[2] if failure else ""
    return kind in ("AssertionError", "Failed", expected) or message.startswith("assert ")


def _not_green(green: Suite, red: Suite) -> list[str]:
    reasons = [f"after the patch: {doubt}"] if (doubt := green.doubt(planted=True)) else []
    if green.cases.keys() != red.cases.keys():
        reasons.append("not the same tests ran before and after")
    return reasons + [
        f"{name} is {case.outcome} after the patch: {case.message[:120]}"
        for name, case in green.cases.items()
        if case.outcome != "passed"
    ]


def _count(suite: Suite, outcome: str) -> int:
    return sum(case.outcome == outcome for case in suite.cases.values())


def _command(line: str | None) -> list[str] | None:
    """pytest's words of the service's test command, which no shell reads; None when it does not run pytest."""
    try:
        words = shlex.split(line or "")
    except ValueError:
        return None
    if words[:1] in (["python"], ["python3"]) and words[1:3] == ["-m", "pytest"]:
        return words[3:]
    return words[1:] if words[:1] in (["pytest"], ["py.test"]) else None


def _folder(suite: Suite) -> PurePosixPath:
    """Where a planted test is collected: beside one that was."""
    return PurePosixPath(sorted(suite.passed)[0].split("::")[0]).parent


def _run(place: Runtime, words: Sequence[str], tree: Path, *, beside: PurePosixPath | None = None) -> Suite:
    out = tree.parent / f"out-{secrets.token_hex(8)}"
    out.mkdir()
    name = f"test_zz_{secrets.token_hex(8)}.py"
    extra: list[str] = []
    if beside is not None:
        (tree / beside / name).write_text(_PLANTED)
        extra = [str(beside / name)] if any((tree / word.split("::")[0]).exists() for word in words) else []
    # Hypothesis' plugin loads its whole library into every run; tests that use Hypothesis load it themselves.
    lean = () if any("hypothesis" in word for word in words) else ("-p", "no:hypothesispytest")
    judged = (*words, *extra, *lean, "-p", "no:cacheprovider", "--maxfail=0", "-o", "junit_family=xunit1",
              f"--junitxml={out / 'results.xml'}")  # fmt: skip
    ran = place.run(place.pytest(*judged), tree, timeout_s=_SECONDS)
    cases = _read(out / "results.xml")
    planted = [cases.pop(test) for test in list(cases) if PurePosixPath(test.split("::")[0]).name == name]
    return Suite(code=ran.code, cases=cases, planted=planted[0] if planted else None, output=ran.output, held=ran.held)


def _read(place: Path) -> dict[str, Case]:
    """Test ids with outcomes; nothing when the file is missing, too large or no XML."""
    try:
        if place.is_symlink() or place.stat().st_size > _LARGEST:
            return {}
        root = ElementTree.fromstring(place.read_bytes())
    except (OSError, ElementTree.ParseError, ValueError):
        return {}
    return {_id(element): _case(element) for element in root.iter("testcase")}


def _id(element: ElementTree.Element) -> str:
    file, dotted = element.get("file", ""), element.get("classname", "")
    stem = file.removesuffix(".py").replace("/", ".")
    classes = dotted.removeprefix(stem).strip(".").replace(".", "::") if dotted.startswith(stem) else ""
    return "::".join(part for part in (file, classes, element.get("name", "")) if part)


def _case(element: ElementTree.Element) -> Case:
    for outcome, tag in (("error", "error"), ("failed", "failure"), ("skipped", "skipped")):
        if (found := element.find(tag)) is not None:
            return Case(outcome=outcome, message=found.get("message", ""))
    return Case(outcome="passed")


def _last(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing"
