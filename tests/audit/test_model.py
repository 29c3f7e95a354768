"""Networks by name: import path, run folder, weights, and what is refused."""

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from workbench.audit import load_model
from workbench.datasets import data_folder

NET = """
import torch
from torch import nn
def build(): return nn.Linear(2, 3)
class Net(nn.Linear):
    def __init__(self): super().__init__(2, 3)
class Needs(nn.Module):
    def __init__(self, width): super().__init__()
ready = nn.Linear(2, 3)
def plain(x): return x.flatten(1)
def failing(): raise RuntimeError("no weights here")
number = 3
def number_maker(): return 3
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nets_of_audit.py"
    path.write_text(NET)
    return path


@pytest.mark.parametrize("name", ["build", "Net", "ready"])
def test_a_maker_a_class_and_a_module_all_give_the_module_and_say_that_code_ran(file, name):
    found = load_model(f"{file}:{name}")
    assert isinstance(found.model, nn.Linear)
    assert not found.end_to_end
    assert any("runs the Python code" in note for note in found.notes)


def test_a_plain_function_is_the_network_itself(file):
    found = load_model(f"{file}:plain")
    assert found.end_to_end
    assert found.model(torch.rand(2, 1, 2, 2)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "kind", "sentence"),
    [
        ("Needs", ValueError, "needs arguments; write a function without any"),
        ("failing", ValueError, "failed: no weights here"),
        ("number", TypeError, "is a int; expected a torch module"),
        ("number_maker", TypeError, "gave a int"),
    ],
)
def test_what_is_no_network_gets_one_sentence(file, name, kind, sentence):
    with pytest.raises(kind, match=sentence):
        load_model(f"{file}:{name}")


def test_a_run_folder_brings_its_images_and_their_size():
    found = load_model(data_folder() / "runs" / "partial_gcnn" / "rotated_strict")
    assert found.images is not None
    assert found.input_shape == (1, 16, 16)
    assert "partial gcnn trained on" in found.how


@pytest.mark.parametrize("name", ["nowhere", "nowhere/net.pt2", "a\0b", "x.bin"])
def test_a_name_that_is_nothing_gets_one_sentence(name, tmp_path):
    with pytest.raises((FileNotFoundError, ValueError), match="expected package.module:name|NUL"):
        load_model(name)


def test_a_file_of_another_kind_and_a_foreign_folder_are_refused(tmp_path):
    (tmp_path / "x.bin").write_bytes(b"1")
    with pytest.raises(ValueError, match=r"expected \.pt"):
        load_model(tmp_path / "x.bin")
    with pytest.raises(FileNotFoundError, match=r"config\.json|checksums"):
        load_model(tmp_path)


@pytest.mark.parametrize("wrapped", [False, True])
def test_weights_are_put_in_from_safetensors_and_from_a_state_dict(file, tmp_path, wrapped):
    weights = {"weight": torch.ones(3, 2), "bias": torch.zeros(3)}
    save_file(weights, tmp_path / "w.safetensors")
    prefixed = {f"module.{name}": value for name, value in weights.items()}
    torch.save({"state_dict": prefixed} if wrapped else weights, tmp_path / "w.pt")
    for name in ("w.safetensors", "w.pt"):
        found = load_model(f"{file}:build", tmp_path / name)
        assert found.model.weight.eq(1).all()
        assert name in found.how


def test_r1_weights_that_could_run_code_or_do_not_fit_are_refused(file, tmp_path):
    torch.save({"net": nn.Linear(2, 3)}, tmp_path / "whole.pt")
    with pytest.raises(ValueError, match="more than tensors"):
        load_model(f"{file}:build", tmp_path / "whole.pt")
    (tmp_path / "bare.pt").write_bytes(b"\x80\x04.")
    with pytest.raises(ValueError, match="no torch archive"):
        load_model(f"{file}:build", tmp_path / "bare.pt")
    (tmp_path / "w.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(ValueError, match="no whole safetensors"):
        load_model(f"{file}:build", tmp_path / "w.safetensors")
    torch.save({"weight": torch.ones(9, 2)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="does not fit"):
        load_model(f"{file}:build", tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_model(f"{file}:build", tmp_path / "absent.pt")
