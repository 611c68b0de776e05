"""Fixtures for every test: no test reads or writes the person's own keys, settings or cases."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A signing key of this test run's own."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("keys")
        patch.setenv("SHADOWLAB_KEYS", str(folder))
        yield folder
