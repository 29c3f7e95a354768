"""Series are asked after their reversal: exact where filters are symmetric, broken where time has a direction."""

import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import EXACT
from workbench.actions.series import transform_series
from workbench.audit import audit
from workbench.audit.questions import REVERSAL
from workbench.groups import O1, parse_group
from workbench.measure import equivariance_error, infer_behaviour


def series(length: int = 32) -> Tensor:
    return torch.rand(6, 2, length, generator=torch.Generator().manual_seed(0))


def net(symmetric: bool, maps: bool = False, stride: int = 1) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv1d(2, 4, 3, stride, padding=1), nn.ReLU(), nn.Conv1d(4, 3, 3, padding=1)]
    for layer in (layers[0], layers[2]):
        if symmetric:
            layer.weight.data = (layer.weight + layer.weight.flip(-1)).detach() / 2
    return nn.Sequential(*layers, *([] if maps else [nn.AdaptiveAvgPool1d(1), nn.Flatten()])).eval()


def level(model: nn.Module, x: Tensor) -> tuple[str, str, str]:
    one = next(verdict for verdict in audit(model, x, kind="series").verdicts if verdict.question == REVERSAL)
    return one.level, one.layer, one.sentence


@pytest.mark.parametrize("maps", [False, True])
def test_symmetric_filters_keep_it_and_others_are_named(maps):
    assert level(net(True, maps), series())[0] == "exact"
    found, layer, sentence = level(net(False, maps), series())
    assert (found, layer) == ("broken", "0")
    assert "at worst, the reversal, its answer differs" in sentence


def test_steps_that_leave_a_sample_over_break_it():
    assert level(net(True, stride=2), series(33))[0] == "exact"
    assert level(net(True, stride=2), series(32))[0] == "broken"


def test_time_has_a_direction_for_a_recurrent_layer():
    class Last(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.layer = nn.GRU(2, 4, batch_first=True)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x.mT)[0][:, -1]

    assert level(Last(), series())[0] == "broken"


def test_the_reversal_acts_without_resampling_and_its_law_is_inferred():
    x = series(7)
    assert torch.equal(transform_series(x, O1().grid(), O1())[1], x.flip(-1))
    assert parse_group("O1") == O1()
    assert infer_behaviour(lambda v: v.flatten(1).cumsum(1)[:, :7], x, "O1").kind == "invariant"
    assert infer_behaviour(lambda v: v[:, 0] ** 2, x, "O1").kind == "series"
    assert infer_behaviour(lambda v: v.mean(-1), x, "O1").kind == "invariant"
    ds = equivariance_error(lambda v: v**2, x, "O1", mask="none")
    assert ds.mirror.values.tolist() == [1, -1]
    assert bool(ds.exact.all())
    assert float(ds.error.max()) < EXACT[torch.float32]
    assert float(ds.output_floor.max()) < EXACT[torch.float32]
    with pytest.raises(ValueError, match="n = 3 was given; expected 1 or 2"):
        O1().grid(3)
