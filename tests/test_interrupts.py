"""Ctrl-C that waits until it can do no harm."""

import signal
import threading

import pytest

from shadowlab import interrupts


def test_ctrl_c_is_noted_and_raised_when_the_block_ends():
    done = []

    def work() -> None:
        with interrupts.noted() as came:
            done.append(came())
            signal.raise_signal(signal.SIGINT)
            done.append(came())

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [False, True]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_what_the_block_raises_is_not_hidden():
    @interrupts.noted()
    def work() -> None:
        signal.raise_signal(signal.SIGINT)
        raise ValueError("its own")

    with pytest.raises(ValueError, match="its own"):
        work()


def test_another_way_with_ctrl_c_is_asked_afterwards():
    heard = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: heard.append(number))
    try:
        with interrupts.noted() as came:
            signal.raise_signal(signal.SIGINT)
            assert (came(), heard) == (True, [])
        assert heard == [signal.SIGINT]
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_thread_that_gets_no_signals_changes_nothing():
    seen = []

    def work() -> None:
        with interrupts.noted() as came:
            seen.append((came(), signal.getsignal(signal.SIGINT)))

    working = threading.Thread(target=work)
    working.start()
    working.join()
    assert seen == [(False, signal.default_int_handler)]
