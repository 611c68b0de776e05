"""One command per verb. Results go to standard output, everything else to standard error.

Exit codes: 0 done, and a positive verdict where there is one; 1 a negative or inconclusive verdict; 2 misuse, or input
that cannot be used; 70 a fault of shadowlab itself; 130 interrupted.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

import shadowlab
from shadowlab import errors

_FILE = click.Path(path_type=Path)
_CASE = click.argument("case", type=_FILE)
_TELEMETRY = click.option("--telemetry", metavar="URL", help="A larger store, left where it is; see docs/scale.md.")
_JSON = click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on standard output.")


class _Commands(click.Group):
    """Turns what is raised on purpose into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except errors.ShadowlabError as exc:
            from shadowlab.terminal import visible

            click.echo(visible(f"error: {exc}"), err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted; the case holds what was kept before", err=True)
            ctx.exit(130)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(0)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as exc:  # the last net: a fault of ours must not look like a verdict (exit 1)
            if os.environ.get("SHADOWLAB_TRACEBACK"):
                raise
            click.echo(f"error: a fault of shadowlab itself ({type(exc).__name__} in {_place(exc)})", err=True)
            click.echo("hint: set SHADOWLAB_TRACEBACK=1 for the traceback, and please report it", err=True)
            ctx.exit(70)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)


def _place(exc: BaseException) -> str:
    tb, place = exc.__traceback__, "?"
    while tb is not None:
        place, tb = f"{Path(tb.tb_frame.f_code.co_filename).name}:{tb.tb_lineno}", tb.tb_next
    return place


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(shadowlab.__version__, prog_name="shadowlab")
def main() -> None:
    """From a trace to a proved fix, in shadow mode: observe, replay, diagnose, draft, prove.

    A case is a folder. Try `shadowlab demo` first; then, for an incident of your own:

    \b
      shadowlab ingest CASE traces.jsonl recordings/ --source path/to/service
      shadowlab triage CASE --slo objective.yaml
      shadowlab replay CASE --times 20
      shadowlab diagnose CASE
      shadowlab propose CASE
      shadowlab gate CASE
      shadowlab report CASE

    Exit codes: 0 done (and a positive verdict), 1 a negative or inconclusive verdict, 2 misuse or unusable input.
    """


def _verb(name: str, *, create: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A command whose function takes the open investigation first and returns a record to print."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @main.command(name)
        @_CASE
        @click.option("--source", type=_FILE, help="The service's repository; remembered by the case.")
        @click.option("--lock-timeout", default=10.0, show_default=True, help="Seconds to wait for another writer.")
        @_JSON
        @functools.wraps(function)
        def command(
            case: Path,
            source: Path | None,
            lock_timeout: float,
            as_json: bool,
            telemetry: str | None = None,
            **options: Any,
        ) -> None:
            from shadowlab import terminal
            from shadowlab.case import as_it_was
            from shadowlab.investigation import open_investigation
            from shadowlab.progress import TerminalBars

            with TerminalBars() as bars, as_it_was(case):
                inv = open_investigation(
                    case,
                    source=source,
                    create=create or telemetry is not None,
                    progress=bars,
                    lock_timeout=lock_timeout,
                    telemetry=telemetry,
                )
                result = function(inv, **options)
            sys.exit(terminal.show(result, as_json=as_json))

        return command

    return decorate


@_verb("ingest", create=True)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--redact", default="default", show_default=True, help="default, or strict: people and addresses too.")
@click.option("--no-redact", is_flag=True, help="Keep values as they are; the ledger says so.")
@click.option("--tape", type=_FILE, help="Recorded answers for recordings without any: HAR, VCR, nock, WireMock, ...")
def ingest(inv: Any, paths: tuple[str, ...], redact: str, no_redact: bool, tape: Path | None) -> Any:
    """Take telemetry and recordings into CASE, made when there is none.

    PATH is a file, a folder, a glob or `-` for standard input, packed or not: OTLP, Jaeger or Zipkin, crash dumps,
    recordings of shadowlab-recorder. What was loaded before adds nothing.
    """
    return inv.ingest(*paths, redact=None if no_redact else redact, tape=tape)


@_verb("receive", create=True)
@click.option("--http", default="127.0.0.1:4318", show_default=True, metavar="HOST:PORT", help="OTLP/HTTP, or off.")
@click.option("--grpc", metavar="HOST:PORT", help="OTLP/gRPC, such as 127.0.0.1:4317; needs shadowlab[grpc].")
@click.option("--token-file", type=_FILE, help="Refuse requests without the bearer token in this file.")
@click.option("--tls-cert", type=_FILE, help="PEM certificate.")
@click.option("--tls-key", type=_FILE, help="Its key.")
@click.option("--keep", metavar="WINDOW", help="Drop what was received longer ago than this, such as 6h.")
@click.option("--max-size", metavar="SIZE", help="Drop the oldest beyond this, such as 2GB.")
@click.option("--redact", default="default", show_default=True, help="default, or strict: people and addresses too.")
@click.option("--no-redact", is_flag=True, help="Keep values as they are; the ledger says so.")
def receive(
    inv: Any, http: str, grpc: str | None, token_file: Path | None, tls_cert: Path | None, tls_key: Path | None,
    keep: str | None, max_size: str | None, redact: str, no_redact: bool,
) -> Any:  # fmt: skip
    """Receive OTLP until Ctrl-C: what it acknowledges is on the disk, and SQL shows it a moment later."""
    from shadowlab.statusline import StatusLine

    if bool(tls_cert) != bool(tls_key):
        raise errors.UsageError("a certificate needs its key, and a key its certificate", hint="give both files")
    tls = (tls_cert, tls_key) if tls_cert else None
    with StatusLine() as line:
        policy = None if no_redact else redact
        return inv.receive(
            http=http, grpc=grpc, redact=policy, token_file=token_file, tls=tls, tell=line, keep=keep, max_size=max_size
        )


@main.command("slice")
@click.argument("url")
@click.option(
    "--case", type=_FILE, help="The case; made when there is none. Named after the service or trace if left out."
)
@click.option("--trace", help="The trace that is wanted, whole.")
@click.option("--service", "services", multiple=True, help="Traces that touch this service; may be repeated.")
@click.option("--window", default="30m", show_default=True, help="How far back: 30m, 6h, 2d.")
@click.option("--at", default="last", show_default=True, help="RFC 3339, or `last`: the newest span there.")
@click.option("--limit", type=click.IntRange(1), help="Refuse more spans than this; a million unless told otherwise.")
@_JSON
def cut(
    url: str, case: Path | None, trace: str | None, services: tuple[str, ...], window: str, at: str, limit: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Make a case of an incident's part of a larger store: whole traces, with their logs and metrics.

    URL is parquet:///DIR, parquet+s3://BUCKET/PREFIX, clickhouse://HOST:8123/DATABASE, chdb:///DIR?database=NAME,
    spark://HOST:7077/DATABASE or bigquery://PROJECT/DATASET. Nothing is written there.
    """
    from shadowlab import terminal
    from shadowlab.case import as_it_was
    from shadowlab.investigation import open_investigation
    from shadowlab.progress import TerminalBars

    if not (trace or services):
        raise errors.UsageError("a slice of what?", hint="--trace ID, or --service NAME with --window 30m")
    place = case or Path(trace[:12] if trace else services[0].replace("/", "-"))
    with TerminalBars() as bars, as_it_was(place):
        inv = open_investigation(place, create=True, progress=bars)
        done = inv.slice(url, window=window, at=at, services=services, trace=trace, limit=limit)
        click.echo(f"in case {place}", err=True)
    sys.exit(terminal.show(done, as_json=as_json))


@main.command()
@_CASE
@click.argument("recording", required=False)
@click.option("--parquet", type=_FILE, metavar="DIR", help="The telemetry, by day and service; a new folder.")
@click.option("--zip", "zipped", type=_FILE, help="RECORDING with its blobs, as one file.")
@click.option("--vcr", type=_FILE, help="RECORDING's calls as a cassette that vcrpy plays.")
@_JSON
def export(
    case: Path, recording: str | None, parquet: Path | None, zipped: Path | None, vcr: Path | None, as_json: bool
) -> None:
    """Write the telemetry as Parquet (what a lake, Spark or another case reads), or one RECORDING for others."""
    from shadowlab.investigation import open_investigation
    from shadowlab.progress import TerminalBars

    if recording is not None:
        inv = open_investigation(case, create=False)
        made, notes = inv.export_recording(recording, zip=zipped, vcr=vcr)
        both = {"files": [str(file) for file in made], "notes": list(notes)}
        lines = [*both["files"], *(f"note: {note}" for note in notes)]
        click.echo(json.dumps(both, indent=1) if as_json else "\n".join(lines))
        return
    if parquet is None:
        raise errors.UsageError("nothing to export", hint="give --parquet DIR, or a RECORDING with --zip or --vcr")
    with TerminalBars() as bars:
        files = open_investigation(case, create=False, progress=bars).export(parquet=parquet)
    told = {"files": [str(file.relative_to(parquet)) for file in files], "folder": str(parquet)}
    click.echo(json.dumps(told, indent=1) if as_json else f"{len(files)} files in {parquet}")


@main.command()
@_CASE
@click.option("--every", default="1m", show_default=True, help="How often to look.")
@click.option("--window", default="30m", show_default=True, help="What triage looks at; a case gets twice as much.")
@click.option("--slo", type=_FILE, help="OpenSLO v1 objectives; else the case's, else a default per service.")
@click.option("--out", type=_FILE, default=Path("incidents"), show_default=True, help="Folder for the cases it makes.")
@click.option("--report", "template", metavar="TEMPLATE", help="Run this report on each new case.")
@click.option("--webhook", metavar="HOST:PORT", help="Take pages of PagerDuty and Alertmanager here.")
@click.option("--webhook-secret", type=_FILE, metavar="FILE", help="The secret they sign with; needed for --webhook.")
@click.option("--once", is_flag=True, help="Look once, and leave.")
@_JSON
def watch(case: Path, every: str, window: str, out: Path, as_json: bool, **orders: Any) -> None:
    """Triage over what arrives; when an alert starts, its incident becomes a case of its own below --out.

    Runs beside `receive` on the same CASE until Ctrl-C. One incident gives one case, also after a restart.
    """
    from shadowlab import watching

    tell = functools.partial(click.echo, err=True)
    made = watching.watch(case, every=every, window=window, out=out, tell=tell, **orders)
    click.echo(json.dumps({"cases": made}, indent=1) if as_json else f"{len(made)} cases were made")


@_verb("triage")
@click.option("--slo", type=_FILE, help="OpenSLO v1 objectives; remembered by the case.")
@click.option("--window", default="30m", show_default=True, help="How far back the ranking looks: 30m, 6h, 2d.")
@click.option("--at", default="last", show_default=True, help="RFC 3339, or `last`: the newest timestamp of the case.")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1, 1000), help="How many suspects to list.")
@click.option("--merge", multiple=True, metavar="A,B", help="Fingerprints that are one fault; kept in the case.")
@click.option("--split", multiple=True, metavar="A", help="A fingerprint of several faults, to part by path; kept too.")
@click.option("--changes", type=_FILE, help="JSON lines that tell of changes no trace shows.")
@_TELEMETRY
def triage(
    inv: Any, slo: Path | None, window: str, at: str, top: int, merge: tuple[str, ...], split: tuple[str, ...],
    changes: Path | None,
) -> Any:  # fmt: skip
    """What burns, which errors explain it, since which change, and what is worth replaying."""
    groups = [tuple(part.strip() for part in group.split(",")) for group in merge]
    return inv.triage(slo=slo, window=window, at=at, top=top, merge=groups, split=split, changes=changes)


@_verb("replay")
@click.option("--suspect", help="A suspect's fingerprint, or its beginning.")
@click.option("--recording", "recordings", multiple=True, help="A recording's id; may be repeated.")
@click.option("--trace", help="A trace's id: its recording, or what is missing of it.")
@click.option("--times", default=2, show_default=True, type=click.IntRange(2, 10_000), help="Replays in all.")
@click.option("--sandbox", default="embedded", show_default=True, help="embedded, docker, bwrap, gvisor or unconfined.")
@click.option("--revision", help="The commit to run; else the one that the recording names.")
@click.option("--workers", metavar="ADDRESS", help="Run on the workers of a Dask scheduler, as tcp://HOST:8786.")
@click.option("--pytest", "pytest_out", type=_FILE, help="Write the replay as plain pytest below this folder.")
def replay(
    inv: Any, suspect: str | None, recordings: tuple[str, ...], trace: str | None, times: int, sandbox: str,
    revision: str | None, workers: str | None, pytest_out: Path | None,
) -> Any:  # fmt: skip
    """Run recorded requests again, alone, and say whether they fail in the same way every time.

    Of a request that nothing recorded, say what telemetry knows of it, and name every input that is missing.
    """
    done = inv.replay(
        suspect, times=times, sandbox=sandbox, revision=revision, recordings=recordings or None, trace=trace,
        workers=workers,
    )  # fmt: skip
    if pytest_out is not None:
        for place in inv.to_pytest(done, out=pytest_out):
            click.echo(f"wrote {place}", err=True)
    return done


@_verb("minimise")
@click.option("--recording", help="A recording's id; else the latest replay's, else the newest failing one.")
@click.option("--budget", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Replays at most.")
@click.option("--sandbox", default="embedded", show_default=True, help="embedded, docker, bwrap, gvisor or unconfined.")
@click.option("--revision", help="The commit to run; else the one that the recording names.")
@click.option("--pytest", "pytest_out", type=_FILE, help="Replay the small request, and write it as pytest below this.")
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


@_verb("compare")
@click.option("--base", help="The first commit; else the one that the recordings name.")
@click.option("--patched", help="The second commit.")
@click.option("--patch", type=_FILE, help="A unified diff, applied to the second commit, or to the first.")
@click.option("--recording", "recordings", multiple=True, help="A recording's id; may be repeated.")
@click.option("--limit", default=40, show_default=True, type=click.IntRange(1, 10_000), help="Recordings to take.")
@click.option("--sandbox", default="embedded", show_default=True, help="embedded, docker, bwrap, gvisor or unconfined.")
def compare(
    inv: Any, base: str | None, patched: str | None, patch: Path | None, recordings: tuple[str, ...], limit: int,
    sandbox: str,
) -> Any:  # fmt: skip
    """Run the same recordings on two trees, and say what became of each.

    Fixed, still failing, new failure, changed but passing, unchanged, or not comparable; with the outbound calls that
    only one of the trees makes. Exits 0 when each is fixed or unchanged, else 1.
    """
    return inv.compare(None, base, patched, patch=patch, recordings=recordings or None, limit=limit, sandbox=sandbox)


@_verb("explore")
@click.option("--recording", help="A recording's id; else the latest replay's, else the newest failing one.")
@click.option("--schedules", default=200, show_default=True, type=click.IntRange(1, 100_000), help="Orders to try.")
@click.option(
    "--depth", default=3, show_default=True, type=click.IntRange(1, 20), help="Switches that a bug needs, plus 1."
)
@click.option("--seed", default=0, show_default=True, help="Of the first order; each has the next.")
@click.option("--strict", is_flag=True, help="Take any difference of the outcome for another one, the body's too.")
@click.option("--sandbox", default="embedded", show_default=True, help="embedded, docker, bwrap, gvisor or unconfined.")
@click.option("--revision", help="The commit to run; else the one that the recording names.")
def explore(inv: Any, recording: str | None, **options: Any) -> Any:
    """Run a request in seeded orders of its tasks and threads, until it comes out otherwise.

    Priorities and change points are drawn as PCT does (Burckhardt and others, ASPLOS 2010). The order that was found
    becomes a recording of the case, so that it comes out so every time. Exits 1 when one was found, else 0; nothing
    found is no proof that there is nothing.
    """
    return inv.explore(recording, **options)


@_verb("from-event", create=True)
@click.argument("event", type=_FILE)
@click.option("--fixtures", type=_FILE, help="Answers for outbound calls: METHOD_path.json files, HAR, VCR, nock, ...")
def from_event(inv: Any, event: Path, fixtures: Path | None) -> Any:
    """Make a recording from a bare JSON EVENT for a `callable(event)` entrypoint; `replay` goes on from it."""
    return inv.from_event(event, fixtures=fixtures)


@_verb("diagnose")
def diagnose(inv: Any) -> Any:
    """Change one thing at a time until the symptom goes; only that confirms a cause."""
    return inv.diagnose()


@_verb("propose")
@click.option("--proposer", type=click.Choice(["codemod", "search", "model"]), help="Ask this one only.")
def propose(inv: Any, proposer: str | None) -> Any:
    """Draft a minimal patch with a test that fails before it and passes after."""
    return inv.propose(proposer=proposer)


@_verb("gate")
@click.option("--candidate", default=0, show_default=True, help="Which candidate of the proposal, from 0.")
@click.option("--alpha", default=0.05, show_default=True, help="Error probability of each statistical gate.")
@click.option("--seed", default=0, show_default=True, help="Seed of everything drawn.")
@click.option("--sandbox", help="Where patched code is replayed; else where the replay was.")
@click.option("--least-sandbox", metavar="NAME", help="Run no patch behind weaker walls; the case remembers it.")
def gate(inv: Any, candidate: int, alpha: float, seed: int, sandbox: str | None, least_sandbox: str | None) -> Any:
    """Decide with numbers whether a candidate may go on: pass, fail or inconclusive."""
    return inv.gate(candidate, alpha=alpha, seed=seed, sandbox=sandbox, least_sandbox=least_sandbox)


@main.command()
@click.option("--control", required=True, metavar="F/N", help="Failures and requests of the running version.")
@click.option("--candidate", required=True, metavar="F/N", help="Failures and requests of the new version.")
@click.option("--margin", default=0.001, show_default=True, help="How much worse the candidate's error rate may be.")
@click.option("--alpha", default=0.05, show_default=True, help="Error probability.")
@_JSON
def judge(control: str, candidate: str, margin: float, alpha: float, as_json: bool) -> None:
    """Judge a canary from counts alone, such as `--control 7/1200 --candidate 1/1180`."""
    from shadowlab import apart, terminal

    told = apart.judge(_counts(control), _counts(candidate), margin=margin, alpha=alpha)
    sys.exit(terminal.show(told, as_json=as_json))


def _counts(text: str) -> tuple[int, int]:
    failures, slash, total = text.partition("/")
    if not (slash and failures.isdecimal() and total.isdecimal() and int(failures) <= int(total)):
        raise errors.UsageError(f"{text!r} is no count", hint="write failures/requests, such as 7/1200")
    return int(failures), int(total)


@_verb("rollout")
def rollout(inv: Any) -> Any:
    """Write the plan of a gated patch: pull request, canary, rollback. Deploys nothing."""
    return inv.rollout()


@_verb("report")
@click.option("--template", default="incident", show_default=True, help="A template's name, or a notebook.")
@click.option("-p", "parameters", nargs=2, multiple=True, metavar="KEY VALUE", help="A parameter of the template.")
def report(inv: Any, template: str, parameters: tuple[tuple[str, str], ...]) -> Any:
    """Run a report notebook on the case: an executed notebook and a page, signed."""
    return inv.report(template, **dict(parameters))


@main.command()
@click.argument("target", type=_FILE, metavar="CASE|NOTEBOOK")
@click.option("--rerun", is_flag=True, help="Execute the replay and the gates again instead of trusting them.")
@click.option("--signer", "signers", multiple=True, metavar="KEYID", help="Accept this key only; may be repeated.")
@_JSON
def verify(target: Path, rerun: bool, signers: tuple[str, ...], as_json: bool) -> None:
    """Check that a case, or a report, is as it was written: ledger, records, files, signatures."""
    from shadowlab import apart, terminal
    from shadowlab.investigation import open_investigation

    if target.is_file():
        told = apart.verify_notebook(target, signers=signers)
    else:
        told = open_investigation(target, create=False).verify(rerun=rerun, signers=signers)
    sys.exit(terminal.show(told, as_json=as_json))


@_verb("sql")
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json prints an array of objects, one per row, never cut.",
)
@click.option("--timeout", default=60.0, show_default=True, help="Seconds that it may take.")
@click.option("--memory", default="2GB", show_default=True, help="Memory that it may take.")
@_TELEMETRY
@click.option("--window", default="30m", show_default=True, help="With --telemetry: how far back.")
@click.option("--at", default="last", show_default=True, help="With --telemetry: until when.")
@click.option("--service", help="With --telemetry: of this service.")
@click.option("--trace", help="With --telemetry: for @trace.")
def sql(
    inv: Any, query: str, form: str, timeout: float, memory: str, window: str, at: str, service: str | None,
    trace: str | None,
) -> Any:  # fmt: skip
    """Ask the telemetry, read-only. QUERY is SQL, `-` for standard input, or `@dominant_errors`.

    With --telemetry a larger store is asked where it is: @signatures, @rates, @burn, @contrast, @edges, @trace.

    Views: spans, errors, events, links, logs, metric_points, traces, edges, self_time, critical_path, deploys,
    gen_ai_calls.
    """
    from shadowlab import terminal

    if inv.telemetry:
        return terminal.Rows(inv.ask(query, window=window, at=at, service=service, trace=trace), form)
    rows = inv.sql(sys.stdin.read() if query == "-" else query, timeout=timeout, memory=memory)
    return terminal.Rows(rows, form)


@_verb("show")
@click.argument("what", required=False, metavar="[TRACE|RECORDING|SUSPECT|DIGEST]")
def show(inv: Any, what: str | None) -> Any:
    """What is in the case; a trace with its logs, a recording, a suspect, or any record."""
    return inv.show(what)


@main.command()
@_CASE
@click.argument("file", type=_FILE)
def pack(case: Path, file: Path) -> None:
    """Write CASE as one portable FILE, keys left out; the same bytes when packed twice."""
    from shadowlab import apart

    click.echo(apart.pack(case, file))


@main.command()
@click.argument("file", type=_FILE)
@_CASE
def unpack(file: Path, case: Path) -> None:
    """Make the CASE that a packed FILE holds; CASE must be new."""
    from shadowlab import apart

    click.echo(apart.unpack(file, case).path)


@main.command()
@click.option("--out", type=_FILE, default=Path("out/demo"), show_default=True, help="Case folder; replaced.")
@click.option("--sandbox", default="embedded", show_default=True, help="Where the service is replayed.")
@_JSON
def demo(out: Path, sandbox: str, as_json: bool) -> None:
    """The whole way on the bundled incident, told as it goes."""
    from shadowlab import demo as story
    from shadowlab.progress import TerminalBars

    with TerminalBars() as bars:
        done = story.run(out, tell=functools.partial(click.echo, err=as_json), sandbox=sandbox, progress=bars)
    if as_json:
        click.echo(json.dumps(done, indent=1))
    sys.exit(0 if done["verdict"] == "pass" else 1)


@main.command()
@click.argument("case", type=_FILE, required=False)
def lab(case: Path | None) -> None:
    """Open JupyterLab, on a notebook about CASE when one is named."""
    from shadowlab import laboratory

    laboratory.open_lab(case)
