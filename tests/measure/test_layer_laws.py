"""How outputs of inner layers move: what stands still is no rival, and what hardly moves is believed to stand."""

import torch
from torch import Tensor, nn

from workbench.groups import SO2, SO3
from workbench.measure.compare import Action
from workbench.measure.layer_laws import layer_laws


class Faster(nn.Module):
    """Directions that turn so many times as fast as the points."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        angle = self.times * torch.atan2(x[..., 1], x[..., 0])
        return torch.stack([angle.cos(), angle.sin()], -1)


def law_of(times: float) -> str:
    """Of points on the right, turned by little."""
    net = nn.Sequential(Faster(times))
    x = torch.rand(4, 5, 2, generator=torch.Generator().manual_seed(0)) + torch.tensor([2.0, 0.0])
    action = Action(
        torch.tensor([[0.1], [0.2], [0.3]]), SO2(), "bicubic", "border", "none", (5, 2), input_kind="points"
    )
    return layer_laws(net, x, {"0": net[0]}, action, 0)["0"].kind


def test_a_law_has_to_beat_an_output_that_stays_where_it_is():
    assert law_of(1.0) == "vectors"
    assert law_of(0.0) == "set"
    assert law_of(1.6) == "set", "as vectors it lies nearly as far off as if it had not moved"


def test_layers_of_e3nn_move_by_the_irreps_that_they_state():
    from e3nn import o3

    class Squared(nn.Module):
        def __init__(self, stated: str) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.product = o3.FullyConnectedTensorProduct("1x1o", "1x1o", "2x0e+1x1e+1x2e")
            self.product.irreps_out = o3.Irreps(stated)

        def forward(self, x: Tensor) -> Tensor:
            return self.product(x, x)

    action = Action(SO3().sample(3), SO3(), "bicubic", "border", "none", (5, 3), input_kind="points")
    points = torch.rand(4, 5, 3, generator=torch.Generator().manual_seed(0))
    for stated, kind in (("2x0e+1x1e+1x2e", "irreps"), ("1x2e+1x1e+2x0e", "set"), ("3x0e", "set")):
        net = Squared(stated)
        assert layer_laws(net, points, {"product": net.product}, action, 0)["product"].kind == kind
