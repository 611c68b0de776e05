"""Write a replay as plain pytest with freezegun, which a team can keep in its own repository without shadowlab."""

from __future__ import annotations

import hashlib
import json
import lzma
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from shadowlab import errors
from shadowlab.case import Case
from shadowlab.records import Replay
from shadowlab.replay import addresses, recording
from shadowlab.replay import plain_parts as parts
from shadowlab.replay.fixture import Fixture
from shadowlab.replay.postgres import needs
from shadowlab.replay.world import zone_of
from shadowlab.source import Settings, Source
from shadowlab.writing import write

MOST = 3
"""Recordings that one test file holds."""
_TEMPLATE = Path(__file__).with_name("plain_test.py.txt")
_POSTGRES = Path(__file__).with_name("plain_postgres.py.txt")
_UNWRITTEN = {
    "grpc": "makes calls of gRPC",
    "aiohttp": "makes calls through aiohttp",
    "urllib3": "makes calls through urllib3",
    "redis": "sends commands to Redis",
}
_STANDARD = ("base64", "contextlib", "importlib", "json", "lzma", "random", "sys", "time")
_FOR_POSTGRES = ("os", "secrets", "shutil", "signal", "socket", "subprocess", "tempfile")
_SERVER = addresses.Address(socket="{folder}", user="replay", name="replay", host="127.0.0.1", port="{port}")
_KEPT = 'KEPT = ("PGAPPNAME", "PGCLIENTENCODING", "PGDATESTYLE", "PGOPTIONS", "PGTZ")'


def to_pytest(case: Case, replay: Replay, source: Source, *, out: Path) -> tuple[Path, ...]:
    """Write `tests/replay/test_<suspect>.py` and the fixtures beside it below `out`; the paths, the test first.

    Raises `RecordingError` when the replay holds no recording that can be replayed, or calls that no such test can
    answer, when somebody edited the test that is there, and when `out` cannot be written.
    """
    ids = [run.recording for run in replay.runs if run.repeats][:MOST]
    if not ids:
        raise errors.RecordingError("the replay ran no recording", hint="record what is missing, then replay again")
    fixtures = [recording.load(case, id) for id in ids]
    _writable(fixtures)
    images: dict[str, bytes] = {}
    fixtures = [_with_zone(_with_image(case, fixture, images)) for fixture in fixtures]
    service = source.service(replay.revision)
    folder = out / "tests" / "replay"
    kind = service.kind or fixtures[0].kind
    name = re.sub(r"[^0-9a-zA-Z]", "_", (replay.suspect or fixtures[0].id)[:16]).lower()
    test = folder / f"test_{name}.py"
    stubbed = any(call.client not in ("httpx", "requests") for fixture in fixtures for call in fixture.outbound)
    code = _code(source, replay.revision) if stubbed else ""
    stored = _led(fixtures, service.database)
    written = _signed(_written(fixtures, name, kind, service.entrypoint, code, stored))
    try:
        if test.exists() and not _ours(test.read_bytes(), written):
            raise errors.RecordingError(
                f"{test} is there already and is not as it was written", hint="move it away, or name another folder"
            )
        write(test, written.encode())
        return (test, *_beside(folder, fixtures, images))
    except OSError as exc:
        raise errors.RecordingError(
            f"cannot write below {out}: {exc.strerror}", hint="name a folder, there or not, that can be written"
        ) from exc


def _writable(fixtures: Sequence[Fixture]) -> None:
    """Raises `RecordingError` for recordings that need more answered than httpx and requests."""
    for fixture in fixtures:
        clients = {call.client for call in fixture.outbound}
        what = [_UNWRITTEN[client] for client in sorted(clients & _UNWRITTEN.keys())]
        if fixture.call and fixture.call.system == "grpc":
            what = ["answers a call of gRPC"]
        if fixture.request.unread:
            what = ["had left its request's body unread"]
        if any(call.status is None and call.error is None for call in fixture.outbound):
            what = ["gave up a call that had not ended"]
        if what:
            raise errors.RecordingError(
                f"recording {fixture.id[:8]} {what[0]}, which a written test does not answer",
                hint="`shadowlab replay` runs it; `--pytest` writes requests and functions that call others through "
                "httpx and requests",
            )


def _signed(text: str) -> str:
    """The test below a line with its digest, by which it is known again."""
    return f"# Written by shadowlab; sha256 of what follows: {hashlib.sha256(text.encode()).hexdigest()}\n{text}"


def _ours(there: bytes, written: str) -> bool:
    """Whether a file is what would be written, or was once written and is unchanged."""
    text = there.decode("utf-8", "replace")
    return text == written or text == _signed(text.partition("\n")[2])


def _with_image(case: Case, fixture: Fixture, images: dict[str, bytes]) -> Fixture:
    """The recording with an image of its SQLite database, made of its rows where it has none; packed among `images`."""
    name = fixture.db_snapshot
    if name:
        images[name] = (case.recordings / name).read_bytes()
    elif (made := recording.snapshot(case, fixture)) is not None:
        name = f"blobs/{hashlib.sha256(made).hexdigest()}.sqlite.xz"
        images[name] = lzma.compress(made, preset=1)
    return msgspec.structs.replace(fixture, db_snapshot=name)


def _with_zone(fixture: Fixture) -> Fixture:
    """The recording with the zone that its replay lives in: a test sets what it is told without looking at it."""
    versions = msgspec.structs.replace(fixture.versions, time_zone=zone_of(fixture))
    return msgspec.structs.replace(fixture, versions=versions)


def _beside(folder: Path, fixtures: Sequence[Fixture], images: Mapping[str, bytes]) -> list[Path]:
    documents = {f"{fixture.id}.json": msgspec.to_builtins(fixture) for fixture in fixtures}
    texts = {name: json.dumps(each, indent=1, ensure_ascii=False).encode() + b"\n" for name, each in documents.items()}
    for name, content in {**texts, **images}.items():
        write(folder / name, content)
    return [folder / name for name in (*texts, *images)]


def _led(fixtures: Sequence[Fixture], declared: Settings) -> dict[str, str]:
    """The settings that lead the service to the test's own PostgreSQL; none where the recordings need none."""
    found: dict[str, str] = {}
    for fixture in fixtures:
        if needs(fixture):
            found = {**addresses.settings(fixture, _SERVER, declared), **found}
    return found


def _with_postgres(stored: Mapping[str, str]) -> dict[str, str]:
    """What the template says where there is a PostgreSQL, and where there is none."""
    arguments = "name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch"
    packages = "pytest, freezegun and the service's own packages"
    if not stored:
        return {"NEEDS": packages, "ADDRESS": "", "ARGUMENTS": arguments, "DATABASE": "", "POSTGRES": ""}
    named = "\n".join(f"    {json.dumps(name)}: {json.dumps(value)}," for name, value in sorted(stored.items()))
    return {
        "NEEDS": "pytest, freezegun, psycopg,\nan installed PostgreSQL and the service's own packages",
        "ADDRESS": f"\nADDRESS = {{\n{named}\n}}\n{_KEPT}",
        "ARGUMENTS": f"\n    {arguments}, request: pytest.FixtureRequest\n",
        "DATABASE": "\n    set_database(recording, monkeypatch, request)",
        "POSTGRES": f"{_POSTGRES.read_text(encoding='utf-8').strip()}\n\n\n",
    }


def _written(
    fixtures: Sequence[Fixture], name: str, kind: str, entrypoint: str, code: str, stored: Mapping[str, str]
) -> str:
    first = fixtures[0]
    led = any(fixture.db_snapshot and not fixture.db_environment for fixture in fixtures)
    clients = {name for fixture in fixtures for call in fixture.outbound for name in _made_by(call.client, code)}
    outbound = parts.NO_CALLS.strip()
    if clients:
        made = [parts.HTTPX] * ("httpx" in clients) + [parts.REQUESTS] * ("requests" in clients)
        outbound = "\n".join([parts.CALLS.strip(), *(part.rstrip() for part in made)])
    error = f" {first.error.type}" if first.error else ""
    status = f" -> {first.response.status}" if first.response else ""
    values = {
        "TITLE": _clean(f"{first.request.method} {first.request.path}{status}{error}, again."),
        "SENTENCE": _clean(f"{first.request.method} {first.request.path} is answered without an error."),
        "NAME": name,
        "KIND": kind,
        "ENTRYPOINT": entrypoint,
        "RECORDINGS": "\n".join(f'    "{fixture.id}.json",' for fixture in fixtures),
        "OUTBOUND": outbound,
        **_with_postgres(stored),
        "SQLITE": f"{parts.SQLITE.strip()}\n\n\n" if led else "",
        "LED": "\n    lead_to_copy(recording, tmp_path, monkeypatch)" if led else "",
        "ASK": {"wsgi": parts.WSGI, "function": parts.FUNCTION}.get(kind, parts.ASGI).strip(),
    }
    text = _TEMPLATE.read_text(encoding="utf-8")
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return _imports(text, clients, kind, stored=bool(stored), led=led)


def _code(source: Source, revision: str) -> str:
    return "\n".join(source.read(file, revision) for file in source.files(revision) if file.endswith(".py"))


def _made_by(client: str, code: str) -> tuple[str, ...]:
    """The libraries that may make a call: the recorded one; those that the code imports when a stub was written."""
    if client in ("httpx", "requests"):
        return (client,)
    return tuple(
        name for name in ("httpx", "requests") if re.search(rf"^\s*(import|from) {name}\b", code, re.MULTILINE)
    )


def _imports(text: str, clients: set[str], kind: str, *, stored: bool, led: bool) -> str:
    """The text with the imports that its parts need, in the order in which ruff wants them."""
    standard = {*_STANDARD, *(["re"] if clients else []), *(["io"] if kind == "wsgi" else ["asyncio"]),
                *(_FOR_POSTGRES if stored else []), *(["os", "sqlite3"] if led else [])}  # fmt: skip
    installed = {"pytest", *(clients & {"httpx", "requests"}), *(["psycopg"] if stored else [])}
    lines = [
        *(f"import {name}" for name in sorted(standard)),
        "from collections.abc import Iterator",
        "from datetime import datetime, timedelta",
        "from pathlib import Path",
        "from typing import Any",
        *(["from urllib.parse import unquote"] if kind != "function" else []),
        "",
        *(f"import {name}" for name in sorted(installed)),
        "from freezegun import freeze_time",
        *(["from psycopg import sql"] if stored else []),
    ]
    return text.replace("@IMPORTS@", "\n".join(lines)).replace(f'KIND = "{kind}"\n', "")


def _clean(text: str) -> str:
    """Text that may stand in a docstring, whatever a hostile recording says."""
    return re.sub(r'[^\x20-\x7e]|["\\@]', "?", text)[:100]
