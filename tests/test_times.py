"""Windows and times as people write them."""

from datetime import UTC, datetime, timedelta

import pytest

from shadowlab import errors, times


@pytest.mark.parametrize("text", ["30m", "6h", "2d", "45s"])
def test_a_window_reads_as_it_is_spoken(text: str) -> None:
    assert times.spoken(times.window(text)) == text


def test_a_window_may_have_two_parts() -> None:
    assert times.window("1h30m") == timedelta(minutes=90)


@pytest.mark.parametrize("text", ["", "30", "m", "-5m", "0m", "5 minutes", "1e3m"])
def test_other_words_are_no_window(text: str) -> None:
    with pytest.raises(errors.UsageError, match="write it as 30m"):
        times.window(text)


def test_a_time_needs_a_zone() -> None:
    assert times.moment("2026-11-18T12:00:00+01:00") == datetime(2026, 11, 18, 11, tzinfo=UTC)
    assert times.moment("last") is None
    with pytest.raises(errors.UsageError, match="no time zone"):
        times.moment("2026-11-18T12:00:00")
