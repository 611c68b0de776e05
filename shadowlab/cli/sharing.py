"""Commands that hand a case on: exported for other tools, packed as one file, unpacked again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from shadowlab import errors
from shadowlab.cli.commands import CASE, FILE, JSON, main


@main.command()
@CASE
@click.argument("recording", required=False)
@click.option(
    "--parquet", type=FILE, metavar="DIR", help="Write the telemetry into this new folder, by day and service."
)
@click.option("--zip", "zipped", type=FILE, help="Write RECORDING with its blobs as this new file.")
@click.option("--vcr", type=FILE, help="Write RECORDING's calls as this new file, a cassette for vcrpy.")
@JSON
def export(
    case: Path, recording: str | None, parquet: Path | None, zipped: Path | None, vcr: Path | None, as_json: bool
) -> None:
    """Write the telemetry as Parquet (which a lake, Spark or another case reads), or one RECORDING for other tools."""
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
    written = {"files": [str(file.relative_to(parquet)) for file in files], "folder": str(parquet)}
    click.echo(json.dumps(written, indent=1) if as_json else f"{len(files)} files in {parquet}")


@main.command()
@CASE
@click.argument("file", type=FILE)
@JSON
def pack(case: Path, file: Path, as_json: bool) -> None:
    """Write CASE, without its keys, as one portable FILE; packing it twice gives the same bytes.

    FILE must be new, or an older pack of this case.
    """
    from shadowlab import standalone

    made = str(standalone.pack(case, file))
    click.echo(json.dumps({"file": made}) if as_json else made)


@main.command()
@click.argument("file", type=FILE)
@CASE
@JSON
def unpack(file: Path, case: Path, as_json: bool) -> None:
    """Unpack FILE into CASE, which must be new."""
    from shadowlab import standalone

    made = str(standalone.unpack(file, case).path)
    click.echo(json.dumps({"case": made}) if as_json else made)
