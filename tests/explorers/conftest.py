"""Small stored runs for the explorers that read some, written once."""

from pathlib import Path

import pytest

from tests.explorers.stored import store_runs


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of data that holds them; nobody writes to it."""
    return store_runs(tmp_path_factory.mktemp("data"))


@pytest.fixture
def runs(stored: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The explorers find these runs and no others."""
    monkeypatch.setenv("WORKBENCH_DATA", str(stored))
    return stored
