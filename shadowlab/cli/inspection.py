"""Commands that look into a case: check it, query it, show it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, TextIO

import click

from shadowlab import errors, reading
from shadowlab.cli.commands import FILE, JSON, TELEMETRY, main, verb

ASKED = ("signatures", "rates", "burn", "contrast", "edges", "trace")
"""Questions that ship as expressions, for the case's own store and for larger ones."""
_LONGEST_QUERY = 1_000_000
"""Characters."""


@main.command()
@click.argument("target", type=FILE, metavar="CASE|NOTEBOOK")
@click.option("--rerun", is_flag=True, help="Execute the replay and the gates again instead of trusting them.")
@click.option("--signer", "signers", multiple=True, metavar="KEYID", help="Accept this key only; may be repeated.")
@JSON
def verify(target: Path, rerun: bool, signers: tuple[str, ...], as_json: bool) -> None:
    """Check that a case, or a report, is as it was written: ledger, records, files, signatures.

    A report alone is checked against its signed statement; only its case can say whether a newer report replaced it.
    """
    from shadowlab import standalone, terminal
    from shadowlab.investigation import open_investigation

    if target.is_file():
        verification = standalone.verify_notebook(target, signers=signers)
    else:
        verification = open_investigation(target, create=False).verify(rerun=rerun, signers=signers)
    sys.exit(terminal.show(verification, as_json=as_json))


@verb("sql")
@click.argument("query")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    default="table",
    show_default=True,
    help="json prints an array of objects, one per row, never cut.",
)
@click.option("--timeout", default=60.0, show_default=True, help="Time limit in seconds.")
@click.option("--memory", default="2GB", show_default=True, help="Memory limit.")
@TELEMETRY
@click.option("--window", default="30m", show_default=True, help="For @questions: how far back.")
@click.option("--at", default="last", show_default=True, help="For @questions: end of the window, RFC 3339 or `last`.")
@click.option("--service", help="For @questions: this service only.")
@click.option("--trace", help="For @trace: the trace's id.")
def sql(
    inv: Any, query: str, form: str, timeout: float, memory: str, window: str, at: str, service: str | None,
    trace: str | None,
) -> Any:  # fmt: skip
    """Query the telemetry, read-only. QUERY is SQL, `-` for standard input, or `@dominant_errors`.

    @signatures, @rates, @burn, @contrast, @edges and @trace ask the case, or with --telemetry a larger store;
    --window, --at, --service and --trace narrow them.

    Views: spans, errors, events, links, logs, metric_points, traces, edges, self_time, critical_path, deploys,
    gen_ai_calls.
    """
    from shadowlab import terminal

    if inv.telemetry or query.strip() in {f"@{name}" for name in ASKED}:
        return terminal.Rows(inv.ask(query, window=window, at=at, service=service, trace=trace), form)
    rows = inv.sql(_from_standard_input() if query == "-" else query, timeout=timeout, memory=memory)
    return terminal.Rows(rows, form)


def _from_standard_input() -> str:
    stream: TextIO | None = sys.stdin
    if stream is None:
        raise errors.UsageError("standard input is closed", hint="give the query itself")
    try:
        return reading.whole(stream, _LONGEST_QUERY)
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is no text"
        raise errors.UsageError(f"standard input cannot be read: {reason}", hint="give the query itself") from exc


@verb("show")
@click.argument("what", required=False, metavar="[TRACE|RECORDING|SUSPECT|DIGEST]")
def show(inv: Any, what: str | None) -> Any:
    """Show what is in the case: an overview, or a trace with its logs, a recording, a suspect, any record."""
    return inv.show(what)
