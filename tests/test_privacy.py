"""No secret survives, and equal values stay equal, in Python and in SQL alike."""

import re

import duckdb
import planted
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowlab import errors, privacy

KEY = b"a key of this test run, 32 bytes"
SECRETS = {
    "ann.lee+shop@mail.example.org": "email",
    "4111 1111 1111 1111": "card",
    "5555555555554444": "card",
    "378282246310005": "card",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTYifQ.c2lnbmF0dXJl": "token",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "token",
    "sk_live_abcdefghijklmnop1234": "token",
    "AKIAIOSFODNN7EXAMPLE": "token",
    "Bearer abcdefgh12345678": "token",
    "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": "token",
    "hvs.CAESIJ2pQ4mW8xZrT6vYbN0cK1dL5eF7": "token",
    "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" * 2: "token",
    "dop_v1_" + "0123456789abcdef" * 4: "token",
    "shpat_0123456789abcdef0123456789abcdef": "token",
    "dapi0123456789abcdef0123456789abcdef": "token",
    "SK0123456789abcdef0123456789abcdef": "token",
    "123456789:AAE0f-1d2C3b4A5z6Y7x8W9v0U1t2S3r4Q5": "token",
    "hooks.slack.com/services/T00000000/B00000000/a1B2c3D4e5F6g7H8": "token",
    "discord.com/api/webhooks/123456789012345678/a1B2c3D4e5F6-g7H8_i9J0k1": "token",
}
STAYS = (
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "/orders/{id}/items",
    "550e8400-e29b-41d4-a716-446655440000",
    "1790000000000000000",
    "4111 1111 1111 1112",
    "GET /users/123",
    "2026-03-10T11:00:00Z",
    "POST",
    "v1.2.3",
    "input_tokens",
    "10.0.0.1:8080",
    "0.4111111111111111",
    '{"drawn":[12,0.5555555555554444]}',
    "def run(a, signature=None)",
    "SKU0123456789",
    "10:AA",
)


@pytest.fixture(scope="module")
def con():
    made = duckdb.connect()
    for name, value in privacy.key_variables(KEY).items():
        made.execute(f"SET VARIABLE {name} = $value", {"value": value})
    made.execute(privacy.macros("default"))
    yield made
    made.close()


def _sql(con, name, value):
    return con.execute("SELECT redacted_value($name, $value)", {"name": name, "value": value}).fetchall()[0][0]


@pytest.mark.parametrize(("secret", "rule"), SECRETS.items())
def test_a_secret_within_text_is_replaced_by_its_pseudonym(secret, rule):
    redactor = privacy.Redactor(KEY)
    told = redactor.text(f"it said ({secret}) and {secret}.")
    assert secret not in told
    assert told.count(f"<{rule}:") == 2
    assert redactor.replaced[rule] == 1


@pytest.mark.parametrize(
    ("said", "secret"),
    [
        ("mysql --password hunter2 -h db", "hunter2"),
        ("run --db-password 'hunter2' now", "hunter2"),
        ("curl --auth-token abc", "abc"),
        ('["curl","--token","ab \\"c","-v"]', 'ab \\"c'),
        ('["{\\"password\\": \\"hun\\\\\\\\ter2\\", \\"n\\": 1}"]', "hun\\\\\\\\ter2"),
        ("https://b.s3.amazonaws.com/k?X-Amz-Expires=9&X-Amz-Signature=0a1b2c&x=1", "0a1b2c"),
        ("https://a.blob.core.windows.net/c?sv=2022&sig=Zm9v%3D&se=1", "Zm9v%3D"),
        ("AccountName=a;AccountKey=Zm9vYmFy==;EndpointSuffix=x", "Zm9vYmFy=="),
        ("Endpoint=sb://n/;SharedAccessKeyName=root;SharedAccessKey=Zm9v+/=", "Zm9v+/="),
    ],
)
def test_what_follows_the_name_of_a_secret_is_replaced(said, secret, con):
    redactor = privacy.Redactor(KEY)
    told = said.replace(secret, redactor.pseudonym("secret", secret))
    assert redactor.text(said) == _sql(con, "process.command_line", said) == told


@pytest.mark.parametrize(
    "said", ["--token --verbose", "--password-file /etc/key", '["--token","-v"]', "a two-token rule"]
)
def test_an_option_without_a_secret_stays(said, con):
    assert privacy.Redactor(KEY).text(said) == _sql(con, "process.command_line", said) == said


@pytest.mark.parametrize(
    ("said", "secret"), [*planted.SECRETS.values(), *((text, "hunter22") for text in planted.OTHERS)]
)
def test_no_planted_secret_of_any_kind_is_kept(said, secret, con):
    told = privacy.Redactor(KEY).text(said)
    assert secret not in told
    assert _sql(con, "body", said) == told == privacy.Redactor(KEY).text(told)


@pytest.mark.parametrize("said", planted.COMMANDS)
def test_a_command_without_a_secret_stays(said, con):
    assert privacy.Redactor(KEY).text(said) == _sql(con, "process.command_line", said) == said


def test_an_element_of_xml_keeps_its_end():
    assert re.fullmatch(r"<Pwd><secret:\w{12}></Pwd>", privacy.Redactor(KEY).text("<Pwd>hunter2</Pwd>"))


@pytest.mark.parametrize("plain", STAYS)
def test_ids_routes_and_numbers_stay(plain):
    assert privacy.Redactor(KEY).value("some.key", plain) == plain


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "http.request.header.authorization",
        "Cookie",
        "set-cookie",
        "db.password",
        "userPassword",
        "X-Api-Key",
        "access_token",
        "client.secret",
        "aws_secret_access_key",
        "pwd",
    ],
)
def test_values_under_secret_names_are_replaced_whole(name, con):
    assert privacy.Redactor(KEY).value(name, "abc") == _sql(con, name, "abc")
    assert _sql(con, name, "abc").startswith("<secret:")


@pytest.mark.parametrize(
    "name", ["gen_ai.usage.input_tokens", "session.id", "trace_id", "gen_ai.token.type", "http.route"]
)
def test_names_that_only_look_alike_are_left(name):
    assert privacy.Redactor(KEY).value(name, "abc") == "abc"


def test_passwords_within_text_are_replaced_and_their_names_stay():
    redactor = privacy.Redactor(KEY)
    assert redactor.text("postgres://shop:hunter2@db/shop").startswith("postgres://shop:<secret:")
    told = redactor.text('{"password": "hunter2", "user": "ann"}')
    assert told.startswith('{"password": "<secret:')
    assert told.endswith('", "user": "ann"}')


def test_redacting_twice_changes_nothing_more():
    redactor = privacy.Redactor(KEY)
    once = redactor.text("password=hunter2 mail ann@example.org")
    assert redactor.text(once) == once
    assert redactor.value("password", redactor.value("password", "x")) == redactor.value("password", "x")


@pytest.mark.parametrize(
    ("text", "word", "told"),
    [
        ("'ghp_abcdefghijklmnopqrst' names nothing", "ghp_abcdefghijklmnopqrst", "'<token>' names nothing"),
        ("https:/u:hunter2@db/x is no folder", "https://u:hunter2@db/x", "https:/u:<secret>@db/x is no folder"),
        ("p@ssw0rd names nothing", "password=p@ssw0rd", "<secret> names nothing"),
        ("https://u:abc@db has no abc", "https://u:abc@db", "https://u:<secret>@db has no abc"),
        ("1: ...nter2hunter2' an", "pwd = 'hunter2hunter2' an", "1: ...<secret>' an"),
        ("1: x 'hunter2hun...", "pwd = 'hunter2hunter2' an", "1: x '<secret>..."),
        ("name it as --webhook-secret FILE", "c", "name it as --webhook-secret FILE"),
        ("ann@example.org/case is no case", "ann@example.org/case", "ann@example.org/case is no case"),
    ],
)
def test_a_message_repeats_no_secret_of_a_word_that_was_typed(text, word, told):
    assert privacy.unrepeated(text, [word]) == told


def test_documents_are_redacted_under_their_keys():
    told = privacy.Redactor(KEY).json(
        {"user": {"email": "a@b.org", "password": "x", "pin_token": 12}, "n": [1, True, None]}
    )
    assert told["n"] == [1, True, None]
    assert all(told["user"][key].startswith("<") for key in ("email", "password", "pin_token"))


def test_another_key_gives_other_pseudonyms():
    assert privacy.Redactor(KEY).text("a@b.org") != privacy.Redactor(b"another").text("a@b.org")


def test_an_unknown_policy_is_refused():
    with pytest.raises(errors.UsageError, match="no redaction policy 'none at all'"):
        privacy.macros("none at all")


_words = st.one_of(
    st.sampled_from([*SECRETS, *STAYS, "password=", "token: ", "Bearer ", "@", "https://u:p@h/"]), st.text(max_size=12)
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_words, max_size=6), st.sampled_from(["", "body", "password"]))
def test_sql_and_python_say_the_same(con, words, name):
    text = " ".join(words).replace("\0", "")
    text = text.encode("utf-8", "ignore").decode()
    assert _sql(con, name, text) == privacy.Redactor(KEY).value(name, text)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(SECRETS)),
    st.text("abc <>(){}[]\"'\n,;:", max_size=8),
    st.text("abc <>(){}[]\"'\n,;", max_size=8),
)
def test_no_secret_survives_whatever_stands_around_it(secret, before, after):
    assert secret not in privacy.Redactor(KEY).text(f"{before} {secret} {after}")


@pytest.mark.parametrize("word", ["a", "ab-cd_", "--a-", "token", "sudo mysql -a ", "<token "])
def test_a_long_word_takes_no_longer_than_it_is(word: str) -> None:
    """From each of its characters to its end it would take an hour."""
    told = word * (1_000_000 // len(word))
    assert (
        privacy.Redactor(KEY).text(f"{told} ann@example.org")
        == f"{told} {privacy.Redactor(KEY).text('ann@example.org')}"
    )


@pytest.mark.parametrize("before", ["AKIAIOSFODNN7EXAMPLE", "4111111111111111", "bob@example.org"])
def test_an_address_that_follows_another_secret_in_one_word_is_replaced(before: str, con) -> None:
    text = f"{before}.-ann@example.org"
    assert "ann" not in (redacted := privacy.Redactor(KEY).text(text))
    assert con.execute("SELECT redacted_text($v)", {"v": text}).fetchone() == (redacted,)


def test_the_strict_policy_replaces_who_it_was_and_keeps_the_rest():
    strict = duckdb.connect()
    for name, value in privacy.key_variables(KEY).items():
        strict.execute(f"SET VARIABLE {name} = $value", {"value": value})
    strict.execute(privacy.macros("strict"))
    redactor = privacy.Redactor(KEY, "strict")
    for name in ("enduser.id", "user.full_name", "client.address", "network.peer.address", "session.id", "user-agent"):
        assert _sql(strict, name, "ann") == redactor.value(name, "ann") == redactor.value("password", "ann")
    for name in ("http.route", "order.id", "server.address", "thread.id", "user_id_count"):
        assert _sql(strict, name, "ann") == redactor.value(name, "ann") == "ann"
    strict.close()
