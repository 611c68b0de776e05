"""What never reaches a disk: secrets of many kinds in every part of a recording; what was removed is only counted."""

import contextlib
import json
import re
import sqlite3
import time
import urllib.parse

import planted
import pytest
import shadowlab_recorder
from recorded import kept
from shadowlab_recorder import commands, patterns, sql_names
from shadowlab_recorder.redaction import Redacted, Redaction
from werkzeug.test import Client

from shadowlab import privacy

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAplanted\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJwbGFudGVkIn0.c2lnbmF0dXJlcGxhbnRlZA"
HEADERS = {
    "authorization": "Bearer planted-bearer-7f3c9a1e55",
    "proxy-authorization": "Basic cGxhbnRlZDpiYXNpYzEyMw==",
    "cookie": "theme=dark; sid=planted-cookie-01",
    "x-api-key": "planted-api-key-02",
    "x-csrf-token": "planted-csrf-03",
    "x-client-secret": "planted-client-secret-04",
    "x-session-id": "planted-session-05",
    "x-company-thing": "planted-company-06",
    "x-trace-note": f"sent with {JWT}",
    "referer": "https://user:planted-userinfo-07@peer.example/a?access_token=planted-referer-08",
}
QUERY = {"page": "2", "api_key": "planted-query-09", "note": "ghp_plantedplantedplanted10"}
BODY = {
    "amount": 3,
    "password": "planted-password-11",
    "card": {"number": "4111 1111 1111 1111", "code": 73773737},
    "refresh_token": "planted-refresh-12",
    "items": [{"pin": "planted-pin-13", "sku": "a"}],
    "text": f"{KEY} and AKIAPLANTEDPLANTED14 and xoxb-planted-slack-15 and sk_live_planted16",
    "log": "login password=planted-in-text-17 failed",
    "own": "ACME-planted-18",
}
FORM = "user=ann&password=planted-form-19&secret=planted%2Fform%2F20"
ENVIRONMENT = {
    "PLANTED_TOKEN": "planted-environment-21",
    "PLANTED_URL": "postgresql://app:planted-dsn-22@db/pay",
    "PLANTED_NOTE": "glpat-planted-environment-23",
}
ROW = {
    "email": "planted-row-24@peer.example",
    "password_hash": "planted-hash-25",
    "note": f"jwt {JWT}x",
    "token": "planted-26",
}
MESSAGE = {"credential": "planted-message-27", "topic": "a"}
PLANTED = [
    "planted-", "4111 1111 1111 1111", "4111111111111111", "73773737", "cGxhbnRlZDpiYXNpYzEyMw", "PLANTEDPLANTED14",
    "eyJzdWIiOiJwbGFudGVkIn0", "MIIEpAIBAAKCAQEA",
]  # fmt: skip


@pytest.fixture
def written(tmp_path, monkeypatch):
    """Runs requests and a consumer that are full of secrets; gives the recordings and every byte that was written."""
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    database = tmp_path / "shop.db"
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("create table users (id integer primary key, email, password_hash, note, token)")
        connection.execute("insert into users values (1, ?, ?, ?, ?)", tuple(ROW.values()))
    settings = {
        "directory": tmp_path / "recordings", "environment": tuple(ENVIRONMENT), "redact": ("x-company-*", "email"),
        "redact_paths": ("$.card.code", "$..pin"), "redact_patterns": (r"ACME-[\w-]+",), "share": 1.0,
    }  # fmt: skip

    def service(environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        with contextlib.closing(sqlite3.connect(database)) as connection, connection:
            connection.row_factory = sqlite3.Row
            row = dict(connection.execute("select * from users where token = ?", (ROW["token"],)).fetchone())
            connection.execute("update users set token = ? where id = 1", ("planted-new-28",))
            connection.execute("update users set token = 'planted-26' where password_hash = 'planted-hash-25'")
        start_response("200 OK", [("set-cookie", "sid=planted-answer-29; Path=/")])
        yield json.dumps({"row": row, "echo": body.decode(), "session": "planted-answer-30"}).encode()
        raise RuntimeError(f"refused {environ['HTTP_AUTHORIZATION']} with {row['password_hash']}")

    app = shadowlab_recorder.record(service, **settings)
    for told in ({"json": BODY}, {"data": FORM, "content_type": "application/x-www-form-urlencoded"}):
        with pytest.raises(RuntimeError):
            Client(app, use_cookies=False).post(
                "/a/planted-bearer-7f3c9a1e55", query_string=QUERY, headers=HEADERS, buffered=True, **told
            )

    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    consuming = shadowlab_recorder.configure(**settings)

    @shadowlab_recorder.record
    def consume(entry, fields):
        raise LookupError(fields["credential"])

    with pytest.raises(LookupError):
        consume("1-1", MESSAGE)
    assert consuming.flush()
    assert app.recorder.flush()
    files = [path for path in (tmp_path / "recordings").rglob("*") if path.is_file()]
    recordings = kept(app.recorder, tmp_path / "recordings")
    return recordings, b"\n".join(path.read_bytes() for path in files).decode()


def test_no_planted_secret_of_any_kind_is_in_any_file(written):
    recordings, everything = written
    assert len(recordings) == 3
    assert {kind: everything.count(kind) for kind in PLANTED if kind in everything} == {}
    assert urllib.parse.quote("planted/form/20", safe="") not in everything


def test_what_was_removed_is_listed_by_rule_and_the_rest_is_there(written):
    recordings, _ = written
    one = recordings[0]
    rules = one["redaction"]
    for rule in (
        "header authorization", "header cookie", "header x-company-*", "query *api_key*", "body *password*",
        "path $..pin", "path $.card.code", "looks like: private key", "looks like: card number",
        r"looks like: pattern ACME-[\w-]+",
        "column *token*", "column email", "column *password*", "name *token*", "url userinfo",
        "looks like: json web token",
    ):  # fmt: skip
        assert rules.get(rule, 0) >= 1, rule
    body = json.loads(one["request"]["body"]) if isinstance(one["request"]["body"], str) else one["request"]["body"]
    assert (body["amount"], body["items"][0]["sku"], body["log"][:6]) == (3, "a", "login ")
    assert one["request"]["query"].startswith("page=2&api_key=[redacted:")


def test_equal_values_have_equal_tokens_in_rows_parameters_and_bodies(written):
    recordings, _ = written
    database = recordings[0]["database"]
    token = database["rows"]["users"][0]["token"]
    assert token.startswith("[redacted:")
    assert database["reads"][0]["parameters"] == [token]
    answer = recordings[0]["response"]["body"]
    assert (json.loads(answer) if isinstance(answer, str) else answer)["row"]["token"] == token


@pytest.mark.parametrize(
    ("path", "kept_parts"),
    [("$.a.b", [2, 3, 4]), ("a.b", [2, 3, 4]), ("$..b", [4]), ("$.list[*].b", [1, 4]), ("$.list[1]['b']", [1, 2, 4]),
     ("$.list", [1, 4]), ("$.c", [1, 2, 3])],
)  # fmt: skip
def test_json_paths_remove_what_they_name(path, kept_parts):
    clean = Redacted(Redaction(key=b"k", paths=(path,)))
    made = json.loads(clean.body(b'{"a": {"b": 1}, "list": [{"b": 2}, {"b": 3}], "c": 4}'))
    left = [made["a"]["b"], *(each["b"] for each in made["list"]), made["c"]]
    assert [value for value in left if isinstance(value, int)] == kept_parts


def test_numbers_that_are_no_card_stay(written):
    clean = Redacted(Redaction(key=b"k"))
    plain = "order 4111 1111 1111 1112, 1234567890123456, 0.4111111111111111"
    assert clean.text(plain) == plain


@pytest.mark.parametrize("pattern", patterns.PATTERNS.values(), ids=list(patterns.PATTERNS))
def test_no_pattern_fits_a_text_that_is_too_short_to_be_looked_through(pattern):
    assert re._parser.parse(pattern, re.DOTALL).getwidth()[0] >= patterns._SHORTEST


def test_each_pattern_has_a_planted_secret_and_finds_its_own():
    assert set(planted.SECRETS) == set(patterns.PATTERNS)
    for rule, (text, _) in planted.SECRETS.items():
        clean = Redacted(Redaction(key=b"k"))
        clean.text(text)
        assert clean.report() == {f"looks like: {rule}": 1}


@pytest.mark.parametrize(
    ("text", "secret"), [*planted.SECRETS.values(), *((text, "hunter22") for text in planted.OTHERS)]
)
def test_the_recorder_and_ingest_know_the_same_secrets(text, secret):
    for whole in (text, f"a\n{text}", f"{text}\nb"):
        clean = Redacted(Redaction(key=b"k"))
        assert secret not in (made := clean.text(whole))
        assert clean.text(made) == made
        assert secret not in privacy.Redactor(b"k").text(whole)


def test_each_kind_of_token_that_ingest_knows_is_planted():
    kinds = [kind for kind in re.split(r"\|(?![^(]*\))", privacy._TOKEN) if kind]
    assert len(kinds) > 20
    texts = [text for text, _ in planted.SECRETS.values()] + list(planted.OTHERS)
    assert [kind for kind in kinds if not any(re.search(kind, text) for text in texts)] == []


@pytest.mark.parametrize(
    "text",
    [
        *planted.COMMANDS,
        "Basic Information, basic YWJjZGVmZ2g=",
        "password: required",
        "CONSTRAINT pk_customeraddresses PRIMARY KEY",
    ],
)
def test_what_only_looks_like_a_secret_is_recorded_as_it_was(text):
    assert Redacted(Redaction(key=b"k")).text(text) == text


@pytest.mark.parametrize(
    "word", ["sk-", "eyJaaaaaa-", "password:", "exec mysql -a ", "<a:token ", "://a:b", '"--token ']
)
def test_a_body_of_one_word_over_and_over_is_looked_through_at_once(word):
    """From each of its words to its end it took 13 s, and a service stands still meanwhile."""
    body = (word * (65_536 // len(word))).encode()
    begun = time.process_time()
    Redacted(Redaction(key=b"k")).body(body)
    assert time.process_time() - begun < 2


@pytest.mark.parametrize("piece", [*planted.LONG, *(marks[0] for marks in patterns._MARKS.values() if marks[0])])
def test_no_text_takes_more_than_its_length_whatever_its_pieces(piece):
    """A piece of each rule, alone and before others: 16 kB took up to seven seconds."""
    assert planted.grows(lambda text: Redacted(Redaction(key=b"k")).body(text.encode()), piece) == []
    assert planted.grows(privacy.Redactor(b"k").text, piece) == []


def test_a_pattern_of_the_service_finds_a_short_text():
    clean = Redacted(Redaction(key=b"k", patterns=(r"A-\d",)))
    assert clean.text("is A-7").startswith("is [redacted:")


def test_a_multipart_form_loses_its_secret_parts():
    body = b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nplanted-31\r\n--x--\r\n'
    clean = Redacted(Redaction(key=b"k"))
    assert b"planted-31" not in clean.body(body)
    assert clean.report() == {"form *password*": 1}


@pytest.mark.parametrize("end", [b"", b"\r\n", b"\r\n-"])
def test_a_multipart_form_that_was_cut_loses_the_secret_that_it_ends_in(end):
    body = b'--x\r\nContent-Disposition: form-data; name="password"\r\n\r\nplanted-31' + end
    assert b"planted" not in Redacted(Redaction(key=b"k")).body(body)


def test_a_token_in_a_text_and_the_signature_of_an_address_are_taken_out():
    clean = Redacted(Redaction(key=b"k"))
    assert clean.text("refused token=planted-42, page=2").startswith("refused token=[redacted:")
    assert "planted" not in clean.query("blob=a&sig=planted-43&X-Amz-Signature=planted-44")
    assert clean.text("unexpected token: comma") == "unexpected token: comma"


@pytest.mark.parametrize(
    "body",
    [b'{"payload": "{\\"password\\": \\"planted-40\\", \\"n\\": 1}"}', b'<a:Password Type="t">planted-40</a:Password>',
     b'{"list": ["[{\\"api_key\\": \\"planted-40\\"}]"]}'],
)  # fmt: skip
def test_names_in_json_within_json_and_in_xml_are_seen(body):
    clean = Redacted(Redaction(key=b"k"))
    made = clean.body(body)
    assert b"planted-40" not in made
    assert len(made) > len(body) - len("planted-40")
    assert clean.cell("state", '{"token": "planted-41"}').startswith('{"token": "[redacted:')


@pytest.mark.parametrize(
    ("command", "reply", "left"),
    [
        (["SET", "access_token", "planted"], True, ["access_token"]),
        (["GET", "access_token"], "planted", ["access_token"]),
        (["HSET", "u", "password", "planted", "name", "ann"], 2, ["password", "name", "ann"]),
        (["HMGET", "u", "name", "api_key"], ["ann", "planted"], ["name", "ann"]),
        (["AUTH", "planted", "planted"], True, []),
        (["XADD", "s", "*", "client_secret", "planted"], "1-0", ["1-0"]),
        (["SET", "session:7", '{"token": "planted", "user": "ann"}'], True, ["session:7", "ann"]),
        (["GET", "session:7"], '{"token": "planted", "user": "ann"}', ["ann"]),
        (["GET", "session:8"], "ann", ["ann"]),
    ],
)
def test_a_command_of_redis_is_kept_without_what_its_names_deny(command, reply, left):
    for method, asked, told in ((command[0], command[1:], reply), ("PIPELINE", [command], [reply])):
        clean = Redacted(Redaction(key=b"k"))
        made = commands.cleaned(method, json.dumps(asked).encode(), json.dumps(told).encode(), clean)
        assert b"planted" not in b" ".join(made)
        assert all(word in b" ".join(made).decode() for word in left)
        assert json.loads(made[0])
        assert type(json.loads(made[1])) is type(told)


@pytest.mark.parametrize(
    ("statement", "names"),
    [
        ("SELECT a FROM u WHERE u.password <> ? AND b = ?", {0: "password", 1: "b"}),
        ("SELECT a FROM u WHERE lower(token) LIKE lower(%s) OR b IN (%s, %s)", {0: "token", 1: "b", 2: "b"}),
        ("SELECT ? FROM u WHERE at BETWEEN ? AND ? LIMIT ?", {1: "at", 2: "at"}),
        ("UPDATE u SET token = ?, b = ? WHERE id = ?", {0: "token", 1: "b", 2: "id"}),
        ("INSERT INTO u (a, token) VALUES (?, ?), (?, lower(?))", {0: "a", 1: "token", 2: "a", 3: "token"}),
        ("INSERT INTO u VALUES (?, ?)", {0: "id", 1: "secret"}),
    ],
)
def test_a_parameter_is_known_by_the_column_that_it_belongs_to(statement, names):
    assert sql_names.named(statement, ("id", "secret")) == names


def test_a_parameter_of_a_condition_is_removed_by_the_name_of_its_column(recorded, tmp_path, monkeypatch):
    with sqlite3.connect(tmp_path / "a.sqlite") as db:
        db.execute("CREATE TABLE users (name TEXT, password TEXT)")

    def app(environ, start_response):
        with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite")) as db:
            db.execute("SELECT name FROM users WHERE password != ?", ("planted-42",)).fetchall()
            db.execute("SELECT name FROM users WHERE password = :given", {"given": "planted-43"}).fetchall()
        raise RuntimeError("no")

    app = shadowlab_recorder.record(app, directory=tmp_path / "kept")
    with contextlib.suppress(RuntimeError):
        Client(app).get("/")
    (one,) = kept(app.recorder, tmp_path / "kept")
    assert "planted-4" not in json.dumps(one)
    assert "column *password*" in one["redaction"]
    assert one["database"]["reads"][1]["statement"].endswith("password = :given")
