"""Recorded answers of other tools; `assets/tapes/make.sh` made those of nock, Polly.js, Mountebank and WireMock."""

import base64
import gzip
import importlib.util
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import msgspec
import orders
import pytest
import respx
import vcr
import yaml

from shadowlab import errors, replay
from shadowlab.case import Case
from shadowlab.replay import tapes
from shadowlab.replay.fixture import content_of, parse
from shadowlab.replay.inside import tape as inside
from shadowlab.replay.inside.clock import Clock

FILES = Path(__file__).with_name("assets") / "tapes"
TEA, CHARGED = b'{"sku":"tea","left":3}', b'{"b":1, "a":"{\\"amount\\":\\"9.50\\"}"}'


class Player:
    """A tape, asked as a service would ask it."""

    def __init__(self, read: tapes.Tape) -> None:
        told = parse({**orders.document(1, db_snapshot=None), "outbound": list(read.calls)}, where="a test")
        self.tape = inside.Tape(Clock())
        self.tape.insert(msgspec.to_builtins(told.outbound))

    def ask(self, method: str, url: str, body: bytes = b"") -> tuple[int | None, bytes] | None:
        found = self.tape.answer(method, url, body)
        return found and (found["status"], content_of(found["body"], found["body_encoding"]))


def host_of(read: tapes.Tape) -> str:
    """The host that was recorded; any other for a tool that does not know it."""
    found = re.match(r"http://[^/]+", str(read.calls[0]["url"]))
    return found[0] if found else "http://shop.internal:8080"


@pytest.mark.parametrize("name", ["nock.json", "polly.har", "mountebank.json", "wiremock.json", "hoverfly.json"])
def test_a_tool_s_own_file_answers_as_the_service_did(name: str) -> None:
    read = tapes.read(FILES / name)
    player, host = Player(read), "http://127.0.0.1:18099" if name == "hoverfly.json" else host_of(read)
    assert read.formats == (name.partition(".")[0] if name != "polly.har" else "har",)
    assert player.ask("GET", f"{host}/items/tea?size=2") == (200, TEA)
    assert player.ask("GET", f"{host}/zip") == (200, b'{"z":1}')
    assert player.ask("GET", f"{host}/bin") == (200, b"\x00\xff\xfe\x01")
    status, body = player.ask("POST", f"{host}/charges", b'{"amount":"9.50"}') or (None, b"")
    assert (status, json.loads(body)) == (201, json.loads(CHARGED))
    assert player.ask("GET", f"{host}/items/tea?size=2") == (200, TEA)
    assert player.ask("GET", f"{host}/nothing") is None


@pytest.mark.parametrize("name", ["wiremock.json", "polly.har"])
def test_a_body_comes_back_byte_for_byte(name: str) -> None:
    read = tapes.read(FILES / name)
    assert Player(read).ask("POST", f"{host_of(read)}/charges", b'{"amount":"9.50"}') == (201, CHARGED)


@pytest.mark.parametrize("name", ["nock.json", "wiremock.json"])
def test_another_spelling_of_the_same_json_is_the_same_body(name: str) -> None:
    read = tapes.read(FILES / name)
    player = Player(read)
    assert player.ask("POST", f"{host_of(read)}/charges", b'{ "amount": "9.50" }') is not None
    assert player.tape.log[-1]["body_same"]


def test_a_recorded_call_is_used_once_and_a_stub_lasts() -> None:
    once, lasts = tapes.read(FILES / "nock.json"), tapes.read(FILES / "fixtures")
    player, stub = Player(once), Player(lasts)
    url = f"{host_of(once)}/zip"
    assert [player.ask("GET", url) is not None for _ in range(2)] == [True, False]
    assert [stub.ask("POST", "https://any.host/charges") is not None for _ in range(3)] == [True] * 3
    assert stub.tape.unused() == []
    assert f"GET {url}" not in player.tape.unused()


def test_a_scenario_of_wiremock_answers_in_the_order_of_its_states(tmp_path: Path) -> None:
    def stub(state: str | None, new: str | None, body: str) -> dict[str, Any]:
        told = {"scenarioName": "s", "request": {"method": "GET", "urlPathPattern": "/a/[0-9]+"},
                "response": {"body": body}, "requiredScenarioState": state, "newScenarioState": new}  # fmt: skip
        return {name: value for name, value in told.items() if value}

    told = [stub("three", None, "3"), stub(None, "two", "1"), stub("two", "three", "2")]
    (tmp_path / "m.json").write_text(json.dumps({"mappings": told}))
    player = Player(tapes.read(tmp_path))
    assert [player.ask("GET", "http://x/a/1?q=1") for _ in range(4)] == [(200, b) for b in (b"1", b"2", b"3", b"3")]


def test_wiremock_s_root_folder_is_read_with_its_body_files(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "__files").mkdir()
    (tmp_path / "__files/tea.json").write_bytes(TEA)
    stub = {"request": {"method": "ANY", "urlPath": "/tea"}, "response": {"status": 200, "bodyFileName": "tea.json"}}
    (tmp_path / "mappings/tea.json").write_text(json.dumps(stub))
    assert Player(tapes.read(tmp_path)).ask("PUT", "https://x/tea?a=1") == (200, TEA)
    stub["response"]["bodyFileName"] = "../secret"
    (tmp_path / "mappings/tea.json").write_text(json.dumps(stub))
    with pytest.raises(errors.RecordingError, match="is not in __files"):
        tapes.read(tmp_path)


def test_the_name_of_a_file_is_method_and_path() -> None:
    player = Player(tapes.read(FILES / "fixtures"))
    assert player.ask("POST", "https://gateway.example/charges") == (201, b'{"b":1}')
    assert player.ask("GET", "http://x:80/items/tea?size=2") == (200, TEA)
    assert player.ask("GET", "http://x/items/tea?size=3") is None


def test_hoverfly_s_matchers_fit_what_they_fitted() -> None:
    read = tapes.read(FILES / "hoverfly.json")
    player = Player(read)
    assert player.ask("GET", "http://127.0.0.1:9/bin/more") == (200, b"\x00\xff\xfe\x01")
    assert player.ask("GET", "http://elsewhere/bin") is None
    assert player.ask("GET", "http://127.0.0.1:18099/items/tea?size=3") is None
    assert any("headers were not looked at" in note for note in read.notes)


def test_respx_routes_are_read_without_running_them_and_answer_as_respx_does() -> None:
    read = tapes.read(FILES / "routes.py")
    asked = [("GET", "http://shop.internal/items/tea?size=2", b""), ("GET", "https://shop.internal/rates", b""),
             ("POST", "http://shop.internal/charges", b'{"amount":"9.50"}'),
             ("GET", "https://shop.internal/rates", b""), ("GET", "http://shop.internal/users/7", b""),
             ("DELETE", "http://shop.internal/carts/1", b"")]  # fmt: skip
    spec = importlib.util.spec_from_file_location("routes", FILES / "routes.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    player = Player(read)
    with respx.mock(assert_all_called=False) as router:
        module.routes(router)
        for method, url, body in asked:
            got = httpx.request(method, url, content=body)
            assert player.ask(method, url, body) == (got.status_code, got.content), url
    assert read.notes == ("routes.py: line 19: `str(len(json.__name__))` is computed, so this route was left out",)


@pytest.fixture
def shop() -> Iterator[str]:
    class Shop(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = TEA if self.path.startswith("/items") else b"\x00\xff\xfe\x01"
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(201)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_a_cassette_of_vcrpy_answers_as_the_service_did(shop: str, tmp_path: Path, kind: str) -> None:
    with vcr.use_cassette(str(tmp_path / f"c.{kind}"), serializer=kind):
        httpx.get(f"{shop}/items/tea?size=2")
        httpx.post(f"{shop}/charges", content=b'{"b":1, "a":2}')
        if kind == "yaml":  # vcrpy's JSON holds text only
            httpx.get(f"{shop}/bin")
    read = tapes.read(tmp_path / f"c.{kind}")
    player = Player(read)
    assert read.formats == ("vcr",)
    assert player.ask("GET", f"{shop}/items/tea?size=2") == (200, TEA)
    assert player.ask("POST", f"{shop}/charges", b'{"b":1, "a":2}') == (201, b'{"b":1, "a":2}')
    assert player.tape.log[-1]["body_same"]
    assert kind == "json" or player.ask("GET", f"{shop}/bin") == (200, b"\x00\xff\xfe\x01")


def test_a_recording_written_as_a_cassette_is_played_by_vcrpy(tmp_path: Path) -> None:
    binary = orders.stock(seq=1, url="http://stock.internal/bin", body="AP/+AQ==", body_encoding="base64")
    broken = orders.stock(seq=2, method="POST", status=None, error={"type": "httpx.ConnectError", "message": "no"})
    calls = [orders.stock(), binary, broken]
    content, notes = tapes.cassette(orders.fixture(orders.document(1, outbound=calls)))
    (tmp_path / "tape.yaml").write_bytes(content)
    with vcr.use_cassette(str(tmp_path / "tape.yaml"), record_mode="none") as played:
        assert httpx.get("http://stock.internal/items/tea").json() == {"left": 3}
        assert httpx.get("http://stock.internal/bin").content == b"\x00\xff\xfe\x01"
        assert played.all_played
    assert notes == ("POST http://stock.internal/items/tea: no HTTP answer, which a cassette cannot hold",)
    assert Player(tapes.read(tmp_path / "tape.yaml")).ask("GET", "http://stock.internal/bin") == (
        200,
        b"\x00\xff\xfe\x01",
    )


def test_a_body_that_unpacks_to_too_much_is_refused(tmp_path: Path) -> None:
    packed = base64.b64encode(gzip.compress(bytes(32 << 20))).decode()
    told = {"request": {"method": "GET", "urlPath": "/"},
            "response": {"base64Body": packed, "headers": {"content-encoding": "gzip"}}}  # fmt: skip
    (tmp_path / "bomb.json").write_text(json.dumps(told))
    with pytest.raises(errors.RecordingError, match="unpacks to more than 16 MiB"):
        tapes.read(tmp_path / "bomb.json")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "not json",
        '{"interactions": [1]}',
        '{"log": {"entries": [{}]}}',
        '[{"scope": 1, "path": 2, "status": [1]}]',
    ],
)
def test_what_is_no_tape_is_refused_in_words(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(errors.RecordingError, match=r"x\.json"):
        tapes.read(tmp_path / "x.json")
    assert tapes.recognised(FILES / "wiremock.json") == "wiremock"


def test_a_cassette_cannot_run_code(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("interactions: !!python/object/apply:os.system ['touch /tmp/never']\n")
    with pytest.raises(errors.RecordingError, match="no YAML"):
        tapes.read(tmp_path / "c.yaml")
    assert yaml.safe_load("a: 1") == {"a": 1}


def test_an_event_is_answered_from_a_cassette(case: Case, tmp_path: Path) -> None:
    app = "import httpx\n\ndef handle(event):\n    return httpx.get('http://stock.internal/items/tea').json()\n"
    tree = {"shadowlab.toml": '[service]\nname = "s"\nentrypoint = "app:handle"\n', "app.py": app}
    source = orders.repository(tmp_path / "source", tree)
    content, _ = tapes.cassette(orders.fixture(orders.document(1)))
    (tmp_path / "tape.yaml").write_bytes(content)
    (tmp_path / "event.json").write_text('{"a": 1}')
    made = replay.from_event(case, tmp_path / "event.json", source=source, fixtures=tmp_path / "tape.yaml")
    done = replay.replay(case, [made.id], source=source, revision="HEAD")
    assert done.runs[0].outbound == ("GET stock.internal/items/tea -> 200",)


def wired(tmp_path: Path, *stubs: dict[str, Any]) -> Player:
    path = tmp_path / "stubs.json"
    path.write_text(json.dumps({"mappings": [{"response": {"status": 200 + n}, **s} for n, s in enumerate(stubs)]}))
    return Player(tapes.read(path))


def test_a_wiremock_stub_asks_for_the_parts_of_its_path_and_spells_a_query_as_urls_do(tmp_path: Path) -> None:
    player = wired(
        tmp_path,
        {"request": {"urlPathTemplate": "/people/{id}", "pathParameters": {"id": {"equalTo": "ann b"}}}},
        {"request": {"urlPathPattern": "/things/[0-9]+", "queryParameters": {"q": {"equalTo": "x y"}}}},
    )
    assert player.ask("GET", "http://any/people/ann%20b") == (200, b"")
    assert player.ask("GET", "http://any/people/bob") is None
    assert [player.ask("GET", f"http://any/things/7?q={q}") for q in ("x%20y", "x+y", "x")] == [(201, b"")] * 2 + [None]


def test_a_stub_for_another_body_stands_back_behind_one_for_any(tmp_path: Path) -> None:
    five = {"equalToJson": '{"amount": 5}', "ignoreExtraElements": True}
    player = wired(
        tmp_path,
        {"request": {"urlPath": "/pay", "bodyPatterns": [five]}, "priority": 1},
        {"request": {"urlPath": "/pay"}},
    )
    asked = [b'{"amount":5}', b'{"note":1,"amount":5}', b'{"amount":6}']
    assert [player.ask("POST", "http://any/pay", body) for body in asked] == [(200, b""), (200, b""), (201, b"")]


def test_respx_routes_of_a_shared_import_raise_what_they_raise(tmp_path: Path) -> None:
    (tmp_path / "routes.py").write_text(
        "import httpx, respx\n"
        'respx.get("https://a.example/t").mock(side_effect=httpx.ReadTimeout)\n'
        'respx.get("https://a.example/c").mock(side_effect=[httpx.ConnectError("gone"), httpx.Response(204)])\n'
        'respx.get(url__startswith="https://a.example/v1/").respond(201)\n'
        'respx.get("https://a.example/f").mock(side_effect=made_up)\n'
    )
    read = tapes.read(tmp_path / "routes.py")
    assert [call["error"] for call in read.calls][:2] == [
        {"type": "httpx.ReadTimeout", "message": ""},
        {"type": "httpx.ConnectError", "message": "gone"},
    ]
    player = Player(read)
    assert player.ask("GET", "https://a.example/v1/x?y=1") == (201, b"")
    assert player.ask("GET", "https://b.example/v1/x") is None
    assert "line 5: `made_up()` is computed" in read.notes[0]
