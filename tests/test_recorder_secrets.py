"""Secrets that are planted in a request are found in no file."""

from shadowlab_recorder.redaction import Redacted, Redaction

SECRETS = {
    "authorization": "Bearer tok-7f3c9a1e55",
    "proxy-authorization": "Basic dXNlcjpwYXNzd29yZDE=",
    "cookie": "theme=dark; sid=c00kie-value-1",
    "x-api-key": "key-9d8c7b6a55",
    "x-csrf-token": "csrf-1122334455",
    "x-client-secret": "cs-5566778899",
    "x-db-password": "hunter2-hunter2",
    "x-session-id": "sess-0a0b0c0d01",
    "x-company-thing": "co-44556677",
    "x-upstream": "Bearer other-998877665",
}


def test_no_planted_secret_is_in_any_file(recorded, tmp_path, monkeypatch):
    monkeypatch.setenv("DATABASE_URL", "postgresql://app:pg-pass-1234@db/pay")
    monkeypatch.setenv("STRIPE_SECRET", "sk_live_777777777")
    client, recordings, _ = recorded(environment=("DATABASE_URL", "STRIPE_SECRET"), redact=("x-company-*",))
    client.post("/echo?page=2&access_token=query-tok-123456", content=SECRETS["authorization"], headers=SECRETS)
    client.post("/charges", json={"amount": 1, "surcharge": True})
    first, second = recordings()
    written = b"".join(path.read_bytes() for path in (tmp_path / "recordings").rglob("*") if path.is_file()).decode()
    values = [value.split(" ", 1)[-1] for value in SECRETS.values()]
    values += [
        "c00kie-value-1",
        "pg-pass-1234",
        "sk_live_777777777",
        "query-tok-123456",
        "gw-secret-0815",
        "peer-cookie-4711",
    ]
    assert [value for value in values if value in written] == []
    assert first["request"]["query"].startswith("page=2&access_token=[redacted:")
    assert first["environment"]["values"]["DATABASE_URL"] == "postgresql://db/pay"
    assert first["redaction"]["header x-company-*"] == 1
    assert second["redaction"] == {
        "header authorization": 1,
        "header set-cookie": 1,
        "name *secret*": 1,
        "url userinfo": 1,
    }


def test_equal_secrets_have_equal_tokens_under_one_key_and_other_tokens_under_another():
    mine, theirs = Redaction(key=b"mine"), Redaction(key=b"theirs")
    assert mine.token("a") == Redaction(key=b"mine").token("a")
    assert len({mine.token("a"), mine.token("b"), theirs.token("a")}) == 3


def test_a_removed_word_that_is_no_secret_by_its_looks_stays_in_the_body():
    clean = Redacted(Redaction(key=b"k"))
    clean.learn([(b"x-session-mode", b"production")])
    assert clean.body(b'{"stage":"production"}') == b'{"stage":"production"}'
