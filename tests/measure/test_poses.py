"""Errors over poses: pictures drawn exactly, agreement with slow obvious loops, rows told apart, and refusals."""

import math

import numpy as np
import pytest
import torch

from tests.tolerances import AGAIN, AGAIN_SINGLE, EXACT
from workbench.actions import transform_signal
from workbench.groups import SO2, GroupSignal
from workbench.kernels import KernelSpec
from workbench.layers import GroupReLU, LiftingConv, SeparableConv
from workbench.measure import open_dataset, save
from workbench.measure.poses import drawn, pose_error, pose_map

K, N, M = 7, 4, 4
FACTORS = torch.tensor([1.74 ** (i / 3) for i in range(4)])
pytestmark = pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel:UserWarning")


@pytest.fixture(scope="module")
def net():
    torch.manual_seed(0)
    common = {
        "group": "RotationScale(1.74)",
        "n": N,
        "stretches": M,
        "padding": "valid",
        "kernel": KernelSpec(hidden=8),
    }
    layers = LiftingConv(1, 2, K, **common), GroupReLU(), SeparableConv(2, 2, K, **common)
    return torch.nn.Sequential(*layers).double().eval()


@pytest.fixture(scope="module")
def source():
    return torch.rand(2, 1, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_pictures_turn_counter_clockwise_exactly_and_grow_about_the_middle(source):
    poses = torch.tensor([[0, 1], [math.pi / 2, 1], [0, 3]], dtype=torch.float64)
    still, turned, large = drawn(source, poses, 15, 5.0)
    assert (turned - still.rot90(1, (-2, -1))).abs().max() <= EXACT[torch.float64]
    assert torch.allclose(large[..., 7::3, 7::3][..., :3, :3], still[..., 7:10, 7:10], rtol=AGAIN, atol=AGAIN)
    assert still[..., 0, 0].abs().max() == 0


def test_errors_are_those_of_a_slow_obvious_loop(net, source):
    angles = (0, 30, 90)
    ds = pose_error({"net": net}, source, 13, 8.0, FACTORS, angles_deg=angles)
    with torch.no_grad():
        upright = net(drawn(source, torch.tensor([[0.0, 1.0]]), 13, 8.0)[0])
        assert upright.values.shape[-2:] == (1, 1)
        for place, angle in enumerate(angles):
            g = torch.tensor([math.radians(angle)], dtype=torch.float64)
            moved = net(drawn(source, torch.tensor([[float(g), 1.0]], dtype=torch.float64), 13, 8.0)[0]).values
            wide = GroupSignal(upright.values.expand(-1, -1, -1, 3, 3), upright.elements, upright.group)
            wanted = transform_signal(wide, g, SO2(), padding="border").values[..., 1:2, 1:2]
            errors = (moved - wanted).flatten(1).norm(dim=1) / wanted.flatten(1).norm(dim=1)
            assert float(ds["error_mean"][0, place]) == pytest.approx(float(errors.mean()), rel=1e-6, abs=1e-12)
            assert float(ds["error_sem"][0, place]) == pytest.approx(float(errors.std() / 2**0.5), rel=1e-6, abs=1e-12)
        step = FACTORS.double()[1]
        before, after = (
            pose_map(upright),
            pose_map(net(drawn(source, torch.tensor([[0.0, float(step)]], dtype=torch.float64), 13, 8.0)[0])),
        )
    one = int(np.abs(ds["factor"].values - float(step)).argmin())
    for kind, rows in (("inside", [1]), ("ends", [0, 2])):
        wanted, found = before[:, :, rows].flatten(1), after[:, :, [row + 1 for row in rows]].flatten(1)
        error = ((found - wanted).norm(dim=1) / wanted.norm(dim=1)).mean()
        assert float(ds[kind][0, one]) == pytest.approx(float(error), rel=1e-5)
    assert ds["lattice"].values.tolist() == [True, False, True]
    assert float(ds["error_mean"].where(ds["lattice"], drop=True).max()) <= EXACT[torch.float64]


def test_which_rows_are_inside_depends_on_the_group_layers(net, source):
    lift, rest = net[0], net[1:]
    alone = pose_error({"lifting": lift}, source, 13, 8.0, FACTORS, angles_deg=(90,))
    behind = pose_error({"net": rest}, source, 13, 8.0, FACTORS, first=lift, angles_deg=(90,), most_steps=2)
    assert np.isfinite(alone["inside"]).all()
    assert np.isnan(alone["ends"]).all()
    assert behind["factor"].values == pytest.approx([1.74 ** (i / 3) for i in (-2, -1, 1, 2)], rel=AGAIN_SINGLE)
    assert np.isfinite(behind["inside"].values[0]).tolist() == [False, True, True, False]
    assert np.isfinite(behind["ends"]).all()
    whole = pose_error({"net": net}, source, 13, 8.0, FACTORS, angles_deg=(90,), most_steps=2)
    np.testing.assert_allclose(whole["ends"], behind["ends"], rtol=AGAIN, atol=0)


def test_the_result_survives_a_file_and_one_picture_has_no_standard_error(net, source, tmp_path):
    ds = pose_error({"net": net}, source[:1], 13, 8.0, FACTORS, angles_deg=(45,))
    save(ds, tmp_path / "poses.nc")
    assert open_dataset(tmp_path / "poses.nc").identical(ds)
    assert float(ds["error_sem"].max()) == 0


def test_other_factors_and_other_answers_are_refused(net, source):
    with pytest.raises(ValueError, match=r"factors \[1.0, 2.0\] were given; those of net are 1, 1.2, 1.45, 1.74"):
        pose_error({"net": net}, source, 13, 8.0, torch.tensor([1.0, 2.0]))
    with pytest.raises(ValueError, match="expected signals over Scale or RotationScale"):
        pose_error({"flat": torch.nn.Identity()}, source, 13, 8.0, FACTORS)
    scales = LiftingConv(1, 1, 15, group="Scale(2,1.74)", n=3)
    with pytest.raises(ValueError, match="expected each of some angles at each of two or more factors"):
        pose_map(scales(torch.rand(1, 1, 15, 15)))
