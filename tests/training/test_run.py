"""Facts about run folders: inert, checked, versioned, and clear about what is wrong with them."""

import io
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.tiny import tiny
from workbench.models import build_model
from workbench.training import DamagedFile, Run
from workbench.training.history import History
from workbench.training.run import CHECKPOINT, CONFIG, HISTORY, PREVIOUS, WEIGHTS, refuse_code
from workbench.training.settings import FORMAT
from workbench.training.store import Store

STATE = {"step": 3, "model": {"weight": torch.arange(3.0)}, "names": ["a", "b"], "best": None}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A whole run folder, written without training."""
    made = Run.create(tmp_path / "run", tiny())
    made.save_weights(build_model(made.config["model"]).state_dict())
    history = History()
    history.add(epoch=1, train_loss=0.5, layers={"a": {"arc": 0.5, "gate": float("nan")}})
    made.save_history(history.dataset({"status": "finished"}))
    made.save_checkpoint({**STATE, "step": 2})
    made.save_checkpoint(STATE)
    return made


class Payload:
    """Writes a file when unpickled."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, tuple]:
        return (Path.write_text, (self.target, "code ran"))


def forge(run: Run, name: str, content: bytes) -> None:
    """Put bytes under a name with fitting checksums, as someone who hands on a whole folder could."""
    Store(run.path).write(name, content)


def test_a_run_opens_with_its_configuration_weights_history_and_checkpoint(run: Run) -> None:
    again = Run(run.path)
    assert again.config == run.config
    assert again.status == "finished"
    assert torch.equal(again.checkpoint()["model"]["weight"], STATE["model"]["weight"])  # type: ignore[index]
    assert again.checkpoint(previous=True)["step"] == 2
    assert again.history().arc.values.tolist() == [[0.5]]
    again.verify()


def test_the_stored_model_computes_the_same_and_train_and_eval_keys_agree(run: Run) -> None:
    network = run.model()
    images = torch.randn(2, 1, 16, 16)
    assert not network.training
    assert torch.equal(network(images), Run(run.path).model()(images))
    assert set(network.state_dict()) == set(network.train().state_dict()) == set(run.weights())


def test_opening_a_model_leaves_the_random_generators_alone(run: Run) -> None:
    before = torch.get_rng_state()
    run.model()
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", [CONFIG, WEIGHTS, HISTORY, CHECKPOINT])
@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_r5_damage_is_named_in_every_file(run: Run, name: str, damage: str) -> None:
    path = run.path / name
    content = path.read_bytes()
    middle = len(content) // 2
    flipped = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    path.write_bytes({"cut": content[:-7], "flip": flipped, "empty": b""}[damage])
    with pytest.raises(DamagedFile, match=rf"{name} is damaged"):
        Run(run.path).verify()


def test_r5_a_damaged_checkpoint_offers_the_previous_one(run: Run) -> None:
    (run.path / CHECKPOINT).write_bytes(b"damaged")
    with pytest.raises(DamagedFile, match=r"checkpoint\.previous\.pt \(step 2\) is whole.*resume=\"previous\""):
        run.checkpoint()
    (run.path / PREVIOUS).write_bytes(b"damaged too")
    with pytest.raises(DamagedFile, match="no earlier checkpoint is whole"):
        run.checkpoint()


@pytest.mark.parametrize("name", [WEIGHTS, HISTORY, CHECKPOINT])
def test_a_truncated_folder_says_what_is_missing(run: Run, name: str) -> None:
    (run.path / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {name}"):
        {WEIGHTS: run.weights, HISTORY: run.history, CHECKPOINT: run.checkpoint}[name]()


def test_a_missing_folder_or_configuration_is_said(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="there is no run folder"):
        Run(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"has no config\.json"):
        Run(tmp_path)


@pytest.mark.parametrize("pack", [pickle.dumps, lambda value: _zipped(value)])
def test_r1_a_crafted_checkpoint_is_refused_and_its_code_never_runs(run: Run, tmp_path: Path, pack: Any) -> None:
    target = tmp_path / "written-by-code"
    forge(run, CHECKPOINT, pack({"format": FORMAT, "step": 1, "model": Payload(target)}))
    with pytest.raises(ValueError, match="was refused: .* could run code"):
        run.checkpoint()
    assert not target.exists()


def _zipped(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def test_r1_the_payload_of_that_test_would_have_written_its_file(tmp_path: Path) -> None:
    target = tmp_path / "written-by-code"
    function, arguments = Payload(target).__reduce__()  # what unpickling it would call
    function(*arguments)
    assert target.exists()


@pytest.mark.parametrize("name", [WEIGHTS, HISTORY])
def test_r1_a_pickle_in_place_of_weights_or_history_is_refused_unread(run: Run, tmp_path: Path, name: str) -> None:
    target = tmp_path / "written-by-code"
    forge(run, name, pickle.dumps(Payload(target)))
    with pytest.raises(ValueError, match=f"{name} is damaged"):
        run.weights() if name == WEIGHTS else run.history()
    assert not target.exists()


@pytest.mark.parametrize("value", [object(), {"a": [print]}, torch.float32, {1, 2}, torch.nn.Linear(1, 1), b"bytes"])
def test_r2_only_tensors_numbers_strings_lists_and_dicts_enter_a_checkpoint(run: Run, value: object) -> None:
    with pytest.raises(TypeError, match="a checkpoint holds only"):
        run.save_checkpoint({"step": 4, "model": value})
    assert run.checkpoint()["step"] == 3


def test_r2_what_may_enter_passes() -> None:
    refuse_code({"a": [1, 2.0, "c", None, True, (3, {4: torch.ones(1)})]})


def test_r7_a_later_format_is_refused_with_the_remedy(run: Run) -> None:
    stored = json.loads((run.path / CONFIG).read_bytes())
    assert stored["format"] == FORMAT
    forge(run, CONFIG, json.dumps({**stored, "format": FORMAT + 1}).encode())
    with pytest.raises(ValueError, match="install a newer"):
        Run(run.path)
    forge(run, CHECKPOINT, _zipped({**STATE, "format": FORMAT + 1}))
    with pytest.raises(ValueError, match="install a newer"):
        run.checkpoint()


def test_weights_of_another_network_are_refused_with_the_reason(run: Run) -> None:
    weights = run.weights()
    weights.pop("classifier.bias")
    run.save_weights(weights)
    with pytest.raises(ValueError, match="does not fit the model"):
        run.model()


def test_r7_the_tiny_run_of_format_1_still_opens_and_computes_what_it_did() -> None:
    kept = Run(Path(__file__).parent / "format-1")
    kept.verify()
    assert json.loads((kept.path / CONFIG).read_bytes())["format"] == 1
    assert kept.checkpoint()["step"] == 13
    assert kept.history().sizes["epoch"] == 1
    images = torch.linspace(-1, 1, 256).view(1, 1, 16, 16)
    told = json.loads((kept.path / "expected.json").read_text())
    torch.testing.assert_close(kept.model()(images), torch.tensor(told["logits"]), rtol=1e-4, atol=1e-5)
