"""The verbs of an incident, in its order."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from shadowlab import errors
from shadowlab.cli.commands import FILE, FOLDER, JSON, TELEMETRY, main, verb

RECORDING = click.option(
    "--recording", help="A recording's id; by default the latest replay's, else the newest failing one."
)
RECORDINGS = click.option("--recording", "recordings", multiple=True, help="A recording's id; may be repeated.")
REVISION = click.option("--revision", help="The commit to run; by default the one that the recording names.")
SANDBOX = click.option(
    "--sandbox", default="embedded", show_default=True, help="embedded, docker, bwrap, gvisor or unconfined."
)


@verb("triage")
@click.option("--slo", type=FILE, help="OpenSLO v1 objectives; remembered by the case.")
@click.option("--window", default="30m", show_default=True, help="How far back the ranking looks: 30m, 6h, 2d.")
@click.option(
    "--at",
    default="last",
    show_default=True,
    help="End of the window: RFC 3339, or `last` for the newest timestamp in the case.",
)
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many suspects to list.")
@click.option(
    "--merge", multiple=True, metavar="A,B", help="Treat these fingerprints as one fault; remembered by the case."
)
@click.option(
    "--split",
    multiple=True,
    metavar="A",
    help="Split this fingerprint by call path, as it covers several faults; remembered too.",
)
@click.option("--changes", type=FILE, help="JSON lines with changes that no trace shows.")
@TELEMETRY
def triage(
    inv: Any, slo: Path | None, window: str, at: str, top: int, merge: tuple[str, ...], split: tuple[str, ...],
    changes: Path | None,
) -> Any:  # fmt: skip
    """Find what burns, which errors explain it, since which change, and what is worth replaying."""
    groups = [tuple(part.strip() for part in group.split(",")) for group in merge]
    return inv.triage(slo=slo, window=window, at=at, top=top, merge=groups, split=split, changes=changes)


@verb("replay")
@click.option("--suspect", help="A suspect's fingerprint, or a prefix of it.")
@RECORDINGS
@click.option("--trace", help="Replay the recording of this trace, or say what is missing.")
@click.option(
    "--times",
    default=2,
    show_default=True,
    type=click.IntRange(2, 10_000),
    help="Number of replays, over all recordings.",
)
@SANDBOX
@REVISION
@click.option(
    "--workers", metavar="ADDRESS", help="Run on the workers of this Dask scheduler, such as tcp://HOST:8786."
)
@click.option("--pytest", "pytest_out", type=FOLDER, help="Write the replay as plain pytest below this folder.")
def replay(
    inv: Any, suspect: str | None, recordings: tuple[str, ...], trace: str | None, times: int, sandbox: str,
    revision: str | None, workers: str | None, pytest_out: Path | None,
) -> Any:  # fmt: skip
    """Run recorded requests again, alone, and say whether they fail in the same way every time.

    For a request that nothing recorded, say what its telemetry shows, and name every missing input.
    """
    done = inv.replay(
        suspect, times=times, sandbox=sandbox, revision=revision, recordings=recordings or None, trace=trace,
        workers=workers,
    )  # fmt: skip
    if pytest_out is not None:
        for place in inv.to_pytest(done, out=pytest_out):
            click.echo(f"wrote {place}", err=True)
    return done


@verb("minimise")
@RECORDING
@click.option(
    "--budget", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Maximum number of replays."
)
@SANDBOX
@REVISION
@click.option(
    "--pytest",
    "pytest_out",
    type=FOLDER,
    help="Replay the small request and write it as plain pytest below this folder.",
)
def minimise(
    inv: Any, recording: str | None, budget: int, sandbox: str, revision: str | None, pytest_out: Path | None
) -> Any:
    """Make a failing request as small as it can be while it fails in the same way.

    Delta debugging over the body's JSON, query, headers, recorded calls, their answers and the database's rows. What
    must stay the same: status, exception type, innermost function of the tree, shape of the database change. The small
    request is a recording of the case: `shadowlab replay CASE --recording ID` runs it.
    """
    small = inv.minimise(recording, budget=budget, sandbox=sandbox, revision=revision)
    if pytest_out is not None:
        for place in small.to_pytest(str(pytest_out)):
            click.echo(f"wrote {place}", err=True)
    return small


@verb("compare")
@click.option("--base", help="The first commit; by default the one that the recordings name.")
@click.option("--patched", help="The second commit.")
@click.option("--patch", type=FILE, help="A unified diff, applied to the second commit, or to the first.")
@RECORDINGS
@click.option(
    "--limit", default=40, show_default=True, type=click.IntRange(1, 10_000), help="Maximum number of recordings."
)
@SANDBOX
def compare(
    inv: Any, base: str | None, patched: str | None, patch: Path | None, recordings: tuple[str, ...], limit: int,
    sandbox: str,
) -> Any:  # fmt: skip
    """Run the same recordings on two trees, and say what became of each.

    Fixed, still failing, new failure, changed but passing, unchanged, or not comparable; with the outbound calls that
    only one of the trees makes. Exits 0 when each is fixed or unchanged, else 1.
    """
    return inv.compare(None, base, patched, patch=patch, recordings=recordings or None, limit=limit, sandbox=sandbox)


@verb("explore")
@RECORDING
@click.option("--schedules", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Orders to try.")
@click.option(
    "--depth",
    default=3,
    show_default=True,
    type=click.IntRange(1, 20),
    help="Depth of the bug, as PCT counts: the switches that it needs, plus 1.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Seed of the first order; each further order takes the next seed."
)
@click.option("--strict", is_flag=True, help="Count any difference in the outcome, in the body too.")
@SANDBOX
@REVISION
def explore(inv: Any, recording: str | None, **options: Any) -> Any:
    """Run a request in seeded orders of its tasks and threads, until it comes out differently.

    Priorities and change points are drawn as PCT does (Burckhardt and others, ASPLOS 2010). The order that was found
    becomes a recording of the case, so that it can be replayed. Exits 1 when one was found, else 0; finding none proves
    nothing.
    """
    return inv.explore(recording, **options)


@verb("diagnose")
def diagnose(inv: Any) -> Any:
    """Change one thing at a time until the symptom goes; only that confirms a cause."""
    return inv.diagnose()


@verb("propose")
@click.option("--proposer", type=click.Choice(["codemod", "search", "model"]), help="Use only this proposer.")
def propose(inv: Any, proposer: str | None) -> Any:
    """Draft a minimal patch with a test that fails before it and passes after."""
    return inv.propose(proposer=proposer)


@verb("gate")
@click.option("--candidate", default=0, show_default=True, help="Which candidate of the proposal, from 0.")
@click.option("--alpha", default=0.05, show_default=True, help="Error probability of each statistical gate.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything random.")
@click.option("--sandbox", help="Where patched code is replayed; by default where the replay ran.")
@click.option(
    "--least-sandbox", metavar="NAME", help="Refuse to run a patch in a weaker sandbox; remembered by the case."
)
def gate(inv: Any, candidate: int, alpha: float, seed: int, sandbox: str | None, least_sandbox: str | None) -> Any:
    """Decide with numbers whether a candidate may go on: pass, fail or inconclusive."""
    return inv.gate(candidate, alpha=alpha, seed=seed, sandbox=sandbox, least_sandbox=least_sandbox)


@main.command()
@click.option("--control", required=True, metavar="F/N", help="Failures and requests of the running version.")
@click.option("--candidate", required=True, metavar="F/N", help="Failures and requests of the new version.")
@click.option("--margin", default=0.001, show_default=True, help="How much worse the candidate's error rate may be.")
@click.option("--alpha", default=0.05, show_default=True, help="Error probability.")
@JSON
def judge(control: str, candidate: str, margin: float, alpha: float, as_json: bool) -> None:
    """Judge a canary from counts alone, such as `--control 7/1200 --candidate 1/1180`."""
    from shadowlab import standalone, terminal

    judgement = standalone.judge(_counts(control), _counts(candidate), margin=margin, alpha=alpha)
    sys.exit(terminal.show(judgement, as_json=as_json))


def _counts(text: str) -> tuple[int, int]:
    failures, slash, total = text.partition("/")
    if not (slash and failures.isdecimal() and total.isdecimal() and int(failures) <= int(total)):
        raise errors.UsageError(f"{text!r} is no count", hint="write failures/requests, such as 7/1200")
    return int(failures), int(total)


@verb("rollout")
def rollout(inv: Any) -> Any:
    """Write the plan of a gated patch: pull request, canary, rollback. Deploys nothing."""
    return inv.rollout()


@verb("report")
@click.option("--template", default="incident", show_default=True, help="Name of a template, or path of a notebook.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="KEY VALUE", help="A parameter of the template.")
def report(inv: Any, template: str, parameters: tuple[tuple[str, str], ...]) -> Any:
    """Run a report notebook on the case: an executed notebook and a page, signed."""
    return inv.report(template, **dict(parameters))
