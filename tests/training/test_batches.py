"""Facts about batches: every image once an epoch, in an order that only seed and step decide."""

import functools
import operator

import pytest
import torch
from torch import Tensor

from workbench.training.batches import Batches


def batches(count: int = 10, **options: object) -> Batches:
    given = {"batch_size": 4, "seed": 0, **options}
    return Batches(torch.arange(float(count)).view(count, 1, 1, 1), torch.arange(count), **given)  # type: ignore[arg-type]


def order(loader: Batches) -> list[list[int]]:
    return [labels.tolist() for _, labels in loader]


def test_an_epoch_visits_every_image_once_and_labels_stay_with_their_images() -> None:
    seen = order(batches())
    assert sorted(functools.reduce(operator.iadd, seen, [])) == list(range(10))
    assert [len(batch) for batch in seen] == [4, 4, 2]
    assert all(torch.equal(images.flatten(), labels.float()) for images, labels in batches())


def test_dropping_the_last_batch_leaves_whole_ones() -> None:
    loader = batches(drop_last=True)
    assert [len(batch) for batch in order(loader)] == [4, 4] == [4] * len(loader)


@pytest.mark.parametrize("step", range(9))
def test_any_step_can_be_the_first(step: int) -> None:
    whole = batches()
    stream: list[list[int]] = []
    for epoch in range(3):
        whole.step = epoch * len(whole)
        stream += order(whole)
    resumed = batches()
    resumed.step = step
    assert order(resumed) == stream[step : (step // 3 + 1) * 3]


def test_epochs_and_seeds_have_orders_of_their_own() -> None:
    first, later, other = batches(100), batches(100), batches(100, seed=1)
    later.step = len(later)
    assert order(first) != order(later)
    assert order(first) != order(other)


def test_the_global_generators_do_not_matter_and_are_not_drawn_from() -> None:
    before: Tensor = torch.get_rng_state()
    one = order(batches())
    torch.manual_seed(123)
    assert order(batches()) == one
    torch.set_rng_state(before)
