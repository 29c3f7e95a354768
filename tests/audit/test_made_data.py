"""A data set named by its class or by a function that makes it."""

import pytest
import torch
from torch.utils.data import Dataset

from workbench.audit.data import load_data
from workbench.audit.importing import made


class Ready(Dataset):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, at: int):
        return torch.full((1, 8, 8), float(at)), at % 2


class InFolder(Ready):
    def __init__(self, root, split, transform=None):
        self.root = root


class Failing(Ready):
    def __init__(self):
        raise OSError("no such disk\nsecond line")


def make():
    return Ready()


def make_from(root):
    return InFolder(root, "test")


@pytest.mark.parametrize("given", [Ready, make, Ready()])
def test_a_class_a_function_and_a_data_set_are_the_same(given):
    found = load_data(given, samples=3)
    assert found.inputs.shape == (3, 1, 8, 8)
    assert found.labels.tolist() == (found.inputs[:, 0, 0, 0] % 2).long().tolist()


@pytest.mark.parametrize("name", ["Ready", "make"])
def test_by_import_path(name):
    assert load_data(f"{__file__}:{name}", samples=2).of == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (InFolder, r"is a class that needs root, split; expected one without arguments; write a function"),
        (make_from, r"is a function that needs root; .*def data\(\): return make_from\(root\)"),
        (Failing, r"failed \(OSError: no such disk\); call it by itself first"),
    ],
)
def test_what_cannot_be_made_gets_a_sentence_with_the_way(given, words):
    with pytest.raises(ValueError, match=words):
        load_data(given, samples=2)


def test_what_is_made_already_is_left_alone():
    value = torch.rand(2, 3)
    assert made(value, "x") is value
