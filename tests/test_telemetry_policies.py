"""What `--redact` and `--no-redact` keep, and that the ledger says which was in force."""

import json
import subprocess
import sys
from pathlib import Path

import otlp
import pytest

import shadowlab as sl
from shadowlab.privacy import Redactor
from shadowlab.telemetry.shapes import MOST_LOOKED_UP

_SENT = {"enduser.id": "ann", "user.email": "ann@example.org", "order.id": "o-1"}


def _ingested(folder: Path, *words: str) -> tuple[dict[str, str], str, str]:
    """What became of the attributes; what the ledger and the record say."""
    path = otlp.lines(folder / "a.jsonl", otlp.traces([otlp.span(1, **_SENT)]))
    command = [sys.executable, "-m", "shadowlab", "ingest", str(folder / "case"), str(path), "--json", *words]
    done = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    inv = sl.open(folder / "case")
    kept = inv.sql("SELECT attributes AS a FROM spans").rows()[0]["a"]
    return kept, inv.ledger[-1]["arguments"]["redaction"], done["redaction"]


@pytest.mark.parametrize(
    ("words", "policy", "stays"),
    [
        ((), "default", {"enduser.id", "order.id"}),
        (("--redact", "strict"), "strict", {"order.id"}),
        (("--no-redact",), "off", set(_SENT)),
    ],
)
def test_a_policy_keeps_what_it_says_and_the_ledger_names_it(tmp_path, words, policy, stays):
    kept, said, recorded = _ingested(tmp_path, *words)
    assert (said, recorded) == (policy, policy)
    assert {key for key, value in _SENT.items() if kept[key] == value} == stays


def test_an_unknown_policy_is_misuse_and_makes_no_case(tmp_path):
    path = otlp.lines(tmp_path / "a.jsonl", otlp.traces([otlp.span(1)]))
    command = [sys.executable, "-m", "shadowlab", "ingest", str(tmp_path / "case"), str(path), "--redact", "odd"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no redaction policy 'odd'\nhint: there are: default, strict" in done.stderr
    assert not (tmp_path / "case").exists()


def _mails(keys: list[str], number: int) -> dict[str, str]:
    return {key: f"mail {key[-1:]}{number % 3}@example.org" for key in keys}


def test_values_are_replaced_alike_however_many_keys_hold_secrets(tmp_path):
    """Pseudonyms of some keys are joined to the rows, others are made row by row; an empty name is a key too."""
    many = [f"note.{n}" for n in range(2 * MOST_LOOKED_UP)]
    shapes = (["db.query.text", *many], ["db.statement", "request.id", "note.1"], ["", "order.id"])
    sent = [_mails(keys, number) for number in range(6) for keys in shapes]
    spans = [otlp.span(number, **attributes) for number, attributes in enumerate(sent, 1)]
    inv = sl.open(tmp_path / "case", create=True)
    done = inv.ingest(otlp.lines(tmp_path / "a.jsonl", otlp.traces(spans)))
    redactor = Redactor(inv.case.key("redaction"))
    told = [{key: redactor.text(value) for key, value in attributes.items()} for attributes in sent]
    kept = inv.sql("SELECT attributes, db_query_text, correlation_id FROM spans ORDER BY span_id").rows()
    assert [row["attributes"] for row in kept] == told
    assert [row["db_query_text"] for row in kept] == [a.get("db.query.text", a.get("db.statement")) for a in told]
    assert [row["correlation_id"] for row in kept] == [a.get("request.id") for a in told]
    assert done.redacted == sum(map(len, sent))
