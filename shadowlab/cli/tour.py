"""Where to start: the demo on the bundled incident, and JupyterLab."""

from __future__ import annotations

import functools
import json
import sys
from pathlib import Path

import click

from shadowlab.cli.commands import FILE, JSON, main
from shadowlab.exit_codes import ExitCode


@main.command()
@click.option(
    "--out",
    type=FILE,
    default=Path("out/demo"),
    show_default=True,
    help="Case folder; an older demo there is replaced.",
)
@click.option("--sandbox", default="embedded", show_default=True, help="Where the service is replayed.")
@JSON
def demo(out: Path, sandbox: str, as_json: bool) -> None:
    """Run every step on the bundled incident, and explain each."""
    from shadowlab import demo as stage
    from shadowlab.progress import TerminalBars

    with TerminalBars() as bars:
        done = stage.run(out, tell=functools.partial(click.echo, err=as_json), sandbox=sandbox, progress=bars)
    if as_json:
        click.echo(json.dumps(done, indent=1))
    sys.exit(ExitCode.DONE if done["verdict"] == "pass" else ExitCode.NEGATIVE)


@main.command()
@click.argument("case", type=FILE, required=False)
def lab(case: Path | None) -> None:
    """Open JupyterLab; with CASE, on a notebook about it."""
    from shadowlab.lab import open_lab

    open_lab(case)
