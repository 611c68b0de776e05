"""Ctrl-C is deferred where it would do harm, and is never lost or mistaken for something else."""

import signal
import socket
import subprocess
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import otlp
import pytest

from shadowlab import interrupts, telemetry
from shadowlab.case import Case
from shadowlab.investigation import open_investigation

_LONG = "SELECT sum(a.range * b.range) FROM range(100000) a, range(4000) b"
"""It takes seconds; DuckDB does not always hear Ctrl-C before such a statement ends."""

_ENDLESS = "SELECT sum(a.range * b.range % 7) AS n FROM range(100000) a, range(1000000000) b"


def test_ctrl_c_is_deferred_and_raised_when_the_block_ends():
    done = []

    def work() -> None:
        with interrupts.deferred() as came:
            done.append(came())
            signal.raise_signal(signal.SIGINT)
            done.append(came())

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_the_block_raises_is_not_hidden():
    @interrupts.deferred()
    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        work()


def test_another_way_with_ctrl_c_is_asked_afterwards():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with interrupts.deferred() as came:
            signal.raise_signal(signal.SIGINT)
            assert (came(), heard) == (True, [])
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_gets_no_signals_changes_nothing():
    seen = []

    def work() -> None:
        with interrupts.deferred() as came:
            seen.append((came(), signal.getsignal(signal.SIGINT)))

    working = threading.Thread(target=work)
    working.start()
    working.join()
    assert seen == [(False, signal.default_int_handler)]


def test_ctrl_c_that_python_drops_is_raised_again():
    class Held:
        pass

    def interrupted(_gone: object) -> None:
        raise KeyboardInterrupt

    @interrupts.raised_again()
    def work() -> None:
        held = Held()
        kept = weakref.ref(held, interrupted)
        del held
        threading.Event().wait(60)
        assert kept

    with pytest.raises(KeyboardInterrupt):
        work()


def ctrl_c_after(seconds: float) -> threading.Timer:
    """Ctrl-C for the main thread, as a notebook's kernel gets it; to be started."""
    return threading.Timer(seconds, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT))


def test_ctrl_c_in_a_statement_is_a_keyboard_interrupt(case: Case):
    def work() -> None:
        with telemetry.store(case) as store:
            ctrl_c_after(0.2).start()
            store.con.execute(_LONG)

    with pytest.raises(KeyboardInterrupt):
        work()


@pytest.mark.parametrize("where", ["main", "thread"])
def test_ctrl_c_ends_a_statement_without_end_in_whatever_thread_it_is(case: Case, where: str):
    def work() -> None:
        with telemetry.store(case) as store, ThreadPoolExecutor(1) as pool:
            ctrl_c_after(0.5).start()
            if where == "main":
                store.sql(_ENDLESS)
            else:
                pool.submit(store.sql, _ENDLESS).result()

    with pytest.raises(KeyboardInterrupt):
        work()
    with telemetry.store(case) as store:
        assert store.sql("SELECT 1 AS one").rows() == [{"one": 1}]


def test_ctrl_c_is_handed_on_to_who_listened_before():
    comes, goes = socket.socketpair()
    goes.setblocking(False)
    before = signal.set_wakeup_fd(goes.fileno())
    try:
        with pytest.raises(KeyboardInterrupt), interrupts.heard():
            signal.raise_signal(signal.SIGINT)
        comes.settimeout(10)
        assert comes.recv(1) == bytes([signal.SIGINT])
        assert signal.set_wakeup_fd(goes.fileno()) == goes.fileno()
    finally:
        signal.set_wakeup_fd(before)


def test_ctrl_c_in_a_triage_is_a_keyboard_interrupt(case: Case, tmp_path, monkeypatch):
    inv = open_investigation(case.path)
    inv.ingest(otlp.lines(tmp_path / "spans.jsonl", otlp.traces([otlp.span(1, error=True)])))

    def long(store, *_given):
        ctrl_c_after(0.2).start()
        return store.con.execute(_LONG)

    monkeypatch.setattr(telemetry.Store, "sql", long)
    with pytest.raises(KeyboardInterrupt):
        inv.triage()


@pytest.mark.parametrize(
    "module", ["shadowlab.interrupts", "click.types", "click", "shadowlab.cli.commands", "shadowlab.standalone"]
)
def test_ctrl_c_while_the_program_starts_leaves_no_traceback(module: str):
    """-X importtime tells on standard error of each module once it is imported."""
    words = ["judge", "--control", "0/1000", "--candidate", "0/1000"]
    running = subprocess.Popen(
        [sys.executable, "-X", "importtime", "-m", "shadowlab", *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert running.stderr
    for line in running.stderr:
        if line.rpartition("|")[2].strip() == module:
            break
    running.send_signal(signal.SIGINT)
    out, rest = running.communicate(timeout=60)
    told = [line for line in rest.splitlines() if not line.startswith("import time:")]
    assert (running.returncode, out) == (130, ""), rest
    assert told in ([], ["interrupted; the case holds what was kept before"])
