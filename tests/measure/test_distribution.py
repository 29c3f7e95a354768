"""What a network has learned, read from it."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, AGAIN_SINGLE, AGAIN_ZERO
from workbench.groups import GroupSignal
from workbench.layers import GroupConv, GroupReLU, LiftingConv
from workbench.measure import learned_distribution, open_dataset, save, validate


def net(group: str, n: int) -> nn.Sequential:
    options = {"group": group, "n": n}
    return nn.Sequential(
        LiftingConv(1, 2, 3, **options),
        GroupReLU(),
        GroupConv(2, 2, 3, **options),
        GroupConv(2, 2, 3, partial=True, **options),
    )


def test_arcs_are_read_from_the_parameters() -> None:
    model = net("SO2", 8)
    with torch.no_grad():
        model[3].distribution.theta.fill_(0.5)
    ds = learned_distribution(model)
    assert ds.layer.values.tolist() == ["0", "2", "3"]
    assert ds.arc.values.tolist() == [1.0, 1.0, 0.5]
    assert ds.arc_half_width_deg.values.tolist() == [180.0, 180.0, 90.0]
    assert ds.learned.values.tolist() == [False, False, True]
    assert ds.element_used.sum("element").values.tolist() == [8, 8, 4]
    assert np.allclose(
        ds.element_angle_deg.values[2, :4], [-67.5, -22.5, 22.5, 67.5], rtol=AGAIN_SINGLE, atol=AGAIN_ZERO
    )


@pytest.mark.parametrize(("group", "n", "gates"), [("D(1)", 2, 1), ("C(4)", 4, 3), ("O2", 8, 1), ("D(2)", 4, 2)])
def test_gates_are_read_from_the_parameters(group: str, n: int, gates: int) -> None:
    ds = learned_distribution(net(group, n))
    kept = 1 / (1 + np.exp(-2))
    assert int(ds.gate_learned.sel(layer="3").sum()) == gates
    assert np.allclose(ds.gate_probability.sel(layer="3")[:gates], kept, rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
    assert np.allclose(ds.gate_probability.sel(layer="0"), 1.0, rtol=AGAIN, atol=AGAIN)
    assert float(ds.mirror_probability.sel(layer="3")) == pytest.approx(
        1.0 if group == "C(4)" else kept, rel=AGAIN_SINGLE
    )


@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("O2", 8), ("C(4)", 4), ("D(1)", 2)])
def test_n5_no_number_is_missing_and_the_file_says_the_same(group: str, n: int, tmp_path) -> None:
    model = net(group, n).train()
    ds = learned_distribution(model)
    validate(ds, {"arc": ("layer",), "gate_probability": ("layer", "gate"), "element_used": ("layer", "element")})
    assert all(np.isfinite(v).all() for v in ds.variables.values() if v.dtype.kind == "f")
    assert open_dataset(save(ds, tmp_path / "learned.nc")).identical(ds)
    assert ds.identical(learned_distribution(model))
    assert model.training


def test_a_closed_gate_takes_its_elements_out() -> None:
    model = net("D(1)", 2)
    with torch.no_grad():
        model[3].distribution.logit.fill_(-3)
    ds = learned_distribution(model)
    assert ds.element_used.sum("element").values.tolist() == [2, 2, 1]
    assert float(ds.mirror_probability.sel(layer="3")) < 0.01


def test_a_model_without_group_layers_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="without group layers"):
        learned_distribution(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match="a int without group layers"):
        learned_distribution(3)


def test_elements_are_those_that_evaluation_uses() -> None:
    model = net("SO2", 8).eval()
    with torch.no_grad():
        model[3].distribution.theta.fill_(0.3)
        out = model(torch.zeros(1, 1, 8, 8))
    assert isinstance(out, GroupSignal)
    ds = learned_distribution(model).sel(layer="3")
    used = ds.element_angle_deg.values[ds.element_used.values]
    assert np.allclose(used, np.rad2deg(out.elements[:, 0].numpy()), rtol=AGAIN_SINGLE, atol=AGAIN_ZERO)
