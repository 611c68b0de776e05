"""Commands that bring telemetry and recordings into a case."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path
from typing import Any

import click

from shadowlab import errors
from shadowlab.cli.commands import CASE, FILE, JSON, main, verb

REDACT = click.option(
    "--redact",
    default="default",
    show_default=True,
    help="Redaction policy: default, or strict (people and addresses too).",
)
NO_REDACT = click.option("--no-redact", is_flag=True, help="Keep secrets as they are; the ledger says so.")


@verb("ingest", create=True)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@REDACT
@NO_REDACT
@click.option("--tape", type=FILE, help="Answers for recordings that bring none: HAR, VCR, nock, WireMock, ...")
def ingest(inv: Any, paths: tuple[str, ...], redact: str, no_redact: bool, tape: Path | None) -> Any:
    """Load telemetry and recordings into CASE, which is made when there is none.

    PATH is a file, a folder, a glob or `-` for standard input, compressed or not: OTLP, Jaeger or Zipkin, crash dumps,
    recordings of shadowlab-recorder. Loading the same file again adds nothing.
    """
    return inv.ingest(*paths, redact=None if no_redact else redact, tape=tape)


@verb("receive", create=True)
@click.option(
    "--http", default="127.0.0.1:4318", show_default=True, metavar="HOST:PORT", help="Address for OTLP/HTTP, or off."
)
@click.option(
    "--grpc", metavar="HOST:PORT", help="Address for OTLP/gRPC, such as 127.0.0.1:4317; needs shadowlab[grpc]."
)
@click.option("--token-file", type=FILE, help="Refuse requests without the bearer token in this file.")
@click.option("--tls-cert", type=FILE, help="TLS certificate, PEM.")
@click.option("--tls-key", type=FILE, help="Private key of the certificate, PEM.")
@click.option("--keep", metavar="WINDOW", help="Drop telemetry older than this, such as 6h.")
@click.option("--max-size", metavar="SIZE", help="Drop the oldest telemetry beyond this size, such as 2GB.")
@REDACT
@NO_REDACT
def receive(
    inv: Any, http: str, grpc: str | None, token_file: Path | None, tls_cert: Path | None, tls_key: Path | None,
    keep: str | None, max_size: str | None, redact: str, no_redact: bool,
) -> Any:  # fmt: skip
    """Receive OTLP until Ctrl-C. What it acknowledges is on disk; SQL shows it a moment later."""
    from shadowlab.statusline import StatusLine

    if bool(tls_cert) != bool(tls_key):
        raise errors.UsageError("a certificate needs its key, and a key its certificate", hint="give both files")
    tls = (tls_cert, tls_key) if tls_cert else None
    with StatusLine() as line:
        policy = None if no_redact else redact
        return inv.receive(
            http=http, grpc=grpc, redact=policy, token_file=token_file, tls=tls, tell=line, keep=keep, max_size=max_size
        )


@main.command()
@CASE
@click.option("--every", default="1m", show_default=True, help="How often to look.")
@click.option(
    "--window", default="30m", show_default=True, help="How far back triage looks; a case covers twice as much."
)
@click.option("--slo", type=FILE, help="OpenSLO v1 objectives; else the case's, else a default per service.")
@click.option("--out", type=FILE, default=Path("incidents"), show_default=True, help="Folder for the cases it makes.")
@click.option("--report", "template", metavar="TEMPLATE", help="Run this report on each new case.")
@click.option("--webhook", metavar="HOST:PORT", help="Listen here for pages of PagerDuty and Alertmanager.")
@click.option(
    "--webhook-secret",
    type=FILE,
    metavar="FILE",
    help="File with the secret that they sign with; needed for --webhook.",
)
@click.option("--once", is_flag=True, help="Look once and exit.")
@JSON
def watch(case: Path, every: str, window: str, out: Path, as_json: bool, **orders: Any) -> None:
    """Triage telemetry as it arrives; when an alert starts, copy its incident into a case of its own below --out.

    Runs beside `receive` on the same CASE until Ctrl-C. One incident gives one case, even after a restart.
    """
    from shadowlab import watch as stage
    from shadowlab.records.base import counted

    tell = functools.partial(click.echo, err=True)
    made = stage.watch(case, every=every, window=window, out=out, tell=tell, **orders)
    click.echo(json.dumps({"cases": made}, indent=1) if as_json else f"{counted(len(made), 'case')} made")


@main.command("slice")
@click.argument("url")
@click.option(
    "--case", type=FILE, help="The case, made when there is none; by default named after the service or trace."
)
@click.option("--trace", help="Pull this one trace.")
@click.option("--service", "services", multiple=True, help="Pull traces that touch this service; may be repeated.")
@click.option("--window", default="30m", show_default=True, help="How far back: 30m, 6h, 2d.")
@click.option(
    "--at", default="last", show_default=True, help="End of the window: RFC 3339, or `last` for the newest span there."
)
@click.option("--limit", type=click.IntRange(1), help="Refuse to pull more spans than this; the default is a million.")
@JSON
def cut(
    url: str, case: Path | None, trace: str | None, services: tuple[str, ...], window: str, at: str, limit: int | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Pull one incident out of a larger store into a case: whole traces, with their logs and metrics.

    URL is parquet:///DIR, parquet+s3://BUCKET/PREFIX, clickhouse://HOST:8123/DATABASE, chdb:///DIR?database=NAME,
    spark://HOST:7077/DATABASE or bigquery://PROJECT/DATASET. The store is only read.
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


@verb("from-event", create=True)
@click.argument("event", type=FILE)
@click.option("--fixtures", type=FILE, help="Answers for outbound calls: METHOD_path.json files, HAR, VCR, nock, ...")
def from_event(inv: Any, event: Path, fixtures: Path | None) -> Any:
    """Make a recording from a bare JSON EVENT for a `callable(event)` entrypoint; `replay` then runs it."""
    return inv.from_event(event, fixtures=fixtures)
