"""What a group element costs the task: a count by hand, invariant and blind controls, paired intervals."""

import math

import numpy as np
import pytest
import torch
from torch import nn

from tests.measure.test_state import same, snapshot, used_model
from tests.tolerances import AGAIN, EXACT
from workbench.actions import transform_image
from workbench.groups import SO2
from workbench.measure import Cancelled, task_cost, validate


def arrows(count: int = 40) -> tuple[torch.Tensor, torch.Tensor]:
    """Images brighter on the left (label 0) or on the right (label 1)."""
    labels = torch.arange(count) % 2
    x = 0.2 * torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for image, label in zip(x, labels, strict=True):
        image[..., :4] += 1 - label
        image[..., 4:] += label
    return x, labels


def side(x: torch.Tensor) -> torch.Tensor:
    """Logits: how bright the left and the right half are."""
    return torch.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], -1)


def test_a_half_turn_turns_every_answer_and_a_quarter_turn_makes_it_chance() -> None:
    x, labels = arrows()
    ds = task_cost(side, x, labels, "C(4)")
    assert ds.accuracy.values[[0, 2]].tolist() == [1.0, 0.0]
    assert ds.accuracy_lost.values[[0, 2]].tolist() == [0.0, 1.0]
    assert 0.2 < float(ds.accuracy[1]) < 0.8
    assert float(ds.loss_gained[0]) == 0 < float(ds.loss_gained[2])


def test_agrees_with_one_image_at_a_time() -> None:
    x, labels = arrows(6)
    g = torch.tensor([0.7])
    ds = task_cost(side, x, labels, "SO2", g[None])
    for place, (image, label) in enumerate(zip(x, labels, strict=True)):
        logits = side(transform_image(image, g, SO2(), padding="border").unsqueeze(0))[0]
        assert bool(ds.correct_sample[0, place]) == (int(logits.argmax()) == int(label))
        expected = -float(logits.log_softmax(-1)[label])
        assert float(ds.loss_sample[0, place]) == pytest.approx(expected, rel=1e-9)


def test_an_invariant_model_loses_nothing_and_its_paired_interval_is_a_point() -> None:
    x, labels = arrows()
    ds = task_cost(lambda z: torch.stack([z.mean((1, 2, 3)), z.square().mean((1, 2, 3))], -1), x, labels, "C(4)")
    for name in ("accuracy_lost", "loss_gained"):
        for end in ("", "_low", "_high"):
            assert float(abs(ds[name + end]).max()) <= EXACT[torch.float64]
    assert float(ds.accuracy_high[0]) > float(ds.accuracy_low[0])


def test_paired_intervals_hold_the_mean_and_are_narrower_than_unpaired_ones() -> None:
    x, labels = arrows()
    ds = task_cost(side, x, labels, "SO2", torch.tensor([[0.2]]))
    assert bool(((ds.loss_gained_low <= ds.loss_gained) & (ds.loss_gained <= ds.loss_gained_high)).all())
    assert (ds.loss_gained_high - ds.loss_gained_low).item() < (ds.loss_high - ds.loss_low).item()


def test_another_loss_is_used_and_named_and_accuracy_is_unknown_for_numbers() -> None:
    x, _ = arrows(8)

    def squared(output: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return (output - wanted).square().mean(1)

    ds = task_cost(side, x, side(x), "C(4)", loss=squared)
    assert ds.attrs["loss"] == "squared"
    assert float(ds.loss_still) == 0 < float(ds.loss[2])
    assert bool(np.isnan(ds.accuracy).all())
    validate(ds, {"loss": ("transform",), "loss_gained": ("transform",), "loss_sample": ("transform", "sample")})


@pytest.mark.parametrize("batch_size", [1, 7])
def test_batches_do_not_matter(batch_size: int) -> None:
    x, labels = arrows(9)
    whole, split = (task_cost(side, x, labels, "SO2", n_elements=5, batch_size=b) for b in (256, batch_size))
    for name in whole.data_vars:
        assert np.allclose(whole[name], split[name], equal_nan=True, rtol=AGAIN, atol=AGAIN)


def test_r24_the_model_is_left_as_found_also_when_stopped() -> None:
    model = used_model()
    net, x = nn.Sequential(model, nn.Flatten()), torch.rand(4, 1, 3, 3)
    before = snapshot(net)
    task_cost(net, x, torch.zeros(4).long(), "C(4)")
    assert same(before, snapshot(net))
    with pytest.raises(Cancelled):
        task_cost(net, x, torch.zeros(4).long(), "C(4)", cancel=lambda: True)
    assert same(before, snapshot(net))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"labels": torch.zeros(3).long()}, "3 labels"),
        ({"labels": [0] * 4}, "list"),
        ({"labels": torch.full((4,), 7)}, "from 0 to 1"),
        ({"labels": torch.zeros(4)}, "whole numbers"),
        ({"images": torch.rand(4, 8, 8)}, "unsqueeze"),
        ({"images": torch.rand(4, 1, 8, 8) * math.inf}, "NaN or infinite"),
        ({"model": lambda x: {"logits": x}}, "dict"),
        ({"model": 3}, "callable"),
        ({"loss": lambda a, b: a.mean()}, "one for each"),
        ({"resampler": "lanczos"}, "'bicubic'"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_bad_input_gets_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": side, "images": torch.rand(4, 1, 8, 8), "labels": torch.zeros(4).long(), "group": "C(4)"}
    with pytest.raises(ValueError, match=sentence):
        task_cost(**(arguments | given))
