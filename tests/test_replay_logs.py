"""What the service's own code logs belongs to the strict digest of its outcome."""

from pathlib import Path

import orders

from shadowlab import replay
from shadowlab.case import open_case
from shadowlab.replay import Runner, RunResult
from shadowlab.replay.fixture import Fixture, parse

TOML = '[service]\nname = "x"\nentrypoint = "main:run"\nkind = "function"\n'
CODE = """\
import logging

log = logging.getLogger("shop.mail")
logging.basicConfig(level=logging.INFO)


def run(event):
    logging.getLogger("asyncio").info("libraries are noise", stacklevel=2)
    log.debug("below the level")
    things = [object()]
    log.info("mail to %s about %s", event["to"], things)
    things.clear()
    try:
        {}["name"]
    except KeyError:
        log.exception("no name")
    return 1
"""


def once(folder: Path, code: str, event: object) -> list[RunResult]:
    source = orders.repository(folder, {"shadowlab.toml": TOML, "main.py": code})
    with Runner(source.path, source.service("HEAD")) as runner:
        return runner.run(asked(event))


def asked(event: object, **other: object) -> Fixture:
    request = {"method": "CALL", "path": "main:run", "body": event, "body_encoding": "json"}
    return parse({"request": request, "time": "2026-01-01T00:00:00Z", "kind": "function", **other}, where="x")


def test_the_service_s_own_records_are_told_and_those_of_libraries_are_not(tmp_path: Path) -> None:
    first, again, twin = once(tmp_path / "tree", CODE, {"to": "tea"})
    assert first.logs == (
        "INFO shop.mail: mail to tea about [<object object at 0x<address>>]",
        "ERROR shop.mail: no name (KeyError)",
    )
    assert first.digest == again.digest == twin.digest


def test_another_text_is_another_outcome_with_the_same_key(tmp_path: Path) -> None:
    before = once(tmp_path / "a", CODE, {"to": "tea"})[0]
    after = once(tmp_path / "b", CODE.replace("no name", "nameless"), {"to": "tea"})[0]
    assert [name for name, part in before.parts.items() if after.parts[name] != part] == ["logs"]
    assert (before.digest != after.digest, before.key) == (True, after.key)


def test_a_record_shows_what_was_logged_without_its_secrets(tmp_path: Path) -> None:
    source = orders.repository(tmp_path / "tree", {"shadowlab.toml": TOML, "main.py": CODE})
    case = open_case(tmp_path / "case")
    event = tmp_path / "event.json"
    event.write_text('{"to": "Bearer abcdefghijklmnop0123456789"}')
    made = replay.from_event(case, event, source=source)
    done = replay.replay(case, [made.id], source=source, revision="HEAD")
    assert done.runs[0].logs[1] == "ERROR shop.mail: no name (KeyError)"
    assert "abcdefghijklmnop" not in str(done.to_json())
