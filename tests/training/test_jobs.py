"""Facts about jobs: what tells workers to stop."""

import atexit
import logging
import time
from pathlib import Path

import pytest

from workbench.training import jobs
from workbench.training.jobs import StopFile


def slow_to_end(seconds: float) -> None:
    """Run in a worker: its process will take that long to go."""
    atexit.register(time.sleep, seconds)


@pytest.mark.slow
@pytest.mark.parametrize(("patience", "killed"), [(jobs.END_S, False), (1.0, True)])
def test_worker_processes_end_by_themselves_and_no_warning_is_printed(
    patience: float, killed: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(jobs, "END_S", patience)
    logger = logging.getLogger("distributed.nanny")
    logger.addHandler(caplog.handler)  # Dask's loggers hand nothing on to the root
    try:
        with jobs._client(1, None, 1) as client:
            client.submit(slow_to_end, 2.0 if killed else 4.5).result()
    finally:
        logger.removeHandler(caplog.handler)
    assert ("still alive" in caplog.text) == killed


def test_a_stop_file_is_an_event_that_another_process_sees(tmp_path: Path) -> None:
    flag, seen = StopFile(tmp_path / "runs" / ".stop"), StopFile(tmp_path / "runs" / ".stop")
    assert not seen.is_set()
    flag.set()
    assert seen.is_set()
    flag.clear()
    flag.clear()
    assert not seen.is_set()
