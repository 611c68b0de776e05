"""Print a result on standard output, as one JSON document or as text, and give the exit code that goes with it."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import click

from shadowlab import errors, privacy
from shadowlab.exit_codes import ExitCode
from shadowlab.inspection import Shown
from shadowlab.records import Ingest, Outcome, Record, Replay, Verdict
from shadowlab.texts import grid, text


@dataclass(frozen=True, slots=True)
class Rows:
    """A query's rows, and the form in which they were asked for."""

    rows: Any
    form: str


def show(result: Any, *, as_json: bool = False) -> ExitCode:
    """Print a result and return the exit code that goes with it."""
    if isinstance(result, Ingest) and result.refused:
        raise errors.TelemetryError(
            "\n".join(f"{refused.file}: {refused.reason}" for refused in result.refused),
            hint=f"nothing of these was kept; the others were loaded: {result.spans:,} spans, {result.logs:,} logs,"
            f" {result.recordings:,} recordings",
        )
    if isinstance(result, Rows):
        _print_rows(result.rows, "json" if as_json else result.form)
    elif as_json:
        click.echo(one_document(_document(result), indent=1))
    else:
        click.echo(visible(text(result)))
    return _exit_code(result)


def complaint(text: str, words: Iterable[str]) -> str:
    """A message about a command as it is printed: it repeats no secret that was typed as one of the command's words."""
    parts = (part for word in words for part in (word.split("=", 1) if word.startswith("--") else [word]))
    return visible(privacy.unrepeated(text, parts))


def visible(text: str) -> str:
    r"""`text` with every character that could steer a terminal written out, as `\x1b`; lines and tabs stay.

    Telemetry, sources and patches are hostile: an escape sequence hides lines, an override turns `pass` around.
    """
    if text.isprintable():
        return text
    return "".join(c if c in "\n\t" or not _steers(c) else c.encode("unicode_escape").decode() for c in text)


def _steers(letter: str) -> bool:
    return unicodedata.category(letter) in ("Cc", "Cf", "Cs", "Zl", "Zp")


def one_document(document: Any, *, indent: int | None = None) -> str:
    """JSON in which controls beyond ASCII are escaped too: it is read in terminals as well as by programs."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(f"\\u{ord(c):04x}" if c != "\n" and ord(c) < 0x10000 and _steers(c) else c for c in text)


def _document(result: Any) -> Any:
    match result:
        case Record():
            return result.to_json()
        case Shown():
            return {"type": result.kind, **_plain(result.document)}
    return result


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _exit_code(result: Any) -> ExitCode:
    match result:
        case Replay():
            positive = result.outcome is Outcome.REPRODUCED
        case Record():
            positive = getattr(result, "verdict", Verdict.PASS) is Verdict.PASS
        case _:
            positive = True
    return ExitCode.DONE if positive else ExitCode.NEGATIVE


def _print_rows(rows: Any, form: str) -> None:
    match form:
        case "json":
            click.echo(one_document(_plain(rows.rows())))
        case "csv":
            text = str(rows.df().to_csv(index=False))
            click.echo(visible(text) if sys.stdout.isatty() else text, nl=False)
        case _:
            click.echo(grid(rows.rows()))
