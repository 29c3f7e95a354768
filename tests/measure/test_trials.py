"""How an output moves is told by a trial that neither chance nor an output near nothing can mislead."""

import pytest
import torch
from torch import Tensor, nn

from workbench.measure import Behaviour, infer_behaviour, inference
from workbench.measure.behaviour import choose


def pictures(side: int = 16) -> Tensor:
    """Bright spots on a dim ground, farther from the frame than the shifts of a trial."""
    x = 0.1 * torch.rand(4, 1, side, side, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for sample, (row, column) in enumerate(((5, 3), (10, 10), (5, 11), (10, 3))):
        x[sample, 0, row, column] += 1.0
    return x


class Dropped(nn.Module):
    """Classes whose scores chance changes by more than any motion does."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.body, self.head = nn.Conv2d(1, 16, 3), nn.Linear(16, 4)

    def forward(self, x: Tensor) -> Tensor:
        features = self.body(x).relu().mean((2, 3))
        return self.head(nn.functional.dropout(features, 0.5, training=True)) - self.head.bias


def two_scores(seed: int) -> nn.Module:
    """Scores near 0 of a network that is far from any symmetry."""
    torch.manual_seed(seed)
    first = nn.Linear(256, 64)
    with torch.no_grad():
        first.weight.mul_(8)
    return nn.Sequential(nn.Flatten(), first, nn.ReLU(), nn.Linear(64, 2)).double()


def spot(x: Tensor) -> Tensor:
    """The brightest pixel's place in pixels."""
    place = x[:, 0].flatten(1).argmax(1)
    return torch.stack([place % x.shape[-1], place // x.shape[-1]], -1).to(x) + 0.5


def jittered(x: Tensor) -> Tensor:
    """The same, as far off by chance as dropout makes a detector of key points."""
    return spot(x) + torch.randn(len(x), 2).to(x)


def jittered_box(x: Tensor) -> Tensor:
    return torch.cat([jittered(x) - 2, jittered(x) + 2], -1)


@pytest.mark.parametrize("seed", range(6))
def test_chance_makes_no_boxes_of_classes(seed: int) -> None:
    assert infer_behaviour(Dropped(seed).double(), pictures(), "SO2", seed=seed).kind == "invariant"


@pytest.mark.parametrize("seed", range(6))
def test_scores_near_nothing_are_no_key_points(seed: int) -> None:
    assert infer_behaviour(two_scores(seed), pictures(), "SO2").kind == "invariant"


def test_without_what_a_still_output_scores_they_would_be(monkeypatch) -> None:
    monkeypatch.setattr(inference, "choose", lambda laws, errors, still: choose(laws, errors))
    taken = [infer_behaviour(two_scores(seed), pictures(), "SO2").kind for seed in range(6)]
    assert "key points" in taken


@pytest.mark.parametrize(("model", "kind"), [(spot, "key points"), (jittered, "key points"), (jittered_box, "boxes")])
def test_detectors_are_recognised_with_chance_and_without(model, kind: str) -> None:
    found = infer_behaviour(model, pictures(), "SO2")
    assert (found.kind, found.frame) == (kind, "pixels")
    assert found.fits


def test_the_sentence_says_what_an_output_that_stays_scores() -> None:
    laws = [Behaviour("invariant"), Behaviour("boxes", frame="pixels")]
    assert choose(laws, [2.5, 0.45], [0.0, 0.44]).why.endswith("an answer that stays where it is scores 0.44 as boxes")
    assert choose(laws, [2.5, 0.2], [0.0, 0.44]).kind == "boxes"
