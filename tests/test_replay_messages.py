"""Recorded messages, given to the consumer once, and once more."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import orders
import pytest

from shadowlab import replay
from shadowlab.case import open_case
from shadowlab.records import Replay
from shadowlab.texts import text

FAULTY = """\
import json, os, sqlite3, uuid
import httpx


def handle(consumer, message):
    order = json.loads(message.value)
    with sqlite3.connect(os.environ["MAIL_DB"]) as db:
        if guarded(db, message):
            return "seen"
        db.execute("INSERT INTO sent VALUES (?, ?)", (str(uuid.uuid4()), order["to"]))
    httpx.post("http://mail.internal/send", json=order)
    consumer.commit(message)
    return message.headers[0][0]


def guarded(db, message):
    return False


async def on_mail(message):
    async with message.process():
        httpx.post("http://mail.internal/send", json=json.loads(message.body))


def entry(id, fields):
    return [id, fields["to"]]


def pair(given):
    return list(entry(*given))


def classic(channel, method, properties, body):
    channel.basic_ack(method.delivery_tag)
    return [method.routing_key, properties.message_id, body.decode()]


class Worker:
    def consume(self, message):
        return [message.topic(), message.partition(), message.offset(), message.value().decode(), message.error()]
"""
RIGHT = FAULTY.replace(
    "    return False\n",
    '    key = dict(message.headers)["idempotency-key"].decode()\n'
    '    return not db.execute("INSERT OR IGNORE INTO seen VALUES (?)", (key,)).rowcount\n',
)
TOML = """\
[service]
name = "mail"
entrypoint = "main:app"
environment = ["MAIL_DB"]
kind = "asgi"
"""
APP = "\n\nasync def app(scope, receive, send):\n    raise ValueError('no lifespan')\n"
MAIL = {"seq": 0, "method": "POST", "url": "http://mail.internal/send", "status": 202, "headers": [],
        "body": None, "body_encoding": "none"}  # fmt: skip


def message(**other: Any) -> dict[str, Any]:
    told = {"system": "kafka", "shape": "object", "argument": 1, "topic": "mails", "partition": 3, "offset": 41,
            "key": "tea", "timestamp_ms": 1, "headers": [["idempotency-key", "mail-7"]], "idempotency_key": "mail-7",
            "redelivered": None, "exchange": None, "methods": False, "body": {"to": "tea"},
            "body_encoding": "json"}  # fmt: skip
    return {**told, **other}


def replayed(folder: Path, code: str, target: str, told: dict[str, Any], **call: Any) -> Replay:
    """The recording of one message, replayed on a tree whose entrypoint is something else."""
    folder.mkdir(exist_ok=True)
    with sqlite3.connect(folder / "mail.sqlite") as db:
        db.executescript("CREATE TABLE sent (id TEXT, receiver TEXT); CREATE TABLE seen (key TEXT PRIMARY KEY);")
    db.close()
    called = {"target": f"main:{target}", "arguments": [None], "keywords": {}, "lossy": [], **call}
    document = {
        "schema": "shadowlab.recording/v1", "id": f"{1:032x}", "kind": "function", "time": "2026-05-04T10:00:00Z",
        "request": {"method": "CALL", "path": f"main:{target}", "body": told["body"], "body_encoding": "json"},
        "call": called, "message": told, "outbound": [MAIL], "db_snapshot": "mail.sqlite", "db_environment": "MAIL_DB",
    }  # fmt: skip
    (folder / "one.json").write_text(json.dumps(document))
    case = open_case(folder / "case")
    taken = replay.take_in(case, [folder / "one.json"])
    assert not taken.refused, taken.refused
    source = orders.repository(folder / "tree", {"shadowlab.toml": TOML, "main.py": code + APP})
    return replay.replay(case, [f"{1:032x}"], source=source, revision="HEAD")


CONSUMER = {"arguments": ["<Consumer>", None], "lossy": ["arguments[0]"]}


def test_a_consumer_that_forgets_its_messages_is_found(tmp_path: Path) -> None:
    done = replayed(tmp_path, FAULTY, "handle", message(), **CONSUMER)
    assert done.outcome == "reproduced"
    (finding,) = done.findings
    assert finding.effects == ("POST mail.internal/send -> 202",)
    assert finding.database == {"sent": (1, 0)}
    assert finding.what == (
        "a second delivery of message 'mail-7' made 1 outbound effect again (POST mail.internal/send -> 202), and"
        " sent again (+1 -0 rows)"
    )


def test_a_finding_is_shown_to_people_as_text(tmp_path: Path) -> None:
    done = replayed(tmp_path, FAULTY, "handle", message(idempotency_key="<b>7</b>"), **CONSUMER)
    assert "finding: a second delivery of message '<b>7</b>'" in text(done)
    assert "<b>finding</b> a second delivery of message &#x27;&lt;b&gt;7&lt;/b&gt;&#x27;" in done._repr_html_()


def test_a_consumer_that_knows_its_messages_has_no_finding(tmp_path: Path) -> None:
    done = replayed(tmp_path, RIGHT, "handle", message(), **CONSUMER)
    assert (done.outcome, done.findings) == ("reproduced", ())


def test_offsets_are_counted_and_never_committed(tmp_path: Path) -> None:
    done = replayed(tmp_path, RIGHT, "handle", message(), **CONSUMER)
    queue = next(effect for effect in done.effects if effect.seam == "queue")
    assert (queue.control, queue.events) == ("controlled", 3)
    assert "go nowhere" in queue.how


def test_without_a_key_no_second_delivery_is_tried_and_it_says_so(tmp_path: Path) -> None:
    done = replayed(tmp_path, FAULTY, "handle", message(idempotency_key=None), **CONSUMER)
    assert done.findings == ()
    assert "came without an idempotency key" in done.notes[-1]


def test_another_use_of_an_argument_that_was_not_recorded_is_named(tmp_path: Path) -> None:
    code = FAULTY.replace("    consumer.commit(message)\n", "    consumer.commit(message)\n    consumer.pause()\n")
    done = replayed(tmp_path, code, "handle", message(), **CONSUMER)
    assert done.outcome == "uncertified"
    assert "pause of an argument that was not recorded" in next(e.how for e in done.effects if e.seam == "arguments")


@pytest.mark.parametrize(
    ("target", "told", "wanted"),
    [
        ("Worker.consume", message(argument=0, methods=True), '["mails",3,41,"{\\"to\\":\\"tea\\"}",null]'),
        ("entry", message(system="redis", shape="id_fields", argument=0, offset="7-0", text=True), '["7-0","tea"]'),
        ("pair", message(system="redis", shape="entry", argument=0, offset="7-0", text=True), '["7-0","tea"]'),
        ("classic", message(system="amqp", shape="pika", argument=0), '["mails","mail-7","{\\"to\\":\\"tea\\"}"]'),
        ("on_mail", message(system="amqp", argument=0), "null"),
    ],
)  # fmt: skip
def test_a_message_has_the_shape_that_its_client_gives_it(
    tmp_path: Path, target: str, told: dict[str, Any], wanted: str
) -> None:
    width = {"entry": 2, "classic": 4}.get(target, 1)
    done = replayed(tmp_path, FAULTY, target, told, arguments=[None] * width)
    assert done.error is None, done.error
    case = open_case(tmp_path / "case")
    fixture = replay.load(case, f"{1:032x}")
    source = orders.repository(tmp_path / "again", {"shadowlab.toml": TOML, "main.py": FAULTY + APP})
    content = replay.snapshot(case, fixture)
    with replay.Runner(source.path, source.service("HEAD"), snapshots=lambda _: content) as runner:
        (run,) = runner.run(fixture, repeats=1, perturb=False)
    assert run.body.decode() == wanted
