"""Facts about what is refused before a run folder is made: one sentence, nothing left behind, the network untouched."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.training.tiny import differences, tiny
from workbench.datasets import ImageSet
from workbench.models import build_model
from workbench.training import fit
from workbench.training.checks import check_model


def data(labels: list[int], channels: int = 1, test: list[int] | None = None) -> ImageSet:
    def split(given: list[int]) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.zeros(len(given), channels, 16, 16), torch.tensor(given, dtype=torch.int64)

    splits = {"train": split(labels), "validation": split([]), "test": split(labels if test is None else test)}
    return ImageSet("given", splits, ("a", "b", "c"), {})


def check(model: nn.Module, given: ImageSet) -> None:
    check_model(model, {"name": "some_cnn"}, given)


@pytest.mark.parametrize("given", [data([0, 1, 2]), data([0, 1], test=[0, 2])], ids=["training", "test"])
def test_fewer_classes_than_labels_are_refused_with_the_number_to_write(given: ImageSet) -> None:
    sentence = (
        "the model 'some_cnn' has 2 classes, and given has labels up to 2; .* write \"classes\": 3 into the model"
    )
    with pytest.raises(ValueError, match=sentence):
        check(build_model(tiny()["model"]), given)


def test_as_many_classes_as_labels_or_more_are_taken() -> None:
    check(build_model(tiny()["model"]), data([0, 1]))
    check(build_model({**tiny()["model"], "classes": 5}), data([0, 1]))


def test_a_negative_label_is_refused() -> None:
    with pytest.raises(ValueError, match="given has the label -1; expected whole numbers from 0"):
        check(build_model(tiny()["model"]), data([0, -1]))


@pytest.mark.parametrize("name", ["plain_cnn", "augmented_cnn", "partial_gcnn"])
def test_images_that_the_network_cannot_read_are_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match=r"cannot read the images of given, .* = \(3, 16, 16\)|expected images"):
        check(build_model({"name": name}), data([0, 1], channels=3))


def test_r24_the_network_that_was_tried_trains_as_one_that_was_not() -> None:
    tried, fresh = build_model(tiny()["model"]), build_model(tiny()["model"])
    fresh.load_state_dict(tried.state_dict())
    before = torch.get_rng_state()
    check(tried.train(), data([0, 1]))
    assert torch.equal(before, torch.get_rng_state())
    assert differences(dict(tried.state_dict()), dict(fresh.state_dict())) == []
    assert all(module.training for module in tried.modules())
    assert vars(tried.body[0]).keys() == vars(fresh.body[0]).keys()  # type: ignore[index]


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "unknown model": ("names 'zzz'", {"model": {"name": "zzz"}}),
    "unknown setting": ("unknown key 'epoch'", {"training": {"epoch": 1}}),
    "unknown data": ("there is no data set 'zzz'", {"data": {"name": "zzz"}}),
    "absent data": ("fetch it: ", {"data": {"name": "mnist"}}),
    "strange option": ("has no option 'foo'", {"data": {"name": "digits", "foo": 1}}),
    "too few classes": ("has 2 classes, and digits has labels up to 9", {"data": {"name": "digits"}}),
    "odd size": ("not equivariant to quarter turns", {"model": {**tiny()["model"], "input_size": 17}}),
    "channels": ("expected images", {"model": {**tiny()["model"], "in_channels": 3}}),
    "huge batches": ("fewer than one batch", {"training": {"batch_size": 5000, "drop_last": True}}),
    "no gpu": ('training.device is "gpu"', {"training": {"device": "gpu"}}),
}


@pytest.mark.slow
@pytest.mark.parametrize(("sentence", "wrong"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("resume", [False, True])
def test_a_refused_configuration_leaves_no_folder_and_the_corrected_one_runs_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sentence: str, wrong: dict[str, Any], resume: bool
) -> None:
    monkeypatch.setenv("WORKBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    folder = tmp_path / "runs" / "first"
    with pytest.raises((ValueError, TypeError, OSError), match=re.escape(sentence)):
        fit({**tiny(max_steps=1), **wrong}, folder, progress=False, resume=resume)
    assert not folder.parent.exists()
    if not resume:
        assert fit(tiny(max_steps=1), folder, progress=False).status == "finished"
