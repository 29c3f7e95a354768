"""The bank's kernels: turned copies, looked-up quarter turns, empty corners, sensible starts."""

import math

import pytest
import torch

from tests.layers.symmetry import relative
from tests.tolerances import BROKEN, EXACT, LOOKED_UP
from workbench.groups import O2, SO2, C, D, parse_group
from workbench.kernels import NETWORKS, KernelBank, KernelSpec, disc_mask
from workbench.kernels.calibration import calibrate, element_counts

DTYPES = (torch.float32, torch.float64)


def bank(group, k=5, lifting=False, **options) -> KernelBank:
    return KernelBank(2, 3, k, parse_group(group), KernelSpec(**{"hidden": 8, **options}), lifting).requires_grad_(
        False
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize(("group", "n_out", "n_in"), [("SO2", 8, 8), ("SO2", 16, 4), ("O2", 8, 16), ("C(4)", 4, 4)])
@pytest.mark.parametrize("lifting", [True, False])
def test_looked_up_quarter_turns_equal_direct_evaluation(group, n_out, n_in, network, dtype, lifting):
    g, offsets = parse_group(group), (0.0, 0.0) if parse_group(group).order else (0.2, 0.7)
    made = bank(group, lifting=lifting, network=network).to(dtype)
    outputs = g.grid(n_out, offsets[0], dtype=dtype)
    inputs = None if lifting else g.grid(n_in, offsets[1], dtype=dtype)
    assert relative(made(outputs, inputs, True), made(outputs, inputs, False)) <= LOOKED_UP[dtype]


def test_looking_up_by_the_wrong_turn_is_seen():
    made, grid = bank("SO2").double(), SO2().grid(8, dtype=torch.float64)
    assert relative(made(grid, grid.roll(2, 0), True), made(grid, grid, False)) > BROKEN


@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("O2", 8)])
def test_rows_are_turned_copies_rolled_along_the_columns(group, n):
    g = parse_group(group)
    grid = g.grid(n, dtype=torch.float64)
    kernels = bank(group).double()(grid, grid).unflatten(-1, (5, 5))
    quarter = 2 if group == "SO2" else 1
    first, turned = kernels[:, 0], kernels[:, quarter]
    rolled = first.roll(2, 2) if group == "SO2" else torch.cat(
        [first[:, :, :4].roll(1, 2), first[:, :, 4:].roll(-1, 2)], 2
    )  # fmt: skip
    assert relative(turned, torch.rot90(rolled, 1, (-2, -1))) <= EXACT[torch.float64]
    assert relative(turned, torch.rot90(rolled, -1, (-2, -1))) > BROKEN
    assert relative(turned, torch.rot90(first, 1, (-2, -1))) > BROKEN


def test_mirrored_kernels_are_flipped_copies():
    grid = O2().grid(8, dtype=torch.float64)
    kernels = bank("O2").double()(grid, grid).unflatten(-1, (5, 5))
    # (0, -1) sends (r, m) to (r, -m): it swaps the halves of the list
    assert relative(kernels[:, 4:], kernels[:, :4].roll(4, 3).flip(-1)) <= EXACT[torch.float64]


def test_kernels_turn_counter_clockwise_with_their_element():
    made = bank("SO2", lifting=True).double()
    angle = torch.tensor([[0.0], [math.pi / 2]], dtype=torch.float64)
    upright, turned = made(angle, None).unflatten(-1, (5, 5))[:, :, :, 0].unbind(1)
    assert relative(turned, torch.rot90(upright, 1, (-2, -1))) <= EXACT[torch.float64]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("lifting", [True, False])
def test_nothing_lies_outside_the_disc(k, lifting):
    grid = SO2().grid(5, 0.3)
    kernels = bank("SO2", k, lifting)(grid, None if lifting else grid)
    assert kernels.shape == (3, 5, 2, 1 if lifting else 5, k * k)
    assert float(kernels[..., ~disc_mask(k)].abs().sum()) == 0
    assert bool((kernels[..., disc_mask(k)] != 0).all())


def test_the_mean_over_inputs_is_part_of_the_bank():
    made, out = bank("SO2").double(), SO2().grid(3, dtype=torch.float64)
    two = SO2().grid(2, dtype=torch.float64)
    doubled = made(out, torch.cat([two, two]))
    assert relative(doubled[..., :2, :] + doubled[..., 2:, :], made(out, two)) <= EXACT[torch.float64]


def test_coordinates_have_as_many_numbers_as_the_group_needs():
    sizes = {
        (group, k, lifting, encoding): bank(group, k, lifting, encoding=encoding).coordinate_dim
        for group in ("SO2", "O2")
        for k in (1, 3)
        for lifting in (True, False)
        for encoding in ("raw", "periodic")
    }
    assert sizes["SO2", 3, True, "raw"] == sizes["O2", 3, True, "periodic"] == 2
    assert (sizes["SO2", 3, False, "raw"], sizes["SO2", 3, False, "periodic"]) == (3, 4)
    assert (sizes["O2", 3, False, "raw"], sizes["O2", 3, False, "periodic"]) == (4, 5)
    assert (sizes["SO2", 1, False, "raw"], sizes["O2", 1, False, "raw"]) == (1, 2)


@pytest.mark.parametrize("n", [16, 24])
def test_rounding_takes_no_angle_across_the_jump_of_the_raw_encoding(n, monkeypatch):
    made = bank("O2", encoding="raw")

    def furthest() -> float:
        """From float32 to float64, over all pairs; the two sides of the jump are 2 apart."""
        near, exact = (O2().grid(n, dtype=dtype) for dtype in DTYPES)
        return float((made.coordinates(near, near) - made.coordinates(exact, exact)).abs().max())

    assert furthest() <= EXACT[torch.float32]
    monkeypatch.setattr("workbench.kernels.coordinates.ROUNDING", 0.0)
    assert furthest() > 1


def test_the_gain_travels_with_the_weights_and_the_taps_do_not():
    assert "gain" in bank("SO2").state_dict()
    assert "taps" not in bank("SO2").state_dict()


@pytest.mark.parametrize("lifting", [True, False])
def test_calibration_undoes_a_scaled_read_out(lifting):
    made = bank("SO2", lifting=lifting)
    before = float(made.gain)
    for parameter in made.network.readout.parameters():
        parameter.mul_(3)
    made.gain.fill_(1)
    assert calibrate(made) == pytest.approx(before / 3, rel=1e-4)


def test_calibration_looks_at_every_count_that_a_group_offers():
    assert element_counts(SO2()) == [1, 2, 4, 8]
    assert element_counts(C(1)) == [1]
    assert element_counts(D(1)) == [2]
    assert element_counts(D(4)) == [2, 4, 8]
    assert all(len(group.grid(n)) == n for group in (C(12), D(6), O2()) for n in element_counts(group))
