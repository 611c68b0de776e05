"""What `--redact` and `--no-redact` keep, and that the ledger says which was in force."""

import json
import subprocess
import sys
from pathlib import Path

import otlp
import pytest

import shadowlab as sl

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
