"""The changed functions themselves, timed in both arms while the mirrored requests run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shadowlab.diagnose import syntax
from shadowlab.gates import stats
from shadowlab.gates.bench import Bench
from shadowlab.gates.roles import Role
from shadowlab.records import Gate, Statistic, Verdict
from shadowlab.replay import Calls

NAME = "speed of the changed function"
FEW = 20
"""With fewer requests than this that timed a function in both arms, nothing is said."""

Arms = Sequence[tuple[Sequence[Calls], Sequence[Calls]]]
"""What was timed in each request that neither arm failed: control, candidate; functions in the order of `named`."""


_HOW = (
    "real time with all that it calls, under the same stopwatch in both arms; requests that either arm failed are left "
    "out, so the values are those that both sides can handle"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Changed:
    """A function that both trees have and that the diff changes."""

    file: str
    functions: tuple[str, ...]
    """Qualified names, from the function itself outwards: one that is made anew by each call is timed by its maker."""
    certain: bool = True
    """False when the file changed outside of its functions alone, which may change any of them."""


def changed(bench: Bench) -> tuple[Changed, ...]:
    """The functions to time, file by file."""
    files = [part.change.path for part in bench.parts_of(Role.CHANGE) if part.change.kind == "edited"]
    return tuple(
        each for file in files for each in _changed(file, _texts(bench.base, file), _texts(bench.patched, file))
    )


def named(functions: Sequence[Changed]) -> list[dict[str, str]]:
    """Every function to put a stopwatch on, once, as `Runner.mirror` wants them."""
    both = dict.fromkeys((each.file, name) for each in functions for name in each.functions)
    return [{"file": file, "function": name} for file, name in both]


def speed(bench: Bench, functions: Sequence[Changed], arms: Arms) -> Gate:
    """Whether each changed function keeps the budget; one that did not run in both arms leaves it inconclusive."""
    places = {(each["file"], each["function"]): place for place, each in enumerate(named(functions))}
    timed = [_timed(bench, each, places, arms) for each in functions]
    ranked = sorted((each for each in timed if each.certain or each.statistic), key=_rank, reverse=True)
    if not ranked:
        why = "no function that ran is changed" if timed else "the diff changes no function that both trees have"
        ranked = [_Timed(verdict=Verdict.INCONCLUSIVE, observed="did not run", why=why)]
    notes = [each.why for each in ranked if each.why]
    return Gate(
        name=NAME, verdict=ranked[0].verdict, observed="; ".join(each.observed for each in ranked[:3]),
        limit=f"{bench.limits.perf_regression_budget_ms:g} ms", detail="; ".join([*notes[:3], _HOW]),
        statistic=ranked[0].statistic,
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class _Timed:
    verdict: Verdict
    observed: str
    why: str
    statistic: Statistic | None = None
    certain: bool = True


def _rank(timed: _Timed) -> tuple[int, float]:
    order = (Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL)
    estimate = timed.statistic.estimate if timed.statistic else None
    return order.index(timed.verdict), estimate or 0.0


def _timed(bench: Bench, function: Changed, places: Mapping[tuple[str, str], int], arms: Arms) -> _Timed:
    ran = {name: _both(arms, places[function.file, name]) for name in function.functions}
    name = next((name for name in ran if ran[name]), function.functions[0])
    pairs, label = ran[name], f"{function.file}:{name}"
    if len(pairs) < FEW:
        why = f"{name} ran in {len(pairs)} requests that both arms answered; {FEW} are needed"
        return _Timed(verdict=Verdict.INCONCLUSIVE, observed=f"{label}: {'ran too seldom' if pairs else 'never ran'}",
                      why=why, certain=function.certain)  # fmt: skip
    budget = bench.limits.perf_regression_budget_ms
    durations = [a.spent_ms for a, _ in pairs], [b.spent_ms for _, b in pairs]
    judged = stats.median_difference(*durations, limit_ms=budget, alpha=bench.alpha, seed=bench.seed)
    assert judged.statistic is not None  # there are enough
    calls = {sum(a.returned for a, _ in pairs), sum(b.returned for _, b in pairs)}
    unit = "call" if calls == {len(pairs)} else "request"
    low, high = judged.statistic.interval
    raised = _raised(arms, places[function.file, name])
    return _Timed(
        verdict=judged.verdict, statistic=judged.statistic, certain=function.certain,
        observed=f"{label}: median {judged.statistic.estimate:+z.3f} ms a {unit}, {max(calls):,} calls",
        why=f"{name}: {low:+z.3f} to {high:+z.3f} ms over {len(pairs):,} requests{raised}",
    )  # fmt: skip


def _both(arms: Arms, place: int) -> list[tuple[Calls, Calls]]:
    """A function's calls in the requests in which it returned, and raised nothing, in both arms."""
    pairs = [(control[place], candidate[place]) for control, candidate in arms]
    return [(a, b) for a, b in pairs if a.returned and b.returned and not a.raised and not b.raised]


def _raised(arms: Arms, place: int) -> str:
    count = sum(bool(control[place].raised or candidate[place].raised) for control, candidate in arms)
    return f", {count} more left out because it raised" if count else ""


def _texts(tree: Path, file: str) -> dict[str, list[str]]:
    """The lines of each function by qualified name, without those of functions inside of it."""
    try:
        parsed = syntax.source_file(file, (tree / file).read_text()) if file.endswith(".py") else None
    except (OSError, UnicodeDecodeError):
        parsed = None
    if parsed is None:
        return {}
    lines, texts = parsed.text.split("\n"), dict[str, list[str]]()
    for function in parsed.functions:
        inner = [f for f in parsed.functions if f.qualname.startswith(f"{function.qualname}.<locals>.")]
        others = {number for f in inner for number in range(f.start_line, f.end_line + 1)}
        own = (number for number in range(function.start_line, function.end_line + 1) if number not in others)
        texts.setdefault(function.qualname, []).extend(lines[number - 1] for number in own)
    return texts


def _changed(file: str, before: Mapping[str, list[str]], after: Mapping[str, list[str]]) -> list[Changed]:
    both = [name for name in before if name in after]
    differ = [name for name in both if before[name] != after[name]]
    return [Changed(file=file, functions=_outwards(name), certain=bool(differ)) for name in differ or both]


def _outwards(name: str) -> tuple[str, ...]:
    names = [name]
    while ".<locals>." in names[-1]:
        names.append(names[-1].rpartition(".<locals>.")[0])
    return tuple(names)
