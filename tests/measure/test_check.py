"""The public checker: what it passes, what it finds, what it refuses to call a check."""

import math

import pytest
import torch
from torch import nn

from tests.measure.toys import LiftC4, c4_net
from tests.tolerances import CHECK_PASSES, EXACT
from workbench.groups import C, Plane, Translation
from workbench.measure import check_equivariance, lattice_elements


def images(size: int = 17) -> torch.Tensor:
    return torch.rand(4, 1, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("size", [16, 17])
def test_a_sound_network_passes_in_every_layer(dtype, size: int) -> None:
    ds = check_equivariance(c4_net().to(dtype), images(size), "SO2")
    assert float(ds.error.max()) <= EXACT[dtype]
    assert ds.sizes["layer"] == 8
    assert ds.attrs["created_by"] == "check_equivariance"


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_g3_a_filter_perturbed_by_a_thousandth_is_found_in_few_passes(dtype) -> None:
    model = c4_net(perturbed=1e-3).to(dtype)
    passes: list[int] = []
    model.register_forward_pre_hook(lambda _, given: passes.append(len(given[0])))
    with pytest.raises(AssertionError) as caught:
        check_equivariance(model, images(), "C(4)")
    assert len(passes) <= CHECK_PASSES
    message = str(caught.value)
    assert "first layer that breaks it is '2'" in message
    assert "degrees" in message
    assert "absolute" in message


def test_the_worst_element_is_named() -> None:
    def breaks_at_half_turn(x: torch.Tensor) -> torch.Tensor:
        # odd under the half turn: equal for x and its quarter turns only up to sign
        return (x - x.flip(-1, -2)).square().mean((1, 2, 3)).unsqueeze(1) + x[:, 0, :1, 0] * 0

    check_equivariance(breaks_at_half_turn, images(), C(2))
    with pytest.raises(AssertionError, match="rotation by 90 degrees"):
        check_equivariance(
            nn.Conv2d(1, 1, 3, padding=1), images(), "SO2", torch.tensor([[0.0], [math.pi / 2]]).double()
        )


def test_translations_need_circular_padding() -> None:
    wrapped = nn.Conv2d(1, 2, 3, padding=1, padding_mode="circular")
    check_equivariance(wrapped, images(), Translation(), padding="circular")
    with pytest.raises(AssertionError, match="shift by"):
        check_equivariance(nn.Conv2d(1, 2, 3, padding=1), images(), Translation(), padding="circular")


def test_off_lattice_elements_need_a_stated_tolerance() -> None:
    elements = torch.tensor([[0.3]])
    with pytest.raises(ValueError, match="tolerance"):
        check_equivariance(LiftC4(1, 2), images(), "SO2", elements)
    check_equivariance(nn.Identity(), images(), "SO2", elements, tolerance=1e-6, mask="disc")


def test_a_check_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="without that symmetry"):
        check_equivariance(nn.Identity(), torch.ones(2, 1, 8, 8), "C(4)")
    with pytest.raises(ValueError, match="zeros"):
        check_equivariance(lambda x: x * 0, images(), "C(4)")


def test_nan_outputs_fail() -> None:
    with pytest.raises(AssertionError, match="not equivariant"):
        check_equivariance(lambda x: x / 0 - x / 0, images(), "C(4)")


def test_lattice_elements_of_an_oblong_image_leave_out_quarter_turns() -> None:
    assert len(lattice_elements(C(4), (6, 6))) == 4
    assert len(lattice_elements(C(4), (6, 8))) == 2
    assert len(lattice_elements(C(3), (6, 6))) == 1
    assert len(lattice_elements(Plane(C(4)), (6, 6))) == 4
