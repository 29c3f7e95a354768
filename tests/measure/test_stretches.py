"""Networks under maps of the plane that stretch: what moves pixels onto pixels, what is compared, what is refused."""

import math

import pytest
import torch

from tests.tolerances import AGAIN, BROKEN, EXACT
from workbench.actions import is_lattice, transform_image
from workbench.groups import SL, SO2, C, GLPlus, GroupSignal, Plane
from workbench.measure import equivariance_error


def stretched(group: SL, *coordinates: float) -> torch.Tensor:
    return group.exp(torch.tensor([[*coordinates, 0.0, 0.0, 0.0, 0.0][: group.chart_dim]], dtype=torch.float64))


def blob(across: float, along: float, size: int = 33) -> torch.Tensor:
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    return torch.exp(-(line**2)[None] / (2 * across**2) - (line**2)[:, None] / (2 * along**2))[None, None]


def test_a_stretch_along_x_makes_a_round_blob_wide_and_flat() -> None:
    group = SL()
    moved = transform_image(blob(3, 3), stretched(group, math.log(1.5))[0], group)
    assert float((moved - blob(4.5, 2)).norm() / moved.norm()) < BROKEN
    assert float((moved - blob(2, 4.5)).norm() / moved.norm()) > 10 * BROKEN  # the twin: the inverse


@pytest.mark.parametrize("group", [SL(), GLPlus()], ids=str)
def test_only_turns_by_whole_quarters_need_no_interpolation(group: SL) -> None:
    """diag(2, 1/2) keeps areas and has the angle 0, and is no lattice element for that."""
    rows = torch.cat([stretched(group), stretched(group, 0, 0, math.pi / 2), stretched(group, math.log(2)),
                      stretched(group, 0, 0, 0.3), stretched(group, 0, 0.2, math.pi)])  # fmt: skip
    assert is_lattice(rows, group).tolist() == [True, True, False, False, False]


def test_the_error_of_a_network_under_stretches_stands_beside_its_floors() -> None:
    x = blob(3, 4).float() * torch.tensor([1.0, 2.0]).view(-1, 1, 1, 1)
    same = equivariance_error(torch.nn.ReLU(), x, SL(), n_elements=7)
    plain = equivariance_error(torch.nn.Conv2d(1, 2, 5, padding=2), x, SL(), n_elements=7)
    middle = int(same["lattice"].values.argmax())
    assert same.stretch.values[middle] == 1
    assert same["lattice"].values.sum() == 1
    assert float(same.stretch.max()) == pytest.approx(2.0, rel=AGAIN)
    away = [e for e in range(same.sizes["transform"]) if e != middle]
    assert float(same.error_mean[0, middle]) <= EXACT[torch.float32]
    assert float(plain.error_mean[0, middle]) <= EXACT[torch.float32]
    assert bool((same.error_mean[0, away] < same.input_floor_mean[away] + EXACT[torch.float32]).all())
    assert float(plain.error_mean[0, away].min()) > BROKEN / 2
    assert {"stretch", "scale", "angle_deg"} <= set(
        equivariance_error(torch.nn.ReLU(), x, GLPlus(), n_elements=3).coords
    )


def test_a_product_with_the_plane_is_measured_too() -> None:
    ds = equivariance_error(torch.nn.ReLU(), blob(3, 3).float(), Plane(SL()), n_elements=3)
    assert ds.stretch.max() == pytest.approx(2.0, rel=AGAIN)


def test_a_signal_on_rotations_is_not_moved_by_a_stretch_and_that_is_said() -> None:
    def lifted(x: torch.Tensor) -> GroupSignal:
        return GroupSignal(x.unsqueeze(2).expand(-1, -1, 4, -1, -1), C(4).grid(), SO2())

    with pytest.raises(ValueError, match="a stretch was given for a signal on SO2; expected rotations"):
        equivariance_error(lifted, blob(3, 3).float(), SL(), n_elements=3)


def test_the_resampler_that_shears_refuses_stretches() -> None:
    with pytest.raises(ValueError, match="a scaling or stretch was given to the resampler 'fourier'"):
        transform_image(blob(3, 3), stretched(SL(), 0.2)[0], SL(), resampler="fourier")
