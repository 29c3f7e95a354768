"""Facts about shipped runs: whole, small, checked, and open like any run."""

from pathlib import Path

import pytest
import torch

from tests.tolerances import EXACT, ONE_BIT
from tests.training.tiny import tiny
from workbench.datasets.molecules import load_molecules, references
from workbench.datasets.paths import data_folder
from workbench.models import Experiment, Method
from workbench.training import DamagedFile, Run, ship, ship_method
from workbench.training.history import History
from workbench.training.reproduction import run_folders
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


def test_one_seed_of_every_experiment_is_shipped_to_where_explorers_look(tmp_path: Path) -> None:
    config = tiny()
    method = Method(
        "toy", "", "", 2020, "", "", "",
        experiments=tuple(Experiment(name, config["model"], config["data"], config["training"]) for name in ("a", "b")),
    )  # fmt: skip
    folders = run_folders(method, [0, 1], runs=tmp_path / "runs")
    for path in folders.values():
        made(path)
    shipped = ship_method(method, tmp_path / "data", seed=1, runs=tmp_path / "runs")
    assert [run.path for run in shipped] == [tmp_path / "data" / "toy" / name for name in ("a", "b")]
    with pytest.raises(FileNotFoundError, match="there is no run folder"):
        ship_method(method, tmp_path / "data", seed=2, runs=tmp_path / "runs")


def test_the_shipped_potential_knows_14_elements_by_the_energies_of_its_training_split() -> None:
    """Its references are the least-squares fit in float32; a fit to other molecules is told from it."""
    run = Run(data_folder() / "potentials/g2_ethanol")
    model = run.model()
    elements = list(model.config.elements)
    assert len(set(elements)) == 14
    assert run.config["data"]["name"] == "g2+ethanol"
    held = model.references.double()
    fitted, other = (references(load_molecules(name).splits["train"]) for name in ("g2+ethanol", "g2"))
    assert torch.allclose(held[elements], fitted[elements], rtol=ONE_BIT, atol=0)
    assert not torch.allclose(held[elements], other[elements], rtol=1000 * ONE_BIT, atol=0), "the twin"
    assert float(held.abs().sum() - held[elements].abs().sum()) < EXACT[torch.float64]
