"""Recorded calls of gRPC run again: those that a service answered, and those that it made."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import couriers
import orders
import pytest
import shadowlab_recorder

from shadowlab import replay
from shadowlab.case import Case, open_case
from shadowlab.records import Replay
from shadowlab.source import Source


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    with couriers.wire() as messages, couriers.rates(messages) as address:
        monkeypatch.setenv("RATES", address)
        yield messages


def tree(folder: Path, entrypoint: str, was: str = "", now: str = "") -> Source:
    """The courier as a repository, with some code changed; production ran it where the tests keep it."""
    files = {file.name: file.read_text().replace(was, now) for file in couriers.TREE.glob("*.py")}
    toml = f'[service]\nname = "courier"\nentrypoint = "{entrypoint}"\nframes = ["{couriers.TREE}/"]\n'
    return orders.repository(folder, {**files, "shadowlab.toml": toml})


def taken_in(folder: Path, recordings: Path) -> Case:
    case = open_case(folder)
    replay.take_in(case, [recordings])
    return case


def again(case: Case, source: Source, **told: Any) -> Replay:
    ids = [recording.id for recording in replay.listed(case)]
    return replay.replay(case, ids, source=source, revision="HEAD", times=2 * len(ids), **told)


@pytest.mark.parametrize(
    ("entrypoint", "ask"), [("courier:serve", couriers.asked), ("courier_async:serve", couriers.asked_async)]
)
def test_calls_that_a_server_answered_come_out_the_same(
    tmp_path: Path, wire: ModuleType, entrypoint: str, ask: Callable[..., Any]
) -> None:
    parcels = [wire.Parcel(name=zone, grams=200, zone=zone) for zone in ("EU", "ZERO", "MARS", "DOWN")]
    ask(wire, tmp_path / "tapes", parcels, share=1.0, environment=("RATES",))
    case = taken_in(tmp_path / "case", tmp_path / "tapes")
    done = again(case, tree(tmp_path / "tree", entrypoint))
    assert done.outcome == "reproduced", [run.divergence for run in done.runs] or done.effects
    assert sorted(run.status for run in done.runs if run.status) == sorted(
        [200, 404, 500, 500] if ask is couriers.asked else [200, 404, 500, 503]
    )
    assert done.error is not None
    assert done.error.type == "ZeroDivisionError"
    assert done.error.frames[-1].function.startswith("price")


def test_outcome_digests_are_equal_in_each_sandbox_and_after_each_other(tmp_path: Path, wire: ModuleType) -> None:
    couriers.asked(wire, tmp_path / "tapes", [wire.Parcel(grams=200, zone="ZERO")], environment=("RATES",))
    case = taken_in(tmp_path / "case", tmp_path / "tapes")
    source = tree(tmp_path / "tree", "courier:server", "    return server\n", "    return server\n\n\nserve()\n")
    done = [again(case, source, sandbox=sandbox) for sandbox in ("embedded", "bwrap", "embedded")]
    assert [one.outcome for one in done] == ["reproduced"] * 3
    assert len({one.outcome_digest for one in done}) == 1


def test_a_call_that_was_not_recorded_is_refused_with_the_nearest_ones(tmp_path: Path, wire: ModuleType) -> None:
    couriers.asked(wire, tmp_path / "tapes", [wire.Parcel(grams=200, zone="ZERO")], environment=("RATES",))
    source = tree(tmp_path / "tree", "courier:serve", "courier.Rates/Lookup", "courier.Rates/Find")
    done = again(taken_in(tmp_path / "case", tmp_path / "tapes"), source)
    assert done.outcome == "diverged"
    told = str(done.runs[0].divergence)
    assert "nothing was recorded for GRPC grpc://127.0.0.1:" in told
    assert "/courier.Rates/Find; nearest: GRPC grpc://127.0.0.1:" in told
    assert "/courier.Rates/Lookup (path differ" in told


def test_recorded_answers_that_are_no_answers_fail_as_grpcio_lets_them(tmp_path: Path, wire: ModuleType) -> None:
    hostile = [
        {"body": "//8=", "body_encoding": "base64"},
        *({"headers": [["grpc-status", code]]} for code in ("\u00b2", "99", "-1", "9" * 5000)),
    ]
    couriers.asked(wire, tmp_path / "tapes", [wire.Parcel(grams=200, zone="ZERO")], environment=("RATES",))
    (file,) = (tmp_path / "tapes").glob("*.json")
    told = json.loads(file.read_text())
    for number, change in enumerate(hostile):
        answer = {**told["outbound"][0], **change}
        made = {**told, "id": f"{number:032x}", "outbound": [answer]}
        (tmp_path / f"tapes/{number}.json").write_text(json.dumps(made))
    file.unlink()
    done = again(taken_in(tmp_path / "case", tmp_path / "tapes"), tree(tmp_path / "tree", "courier:serve"))
    assert [(run.status, run.error) for run in done.runs] == [(500, None)] * len(hostile)


@pytest.mark.parametrize(
    ("entrypoint", "server", "base"),
    [
        ("courier:serve", "grpc.server(ThreadPoolExecutor(2), ", "grpc.ServerInterceptor"),
        ("courier_async:serve", "grpc.aio.server(", "grpc.aio.ServerInterceptor"),
    ],
)
def test_an_interceptor_that_breaks_ends_the_call_and_not_the_run(
    tmp_path: Path, wire: ModuleType, entrypoint: str, server: str, base: str
) -> None:
    couriers.asked(wire, tmp_path / "tapes", [wire.Parcel(grams=200, zone="ZERO")], environment=("RATES",))
    broken = f'type("Broken", ({base},), {{"intercept_service": lambda *told: 1 / 0}})()'
    source = tree(tmp_path / "tree", entrypoint, server.rstrip(", "), f"{server}interceptors=[{broken}]")
    done = again(taken_in(tmp_path / "case", tmp_path / "tapes"), source)
    assert {(run.status, run.error and run.error.type) for run in done.runs} == {(500, "ZeroDivisionError")}


def test_a_web_request_s_calls_are_answered_with_what_interceptors_and_futures_see(
    tmp_path: Path, wire: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = """\
import os

import courier_wire as wire
import grpc

seen = []


class Tenant(grpc.UnaryUnaryClientInterceptor):
    def intercept_unary_unary(self, continuation, details, request):
        call = continuation(details, request)
        seen.append(call.code().name)
        return call


def run(event):
    channel = grpc.intercept_channel(grpc.insecure_channel(os.environ["RATES"]), Tenant())
    grpc.channel_ready_future(channel).result(10)
    ask = wire.lookup(channel)
    first = ask(wire.Parcel(zone="EU")).cents
    second = ask.future(wire.Parcel(zone="HOME")).result().cents
    try:
        ask(wire.Parcel(zone="DOWN"))
    except grpc.RpcError as error:
        trailing = dict(error.trailing_metadata())
        seen.extend([error.details(), trailing["reason"], list(trailing["x-trace-bin"])])
    return {"cents": first + second + event["more"], "seen": seen}
"""
    toml = f'[service]\nname = "jobs"\nentrypoint = "jobs:run"\nframes = ["{tmp_path}/tree/"]\n'
    messages = (couriers.TREE / "courier_wire.py").read_text()
    source = orders.repository(
        tmp_path / "tree", {"shadowlab.toml": toml, "jobs.py": code, "courier_wire.py": messages}
    )
    told: dict[str, Any] = {"__name__": "jobs"}
    exec(compile(code, str(tmp_path / "tree/jobs.py"), "exec"), told)
    monkeypatch.setattr("shadowlab_recorder.front._default", None)
    recorder = shadowlab_recorder.configure(tmp_path / "tapes", share=1.0, environment=("RATES",))
    run = shadowlab_recorder.record(told["run"])
    assert run({"more": 5})["cents"] == 505
    with pytest.raises(TypeError):
        run({"more": None})
    assert recorder.flush()
    done = again(taken_in(tmp_path / "case", tmp_path / "tapes"), source)
    assert (done.outcome, done.attempts) == ("reproduced", 4), [one.divergence for one in done.runs]
