"""What else an outcome hangs on: files, draws, flags, where and on what the service runs."""

import builtins
import hashlib
import io
import json
import os
import random
import secrets
import uuid

import pytest
import shadowlab_recorder
from openfeature import api
from openfeature.provider.in_memory_provider import InMemoryFlag, InMemoryProvider
from recorded import kept
from shadowlab_recorder import randomness


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """A factory: records one call of a function under settings, gives its recording; patches are taken back."""
    for place, name in (
        (builtins, "open"), (io, "open"), (os, "urandom"), (random, "_urandom"), (random, "random"),
        (random, "getrandbits"), (random._inst, "random"), (random._inst, "getrandbits"),
    ):  # fmt: skip
        monkeypatch.setattr(place, name, getattr(place, name))
    monkeypatch.setattr("shadowlab_recorder.files._roots", [])

    def run(work, **settings):
        monkeypatch.setattr("shadowlab_recorder.front._default", None)
        recorder = shadowlab_recorder.configure(tmp_path / "recordings", share=1.0, **settings)
        shadowlab_recorder.record(work)()
        return kept(recorder, tmp_path / "recordings")[-1]

    return run


def test_files_under_a_declared_folder_are_kept_as_they_were_read(recorded, tmp_path):
    root = tmp_path / "rates"
    (root / "eu").mkdir(parents=True)
    (root / "eu" / "vat.json").write_text('{"de":19}')
    (tmp_path / "elsewhere.txt").write_text("not declared")

    def work():
        assert json.loads((root / "eu" / "vat.json").read_text()) == {"de": 19}
        with open(root / "eu" / "vat.json", "w") as opened:
            opened.write("changed")
        return (tmp_path / "elsewhere.txt").read_text()

    one = recorded(work, files=(str(root),))
    [file] = one["files"]
    assert (file["path"], file["body"], file["size"]) == ("eu/vat.json", {"de": 19}, 9)
    assert file["sha256"] == hashlib.sha256(b'{"de":19}').hexdigest()
    assert one["truncated"] == []


def test_a_file_that_is_too_long_is_cut_and_said(recorded, tmp_path):
    (tmp_path / "long.txt").write_text("x" * 200_000)
    one = recorded(lambda: len((tmp_path / "long.txt").read_text()), files=(str(tmp_path),))
    assert (one["truncated"], len(one["files"][0]["body"])) == (["files[long.txt]"], 65_536)


def test_draws_from_the_system_are_kept_in_order_when_asked_for(recorded):
    drawn = []
    one = recorded(lambda: drawn.extend([uuid.uuid4().bytes, secrets.token_bytes(8), os.urandom(4)]), keep_draws=True)
    told = one["randomness"]
    assert (told["draws"], told["cut"]) == ([16, 8, 4], False)
    assert len(drawn) == 3
    assert "randomness" not in recorded(lambda: None)


def test_draws_beyond_four_kilobytes_are_not_kept_and_said(recorded):
    told = recorded(lambda: [os.urandom(1000) for _ in range(5)].clear(), keep_draws=True)["randomness"]
    assert (sum(told["draws"]), told["cut"]) == (4000, True)


def test_opentelemetry_does_not_draw_from_the_stream_of_a_request(recorded):
    """The exemplar reservoir draws by `random.randrange`, which draws by `getrandbits`: two frames up is `random`."""
    namespace = {"__name__": "opentelemetry.sdk.metrics.reservoir", "random": random}
    exec("def offer():\n    return random.randrange(1000)", namespace)
    drawn = []

    def work():
        namespace["offer"]()
        drawn.append(random.random())
        namespace["offer"]()
        drawn.append(random.randint(1, 1000))

    one = recorded(work, seed_random=True)
    again = random.Random(one["rand_seed"])
    assert drawn == [again.random(), again.randint(1, 1000)]
    assert randomness._caller(1) == __name__


def test_names_that_only_instrumentation_reads_are_left_out(recorded):
    namespace = {"__name__": "opentelemetry.sdk.something", "os": os}
    exec("def read():\n    return os.environ.get('OTEL_THING'), os.getenv('OTEL_OTHER')", namespace)

    def work():
        namespace["read"]()
        os.environ.get("TAX_RATE")
        os.getenv("OTEL_SERVICE_NAME")

    assert recorded(work)["environment"]["read"] == ["OTEL_SERVICE_NAME", "TAX_RATE"]


def test_flags_that_openfeature_evaluates_are_kept(recorded):
    flags = {"surcharges": InMemoryFlag("on", {"on": True, "off": False}), "limit": InMemoryFlag("low", {"low": 7})}
    api.set_provider(InMemoryProvider(flags))
    api.add_hooks([shadowlab_recorder.flag_hook()])
    try:
        client = api.get_client()
        one = recorded(lambda: client.get_boolean_value("surcharges", False) and client.get_integer_value("limit", 0))
    finally:
        api.clear_hooks()
    assert one["flags"] == {"surcharges": True, "limit": 7}


def test_where_and_on_what_it_ran_is_kept(recorded, tmp_path):
    (tmp_path / "requirements.lock").write_text("flask==3.1.3\n")
    versions = recorded(lambda: None, lock=str(tmp_path / "requirements.lock"))["versions"]
    assert versions["lock"] == hashlib.sha256(b"flask==3.1.3\n").hexdigest()
    assert (versions["implementation"], bool(versions["time_zone"]), bool(versions["locale"])) == (
        "CPython",
        True,
        True,
    )
