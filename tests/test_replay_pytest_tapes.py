"""The pytest that is written of a recording whose answers another tool recorded: red before the fix, green after."""

import json
import subprocess
import sys
from pathlib import Path

import couriers
import orders
import pytest
from test_tapes import CHARGED, FILES, TEA, host_of
from vcr.serializers import yamlserializer

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.replay import tapes

STOCK = """\
import httpx


def run(event):
    with httpx.Client() as client:
        tea = client.get(event["host"] + "/items/tea?size=2").json()
        charged = client.post(event["host"] + "/charges", content=b'{"amount":"9.50"}')
    assert charged.status_code == 201, charged.status_code
    return {"each": event["cents"] / (tea["left"] - 3)}
"""
FORMATS = ("polly.har", "hoverfly.json", "nock.json", "wiremock.json", "mountebank.json", "fixtures", "cassette.yaml")


def cassette(place: Path) -> Path:
    """The two calls as vcrpy keeps them."""
    answers = [("GET", "/items/tea?size=2", 200, TEA), ("POST", "/charges", 201, CHARGED)]
    interactions = [
        {
            "request": {"method": method, "uri": f"http://shop.internal:8080{path}", "body": None, "headers": {}},
            "response": {"status": {"code": status, "message": ""}, "headers": {}, "body": {"string": body.decode()}},
        }
        for method, path, status, body in answers
    ]
    place.write_text(yamlserializer.serialize({"version": 1, "interactions": interactions}))
    return place


def pytest_in(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the folder's tests where shadowlab cannot be imported."""
    (folder / "conftest.py").write_text("import sys\n\nsys.modules['shadowlab'] = None\n")
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    return subprocess.run(words, cwd=folder, capture_output=True, text=True)


@pytest.mark.slow
def test_each_format_of_recorded_answers_makes_a_test_that_is_red_and_then_green(tmp_path: Path) -> None:
    toml = '[service]\nname = "stock"\nentrypoint = "stock:run"\n'
    source = orders.repository(tmp_path / "stock", {"shadowlab.toml": toml, "stock.py": STOCK})
    case = open_case(tmp_path / "case")
    for number, name in enumerate(FORMATS):
        place = cassette(tmp_path / name) if name == "cassette.yaml" else FILES / name
        host = "http://127.0.0.1:18099" if name == "hoverfly.json" else host_of(tapes.read(place))
        (tmp_path / "event.json").write_text(json.dumps({"host": host, "cents": 950 + number}))
        made = replay.from_event(case, tmp_path / "event.json", source=source, fixtures=place)
        done = replay.replay(case, [made.id], source=source, revision="HEAD", suspect=f"{number:016x}")
        assert done.error is not None
        assert done.error.type == "ZeroDivisionError", (name, done.runs[0].divergence)
        replay.to_pytest(case, done, source, out=source.path)
    red = pytest_in(source.path)
    assert red.stdout.count("ZeroDivisionError: division by zero") >= len(FORMATS), red.stdout
    assert (red.returncode, f"{len(FORMATS)} failed" in red.stdout) == (1, True)
    (source.path / "stock.py").write_text(STOCK.replace("- 3", "- 2"))
    green = pytest_in(source.path)
    assert (green.returncode, f"{len(FORMATS)} passed" in green.stdout) == (0, True), green.stdout


def test_a_call_of_the_test_that_the_tape_does_not_answer_is_named(tmp_path: Path) -> None:
    toml = '[service]\nname = "stock"\nentrypoint = "stock:run"\n'
    source = orders.repository(tmp_path / "stock", {"shadowlab.toml": toml, "stock.py": STOCK})
    case = open_case(tmp_path / "case")
    place = FILES / "polly.har"
    (tmp_path / "event.json").write_text(json.dumps({"host": host_of(tapes.read(place)), "cents": 950}))
    made = replay.from_event(case, tmp_path / "event.json", source=source, fixtures=place)
    done = replay.replay(case, [made.id], source=source, revision="HEAD")
    replay.to_pytest(case, done, source, out=source.path)
    (source.path / "stock.py").write_text(STOCK.replace("/charges", "/refunds"))
    assert "nothing was recorded for POST http://127.0.0.1:" in pytest_in(source.path).stdout


def test_a_call_of_grpc_is_not_written_as_a_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with couriers.wire() as messages, couriers.rates(messages) as address:
        monkeypatch.setenv("RATES", address)
        couriers.asked(messages, tmp_path / "tapes", [messages.Parcel(grams=200, zone="ZERO")], environment=("RATES",))
    toml = f'[service]\nname = "courier"\nentrypoint = "courier:serve"\nframes = ["{couriers.TREE}/"]\n'
    files = {file.name: file.read_text() for file in couriers.TREE.glob("*.py")}
    source = orders.repository(tmp_path / "tree", {**files, "shadowlab.toml": toml})
    case = open_case(tmp_path / "case")
    replay.take_in(case, [tmp_path / "tapes"])
    done = replay.replay(case, [replay.listed(case)[0].id], source=source, revision="HEAD")
    with pytest.raises(errors.RecordingError, match="answers a call of gRPC"):
        replay.to_pytest(case, done, source, out=tmp_path / "out")
