"""Facts about shipped runs: whole, small, checked, and open like any run."""

from pathlib import Path

import pytest

from tests.training.tiny import tiny
from workbench.training import DamagedFile, Run, ship
from workbench.training.history import History
from workbench.training.run import CHECKPOINT, CONFIG, HISTORY, WEIGHTS


def made(folder: Path, status: str = "finished") -> Run:
    from workbench.models import build_model

    run = Run.create(folder, tiny())
    run.save_weights(build_model(run.config["model"]).state_dict())
    run.save_history(History().dataset({"status": status}))
    run.save_checkpoint({"step": 1})
    return run


def test_a_shipped_run_opens_without_its_checkpoint(tmp_path: Path) -> None:
    copy = ship(made(tmp_path / "run"), tmp_path / "data" / "runs" / "six")
    assert {path.name for path in copy.path.iterdir()} == {CONFIG, WEIGHTS, HISTORY, "checksums.json"}
    assert copy.status == "finished"
    copy.verify()
    copy.model()
    assert (copy.path / WEIGHTS).read_bytes() == (tmp_path / "run" / WEIGHTS).read_bytes()


def test_shipping_again_replaces_the_copy(tmp_path: Path) -> None:
    run = made(tmp_path / "run")
    ship(run, tmp_path / "copy")
    run.save_history(History().dataset({"status": "stopped early"}))
    assert ship(run.path, tmp_path / "copy").status == "stopped early"


def test_an_unfinished_and_a_damaged_run_are_not_shipped(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is cancelled; expected a finished run"):
        ship(made(tmp_path / "open", "cancelled"), tmp_path / "copy")
    run = made(tmp_path / "run")
    (run.path / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(DamagedFile, match="checkpoint.pt is damaged"):
        ship(run, tmp_path / "copy")
