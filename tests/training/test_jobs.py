"""Facts about jobs: what tells workers to stop."""

from pathlib import Path

from workbench.training.jobs import StopFile


def test_a_stop_file_is_an_event_that_another_process_sees(tmp_path: Path) -> None:
    flag, seen = StopFile(tmp_path / "runs" / ".stop"), StopFile(tmp_path / "runs" / ".stop")
    assert not seen.is_set()
    flag.set()
    assert seen.is_set()
    flag.clear()
    flag.clear()
    assert not seen.is_set()
