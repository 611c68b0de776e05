"""An alert starts, or somebody is paged: one incident becomes one case, whatever is killed in between."""

import contextlib
import hashlib
import hmac
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import otlp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sending import fetch, receiving_apart

import shadowlab as sl
from shadowlab import errors, telemetry, webhooks
from shadowlab.watch import Orders, Watch

MINUTE = 60_000_000_000
SECRET = b"a secret that pagers know"
START = datetime.fromtimestamp(otlp.START / 1e9, UTC)


def minutes(first: int, last: int, *, failing: bool, service: str = "shop") -> dict:
    """Ten requests a minute, of which half fail or none; each a trace with a child in another service."""
    spans = []
    for minute in range(first, last):
        for n in range(10):
            number = minute * 10 + n + 1
            told = otlp.span(
                number, trace=f"{number:032x}", at=otlp.START + minute * MINUTE + n, error=failing and n % 2 == 0
            )
            spans.append(otlp.raising(told) if failing and n % 2 == 0 else told)
    return otlp.traces(spans, service=service)


def ingest(inv: sl.Investigation, folder: Path, name: str, *requests: dict) -> None:
    place = folder / f"{name}.jsonl"
    place.write_text("\n".join(json.dumps(request) for request in requests))
    inv.ingest(place)


@pytest.fixture(scope="module")
def burnt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("burnt")
    ingest(sl.open(folder / "live"), folder, "first", minutes(0, 60, failing=False), minutes(60, 70, failing=True))
    return folder / "live"


@pytest.fixture
def burning(burnt: Path, tmp_path: Path) -> sl.Investigation:
    """A case whose service has failed for ten minutes, after an hour in which it did not."""
    return sl.open(shutil.copytree(burnt, tmp_path / "live"))


def watch(inv: sl.Investigation, **orders: object) -> tuple[Watch, list[str]]:
    said: list[str] = []
    return Watch(inv, Orders(out=inv.case.path.parent / "out", **orders), said.append), said


def test_an_alert_that_starts_is_cut_out_into_a_case_of_its_own(burning):
    looking, said = watch(burning)
    (place,) = looking.look()
    case = sl.open(place)
    found = case.latest(sl.Triage)
    assert found.suspects[0].title.startswith("ValueError")
    assert found.objectives[0].alert
    assert [entry["verb"] for entry in case.ledger] == ["cut", "triage"]
    assert case.verify().verdict.value == "pass"
    assert "shop is in" in said[0]


def test_rows_are_those_of_the_watched_case_and_traces_whole(burning):
    looking, _ = watch(burning)
    (place,) = looking.look()
    rows = "SELECT * FROM spans WHERE start_ns >= $since ORDER BY row_id"
    (first,) = sl.open(place).sql("SELECT min(start_ns) AS first FROM spans").rows()
    with telemetry.store(sl.open(place).case) as mine, telemetry.store(burning.case) as theirs:
        since = {"since": first["first"]}
        assert mine.sql(rows, since).rows() == theirs.sql(rows, since).rows()


def test_one_incident_gives_one_case_also_after_a_restart(burning):
    looking, _ = watch(burning)
    assert len(looking.look()) == 1
    assert looking.look() == []
    again, _ = watch(sl.open(burning.case.path))
    assert again.run(timedelta(seconds=1), once=True) == []


def test_a_case_that_was_cut_short_is_made_by_the_next_watch(burning, monkeypatch):
    looking, _ = watch(burning)

    def half(_: Watch, __: object, place: Path) -> None:
        place.mkdir(parents=True)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "_make", half)
        with pytest.raises(KeyboardInterrupt):
            looking.look()
    again, _ = watch(sl.open(burning.case.path))
    (place,) = again.run(timedelta(seconds=1), once=True)
    assert sl.open(place).verify().verdict.value == "pass"


def test_a_case_that_cannot_be_finished_is_told_and_left_to_the_next_watch(burning):
    looking, said = watch(burning, template="no-such-template")
    assert looking.look() == []
    assert "its case was not finished" in said[0]
    again, _ = watch(sl.open(burning.case.path))
    assert len(again.run(timedelta(seconds=1), once=True)) == 1


def test_an_alert_that_was_off_for_a_window_and_starts_again_is_another_incident(burning, tmp_path):
    looking, _ = watch(burning, window=timedelta(minutes=5))
    assert len(looking.look()) == 1
    for name, first, last in (("calm", 70, 300), ("calmer", 300, 320)):
        ingest(burning, tmp_path, name, minutes(first, last, failing=False))
        assert looking.look() == []
    assert [one.state for one in looking.register.known().values()] == ["closed"]
    ingest(burning, tmp_path, "again", minutes(320, 330, failing=True))
    assert len(looking.look()) == 1


def test_nothing_burns_and_nothing_is_made(tmp_path):
    inv = sl.open(tmp_path / "live")
    looking, _ = watch(inv)
    assert looking.look() == []
    ingest(inv, tmp_path, "calm", minutes(0, 30, failing=False))
    assert looking.look() == []
    assert not (tmp_path / "out").exists()


def pagerduty(service: str = "shop", kind: str = "incident.triggered", number: str = "Q1") -> bytes:
    at = (START + timedelta(minutes=69)).isoformat()
    data = {"id": number, "type": "incident", "title": "it burns", "service": {"summary": service}, "created_at": at}
    return json.dumps({"event": {"event_type": kind, "occurred_at": at, "data": data}}).encode()


def alertmanager(service: str = "shop", status: str = "firing") -> bytes:
    at = (START + timedelta(minutes=69)).isoformat()
    alert = {"status": status, "labels": {"service": service}, "startsAt": at, "fingerprint": "abc"}
    return json.dumps({"version": "4", "status": status, "alerts": [alert]}).encode()


def sign(body: bytes) -> dict[str, str]:
    return {"X-PagerDuty-Signature": "v1=0000,v1=" + hmac.new(SECRET, body, hashlib.sha256).hexdigest()}


BEARER = {"Authorization": "Bearer " + SECRET.decode()}


@pytest.mark.parametrize(("body", "headers"), [(pagerduty(), sign(pagerduty())), (alertmanager(), BEARER)])
def test_a_page_opens_a_case_for_the_service_and_time_that_it_names(burning, body, headers):
    looking, _ = watch(burning)
    with webhooks.Listener("127.0.0.1", 0, SECRET, looking.paged) as door:
        answers = [fetch(f"http://127.0.0.1:{door.port}/", body, headers)[0] for _ in range(2)]
    assert answers == [202, 202]
    (place,) = looking.seen()
    assert sl.open(place).latest(sl.Triage).suspects
    assert looking.seen() == []


def test_a_page_of_a_service_without_telemetry_makes_no_case(burning):
    looking, said = watch(burning)
    looking.paged(webhooks.read(pagerduty("unknown/../../etc"))[0])
    assert looking.seen() == []
    assert "no spans of unknown" in said[0]
    assert not list((burning.case.path.parent / "out").glob("*"))


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (pagerduty(), {}, 401),
        (pagerduty(), {"X-PagerDuty-Signature": "v1=" + "0" * 64}, 401),
        (pagerduty(), {"Authorization": "Bearer wrong"}, 401),
        (pagerduty() + b" ", sign(pagerduty()), 401),
        (b"{}", BEARER, 400),
        (b"[" * 100_000, BEARER, 400),
        (pagerduty(kind="incident.resolved"), BEARER, 202),
        (alertmanager(status="resolved"), BEARER, 202),
        (b"x" * (webhooks.LARGEST + 1), BEARER, 413),
    ],
)
def test_what_is_unsigned_or_no_page_takes_nothing(body, headers, status):
    taken = []
    with webhooks.Listener("127.0.0.1", 0, SECRET, taken.append) as door:
        assert fetch(f"http://127.0.0.1:{door.port}/", body, headers)[0] == status
    assert taken == []


def test_a_page_that_cannot_be_kept_is_sent_again():
    def full(_: webhooks.Page) -> None:
        raise errors.CaseError("the case is held", hint="later")

    with webhooks.Listener("127.0.0.1", 0, SECRET, full) as door:
        assert fetch(f"http://127.0.0.1:{door.port}/", pagerduty(), BEARER)[0] == 503


_json = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["event", "alerts", "data", "labels", "version", "type", "status"]), inner)
    ),
)


@given(_json)
def test_arbitrary_payloads_are_pages_or_refused(payload):
    with contextlib.suppress(errors.UsageError):
        assert isinstance(webhooks.read(json.dumps(payload).encode()), tuple)


def command(case: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "shadowlab", "watch", str(case), "--out", str(case.parent / "out"), *more]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--webhook", "127.0.0.1:0"], "needs --webhook-secret"),
        (["--webhook", "127.0.0.1:0", "--webhook-secret", "/nowhere"], "cannot be read"),
        (["--every", "often"], "no window"),
        (["--slo", "/nowhere"], "/nowhere"),
        (["--report", "nothing-like-it"], "no template"),
        (["--out", __file__], "is no folder"),
        (["--out", f"{__file__}/incidents"], "is no folder"),
    ],
)
def test_orders_that_cannot_be_are_refused_before_anything_is_done(burning, more, said):
    done = subprocess.run(command(burning.case.path, "--once", *more), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr


def until(there: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if there():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.slow
def test_beside_a_receiver_what_arrives_becomes_a_case_with_a_report_and_a_kill_makes_no_second(tmp_path):
    case, out = tmp_path / "live", tmp_path / "out"
    with receiving_apart(case) as door:
        for request in (minutes(0, 60, failing=False), minutes(60, 70, failing=True)):
            assert door.post("/v1/traces", json.dumps(request).encode())[0] == 200
        more = ("--every", "1s", "--report", "incident")
        first = subprocess.Popen(command(case, *more), stderr=subprocess.PIPE, text=True)
        assert until(lambda: any(out.glob("*/case.json")))
        first.send_signal(signal.SIGKILL)
        first.communicate()
        second = subprocess.Popen(command(case, *more, "--json"), stdout=subprocess.PIPE, text=True)
        assert until(lambda: any(out.glob("*/reports/*.html")), 120)
        time.sleep(3)
        second.send_signal(signal.SIGTERM)
        made = json.loads(second.communicate()[0])
    assert second.returncode == 0
    assert [str(path) for path in out.iterdir()] == made["cases"]
    assert sl.open(made["cases"][0]).verify().verdict.value == "pass"
