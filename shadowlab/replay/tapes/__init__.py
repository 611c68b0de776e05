"""Recorded answers of other tools, read into a recording's tape: what a service asked of others, and what it got.

>>> from shadowlab.replay import tapes
>>> tape = tapes.read(Path("cassettes/charge.yaml"))  # doctest: +SKIP

A format is recognised by its content. Nothing of a file is run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shadowlab import errors, reading
from shadowlab.replay.tapes.base import Format, Sheet, outbound
from shadowlab.replay.tapes.har import Har
from shadowlab.replay.tapes.hoverfly import Hoverfly
from shadowlab.replay.tapes.mountebank import Mountebank
from shadowlab.replay.tapes.nock import Nock
from shadowlab.replay.tapes.plain import Plain
from shadowlab.replay.tapes.respx import Respx
from shadowlab.replay.tapes.vcr import Vcr, cassette
from shadowlab.replay.tapes.wiremock import WireMock

__all__ = ["FORMATS", "Tape", "cassette", "read", "recognised"]

FORMATS: tuple[Format, ...] = (Har(), Vcr(), Nock(), WireMock(), Hoverfly(), Mountebank(), Respx(), Plain())
LARGEST = 16 << 20
"""Bytes of one file."""
MOST_CALLS = 10_000
_ENDINGS = (".json", ".yaml", ".yml", ".har", ".py")
_ASIDE = "__files"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tape:
    """What was read."""

    calls: tuple[dict[str, Any], ...]
    """Entries of a recording's `outbound`, in the order of the files and within them."""
    formats: tuple[str, ...]
    """The formats that were met."""
    notes: tuple[str, ...] = ()
    """What was left out, in words."""


def read(path: Path) -> Tape:
    """The answers in a file, or in the files of a folder, in the order of their names.

    Raises `RecordingError` when nothing in it is a format that is known, or when a part of a file is wrong.
    """
    notes: list[str] = []
    calls: list[dict[str, Any]] = []
    formats: dict[str, None] = {}
    for sheet in _sheets(path, notes):
        found = next((each for each in FORMATS if each.recognises(sheet)), None)
        if found is None:
            notes.append(f"{sheet.name}: no recorded answers in a format that is known")
            continue
        formats[found.name] = None
        calls += _calls(found, sheet, len(calls), notes)
        if len(calls) > MOST_CALLS:
            raise errors.RecordingError(f"{path}: more than {MOST_CALLS:,} calls", hint="take those of one request")
    if not formats:
        raise errors.RecordingError(
            f"{path}: no recorded answers" + (f" ({notes[0]})" if notes else ""),
            hint="HAR, VCR cassettes, nock, respx, WireMock, Hoverfly, Mountebank and METHOD_path.json files are read",
        )
    return Tape(calls=tuple(calls), formats=tuple(formats), notes=tuple(dict.fromkeys(notes)))


def recognised(path: Path) -> str | None:
    """The name of the format of a file, None when it is no recorded answers'."""
    try:
        sheet = next(_sheets(path, []), None) if path.is_file() else None
        return next((each.name for each in FORMATS if sheet and each.recognises(sheet)), None)
    except (errors.RecordingError, AttributeError, TypeError, ValueError, RecursionError):
        return None


def _calls(found: Format, sheet: Sheet, seq: int, notes: list[str]) -> list[dict[str, Any]]:
    try:
        return [outbound(answer, seq + n, found.name) for n, answer in enumerate(found.answers(sheet, notes))]
    except errors.RecordingError as exc:
        raise errors.RecordingError(f"{sheet.name} ({found.name}): {exc.args[0]}", hint=exc.hint) from exc
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError) as exc:
        raise errors.RecordingError(
            f"{sheet.name} is no whole {found.name} file: {type(exc).__name__} {str(exc)[:100]}",
            hint="write it again with the tool that made it",
        ) from exc


def _sheets(path: Path, notes: list[str]) -> Iterator[Sheet]:
    if not path.exists():
        raise errors.RecordingError(
            f"{path}: there is no such file", hint="name a file of recorded answers, or a folder"
        )
    if path.is_file():
        yield _sheet(path, {})
        return
    beside = {
        file.relative_to(folder).as_posix(): _content(file)
        for folder in path.rglob(_ASIDE) if folder.is_dir()
        for file in sorted(folder.rglob("*")) if file.is_file() and not file.is_symlink()
    }  # fmt: skip
    for file in sorted(path.rglob("*")):
        inside = file.relative_to(path).parts
        if not file.is_file() or _ASIDE in inside or any(part.startswith(".") for part in inside):
            continue
        if file.suffix.lower() in _ENDINGS:
            yield _sheet(file, beside)
        else:
            notes.append(f"{file.name}: no recorded answers in a format that is known")


def _sheet(file: Path, beside: dict[str, bytes]) -> Sheet:
    try:
        text = _content(file).decode()
        return Sheet(file.name, text, _document(file, text), beside)
    except (ValueError, RecursionError) as exc:
        raise errors.RecordingError(
            f"{file} cannot be read: {str(exc)[:200]}", hint="name JSON, YAML or Python"
        ) from exc


def _document(file: Path, text: str) -> Any:
    if file.suffix.lower() == ".py":
        return None
    try:
        return json.loads(text)
    except ValueError:
        if file.suffix.lower() not in (".yaml", ".yml"):
            raise
    return _yaml(text)


def _yaml(text: str) -> Any:
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        return yaml.load(text, Loader=loader)
    except yaml.YAMLError as exc:
        raise ValueError(f"no YAML: {' '.join(str(exc).split())}") from exc


def _content(file: Path) -> bytes:
    try:
        return reading.content(file, LARGEST)
    except OSError as exc:
        raise errors.RecordingError(f"{file} cannot be read: {exc.strerror}", hint="name a file to read") from exc
