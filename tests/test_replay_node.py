"""A Node.js service is replayed by the same verb, with the same ledger and digests."""

import base64
import json
from pathlib import Path
from typing import Any

import orders
import pytest

from shadowlab import errors, replay
from shadowlab.case import open_case
from shadowlab.records import Control
from shadowlab.replay import Runner, RunResult
from shadowlab.replay.runners import nodejs
from shadowlab.source import Service, parse_service

pytestmark = pytest.mark.slow

BASKET = Path(__file__).with_name("assets") / "basket"
MESSAGE = "Cannot read properties of undefined (reading 'share')"


def basket() -> Service:
    return parse_service((BASKET / "shadowlab.toml").read_text(), where="basket")


def document(number: int, coupon: str | None, **other: Any) -> dict[str, Any]:
    """A recording of `POST /baskets`; the coupon `OLD` fails."""
    told: dict[str, Any] = {
        "schema": "shadowlab.recording/v1",
        "id": f"{number:032x}",
        "service": "basket",
        "kind": "asgi",
        "request": {"method": "POST", "path": "/baskets", "query": "",
                    "headers": [["content-type", "application/json"]],
                    "body": {"item": "tea", "coupon": coupon}, "body_encoding": "json"},
        "time": "2026-05-04T10:00:00.123456789Z",
        "rand_seed": 7,
        "outbound": [{"seq": 0, "client": "fetch", "method": "GET", "url": "http://prices.internal/items/tea",
                      "status": 200, "headers": [["content-type", "application/json"]],
                      "body": {"cents": 950, "coupons": {"HALF": {"share": 0.5}}}, "body_encoding": "json",
                      "elapsed_ms": 12.5}],
        "environment": {"read": ["PRICES_KEY"], "values": {}},
        "response": {"status": 500, "headers": [], "body": "[redacted]", "body_encoding": "utf-8"},
        "error": {"type": "TypeError", "message": MESSAGE, "frames": [
            {"file": "/srv/basket/app.js", "function": "<anonymous>", "line": 23},
            {"file": "/srv/basket/lib/totals.js", "function": "total", "line": 5}]},
    }  # fmt: skip
    return {**told, **other}


def passing(number: int = 2, **other: Any) -> dict[str, Any]:
    body = {"id": "0b0c0d0e-0000-4000-8000-00000000000a", "lucky": 0.25, "at": "2026-05-04T10:00:00.186Z", "total": 475}
    response = {"status": 201, "headers": [], "body": json.dumps(body), "body_encoding": "utf-8"}
    return document(number, "HALF", response=response, error=None, control=True, **other)


def plain(folder: Path, code: str) -> Path:
    """A service without packages: one listener."""
    folder.mkdir()
    (folder / "app.js").write_text(f"'use strict';\nexports.app = async (request, response) => {{\n{code}\n}};\n")
    return folder


def run(tree: Path, told: dict[str, Any] | None = None, **other: Any) -> list[RunResult]:
    service = Service(name="plain", runtime="node", entrypoint="app:app")
    with Runner(tree, service, **other) as runner:
        return runner.run(orders.fixture(told or document(1, None)), repeats=2)


def test_an_express_service_fails_as_recorded_in_every_sandbox(tmp_path: Path) -> None:
    case, source = open_case(tmp_path / "case"), orders.copied(BASKET, tmp_path / "basket")
    (tmp_path / "tapes.jsonl").write_text(json.dumps(document(1, "OLD")) + "\n")
    replay.take_in(case, [tmp_path / "tapes.jsonl"])
    done = [
        replay.replay(case, [f"{1:032x}"], source=source, revision="HEAD", times=4, sandbox=name)
        for name in ("embedded", "bwrap")
    ]
    assert [one.outcome for one in done] == ["reproduced", "reproduced"], done[0].runs[0].divergence
    assert len({one.outcome_digest for one in done}) == 1
    assert done[0].error is not None
    assert (done[0].error.type, done[0].error.frames[-1].file) == ("TypeError", "lib/totals.js")
    versions = next(effect for effect in done[0].effects if effect.seam == "versions")
    assert "Node.js" in versions.how
    assert "packages of package-lock.json" in versions.how
    assert all("NOT" not in line for line in done[0].enforced)


def test_a_patch_is_told_from_a_failure(tmp_path: Path) -> None:
    patch = (
        "--- a/lib/totals.js\n+++ b/lib/totals.js\n@@ -4,3 +4,3 @@\n function total(price, coupon) {\n"
        "-  const share = coupon ? price.coupons[coupon].share : 0;\n"
        "+  const share = price.coupons[coupon]?.share ?? 0;\n"
        "   return price.cents - Math.round(price.cents * share);\n"
    )
    case, source = open_case(tmp_path / "case"), orders.copied(BASKET, tmp_path / "basket")
    (tmp_path / "tapes.jsonl").write_text(f"{json.dumps(document(1, 'OLD'))}\n{json.dumps(passing(2))}\n")
    replay.take_in(case, [tmp_path / "tapes.jsonl"])
    ids = [f"{n:032x}" for n in (1, 2)]
    compared = replay.compare_trees(case, ids, source=source, base="HEAD", patch=patch)
    assert [one.became for one in compared.exemplars] == ["fixed", "unchanged"]


def test_time_passes_only_virtually_and_everything_drawn_is_the_same_each_time() -> None:
    with Runner(BASKET, basket()) as runner:
        runs = runner.run(orders.fixture(passing()), repeats=3)
        slow = runner.run(orders.fixture(passing(request={"method": "GET", "path": "/slow"})), repeats=1)[0]
    assert len({one.digest for one in runs}) == 1
    told = json.loads(runs[0].body)
    assert (told["at"], told["total"]) == ("2026-05-04T10:00:00.185Z", 475)
    assert runs[0].outbound == ("GET prices.internal/items/tea -> 200",)
    assert json.loads(slow.body) == {"took": 30}


SOURCES = {
    "dates": "response.end(JSON.stringify([Date.now(), new Date(), Date(), performance.now(), process.hrtime()]))",
    "chance": "const c = require('crypto'); response.end(JSON.stringify([Math.random(), c.randomBytes(8),"
    " c.randomUUID(), c.randomInt(1000), c.webcrypto.randomUUID(), c.webcrypto.getRandomValues(new Uint8Array(4))]))",
    "timers": "const seen = []; const every = setInterval(() => seen.push(Date.now()), 1000);"
    " await require('timers/promises').setTimeout(10500); clearInterval(every); response.end(JSON.stringify(seen))",
    "host": "const os = require('os'); response.end(JSON.stringify([os.hostname(), os.cpus().length, process.pid,"
    " os.loadavg(), process.memoryUsage(), process.uptime(), require('fs').readdirSync(__dirname)]))",
    "work": "const z = require('zlib'); const c = require('crypto'); const {promisify} = require('util');"
    " setTimeout(() => response.end('too soon'), 60000); const zip = promisify(z.gzip)(Buffer.alloc(1e6));"
    " const key = promisify(c.pbkdf2)('x', 'y', 1e5, 32, 'sha256');"
    " const sum = c.webcrypto.subtle.digest('SHA-256', Buffer.alloc(1e6));"
    " const all = await Promise.all([zip, key, sum]);"
    " response.end(JSON.stringify([all[0].length, all[1], Date.now()]))",
    "files": "const fs = require('fs/promises'); const all = await Promise.all(Array.from({length: 20}, (_, n) =>"
    " fs.writeFile(`${n}.txt`, `${n}`).then(() => n))); response.end(JSON.stringify(all))",
}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_what_changes_from_run_to_run_is_held(tmp_path: Path, name: str) -> None:
    runs = run(plain(tmp_path / "tree", SOURCES[name]))
    assert [one.status for one in runs] == [200, 200, 200], runs[0].reason
    assert len({one.body for one in runs}) == 1


ACTS = {
    "network": "require('net').connect(80, '127.0.0.1').on('error', (e) => response.end(e.code))",
    "processes": "try { require('child_process').execSync('id') } catch (e) { response.end(e.code) }",
}


@pytest.mark.parametrize("seam", sorted(ACTS))
def test_the_outside_world_is_refused_and_named(tmp_path: Path, seam: str) -> None:
    first = run(plain(tmp_path / "tree", ACTS[seam]))[0]
    assert first.body in (b"ECONNREFUSED", b"EPERM")
    assert [event[0] for event in first.events] == [seam]


def test_the_walls_hold_when_the_harness_is_bypassed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    code = f"""
      const told = [];
      for (const act of [
        () => require('fs').readFileSync({str(tmp_path / "secret")!r}),
        () => new (process.binding('process_wrap').Process)().spawn({{ file: '/bin/sh', args: ['sh'], stdio: [] }}),
        () => require('fs').writeFileSync(__filename, ''),
      ]) {{ try {{ told.push(String(act())) }} catch (e) {{ told.push(e.code ?? e.message) }} }}
      response.end(JSON.stringify(told));"""
    first = run(plain(tmp_path / "tree", code))[0]
    told = json.loads(first.body)
    assert told[0] == "EACCES"
    assert told[1] in ("-1", "-13", "-38")
    assert told[2] == "EACCES"


def test_clients_built_on_http_get_the_recorded_answer_once(tmp_path: Path) -> None:
    code = """
      const http = require('http');
      const get = (url) => new Promise((resolve) => http.get(url, (answer) => {
        const parts = [];
        answer.on('data', (part) => parts.push(part));
        answer.on('end', () => resolve(Buffer.concat(parts).toString()));
      }).on('error', (error) => resolve(error.code)));
      const url = 'http://prices.internal/items/tea';
      response.end(JSON.stringify([await get(url), await get(url)]));"""
    first = run(plain(tmp_path / "tree", code))[0]
    answer, second = json.loads(first.body)
    assert json.loads(answer)["cents"] == 950
    assert second == "ECONNREFUSED"
    assert "used already" in first.unrecorded[0]


def test_a_request_that_waits_for_nothing_is_stuck_not_slow(tmp_path: Path) -> None:
    first = run(plain(tmp_path / "tree", "await new Promise(() => {});"))[0]
    assert (first.state, first.reason.split(":")[0]) == ("stuck", "Deadlock")


def test_a_service_that_does_not_load_says_why(tmp_path: Path) -> None:
    tree = plain(tmp_path / "tree", "")
    (tree / "app.js").write_text("require('no-such-package')")
    first = run(tree)[0]
    assert first.state == "crashed"
    assert "no-such-package" in first.reason


def test_a_body_is_kept_byte_for_byte(tmp_path: Path) -> None:
    code = "const parts = []; for await (const p of request) parts.push(p); response.end(Buffer.concat(parts));"
    request = {
        "method": "PUT",
        "path": "/x",
        "body": base64.b64encode(bytes(range(256))).decode(),
        "body_encoding": "base64",
    }
    assert run(plain(tmp_path / "tree", code), document(1, None, request=request))[0].body == bytes(range(256))


def test_a_lock_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text(
        json.dumps({"packages": {"node_modules/x": {"version": "1", "resolved": "git+ssh://example.invalid/x.git"}}})
    )
    with pytest.raises(errors.SourceError, match="is no package of an index"):
        nodejs._lock(tmp_path, "lock.json")


def test_the_harness_says_what_it_does_not_hold(tmp_path: Path) -> None:
    seams = run(plain(tmp_path / "tree", "response.end()"))[0].seams
    assert seams is not None
    assert {one.seam for one in seams if one.control is Control.UNKNOWN} == {"files", "native code"}
