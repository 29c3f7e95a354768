"""Kernels as labelled arrays, and their spectra."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN, AGAIN_SINGLE, EXACT
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, LiftingConv, SeparableConv
from workbench.measure import kernels, open_dataset, redundancy, save, spectrum


@pytest.mark.parametrize(("group", "n"), [("SO2", 8), ("C(4)", 4), ("O2", 8)])
def test_every_kernel_is_the_one_the_layer_uses(group: str, n: int) -> None:
    layer = GroupConv(2, 3, 5, group=group, n=n).double().eval()
    ds = kernels(layer)
    grid = layer.group.grid(n, dtype=torch.float64)
    bank = layer.bank(grid, grid, True).detach()
    for out in (0, n - 1):
        for into in (0, 3):
            tile = ds.kernel.isel(g_out=out, g_in=into, channel_out=2, channel_in=1).values
            assert np.allclose(tile, n * bank[2, out, 1, into].view(5, 5), rtol=0, atol=EXACT[torch.float64])
            relative = layer.group.product(layer.group.inverse(grid[out]), grid[into])
            assert float(ds.angle_relative_deg[out, into]) == pytest.approx(float(relative[0].rad2deg()), rel=AGAIN)
    assert ds.attrs["group"] == group
    assert "showing" not in ds.attrs


def test_rows_are_turned_copies_rolled_along_columns() -> None:
    layer = GroupConv(1, 1, 5, n=8).double()
    values = kernels(layer).kernel.values[:, :, 0, 0]
    turned = np.rot90(values, 1, (-2, -1))
    expected = np.roll(np.roll(turned, 2, 0), 2, 1)
    assert np.allclose(values, expected, rtol=0, atol=EXACT[torch.float64])


def test_the_kernel_does_not_depend_on_the_number_of_elements() -> None:
    layer = GroupConv(1, 1, 3, n=8).double()
    few, many = kernels(layer, n=4), kernels(layer, n=16)
    assert np.allclose(few.kernel[1, 2], many.kernel[4, 8], rtol=0, atol=EXACT[torch.float64])
    assert layer.n == 8


def test_a_lifting_layer_has_one_input_element() -> None:
    ds = kernels(LiftingConv(2, 3, 5, n=4))
    assert dict(ds.sizes) == {"g_out": 4, "g_in": 1, "channel_out": 3, "channel_in": 2, "y": 5, "x": 5}
    assert ds.y.values.tolist() == [2, 1, 0, -1, -2]
    assert ds.angle_in_deg.values.tolist() == [0.0]


def test_n15_a_part_of_the_channels_is_said_to_be_one(tmp_path) -> None:
    ds = kernels(GroupConv(4, 5, 3), n=4, channels=2)
    assert ds.attrs["showing"] == "showing 4 of 20 channel pairs"
    assert open_dataset(save(ds, tmp_path / "kernels.nc")).identical(ds)


def test_the_layer_is_left_as_found() -> None:
    layer = GroupConv(2, 2, 3, partial=True).train()
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    first = kernels(layer)
    assert layer.training
    assert all(torch.equal(v, state[k]) for k, v in layer.state_dict().items())
    assert first.identical(kernels(layer))


def test_bad_input_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="offers its kernels"):
        kernels(nn.Conv2d(1, 1, 3))
    with pytest.raises(ValueError, match="positive integer"):
        kernels(GroupConv(1, 1, 3), n=0)
    with pytest.raises(ValueError, match="no 'kernel'"):
        spectrum(kernels(GroupConv(1, 1, 3)).rename(kernel="weights"))


def wave(frequency: float) -> np.ndarray:
    return np.cos(2 * np.pi * frequency * (np.arange(9) - 4))[None] * np.ones((9, 1))


def test_the_spectrum_of_a_wave_stands_at_its_frequency() -> None:
    ds = kernels(GroupConv(1, 1, 9), n=4)
    for frequency in (0.125, 0.25, 0.4):
        filled = ds.assign(kernel=ds.kernel.copy(data=np.broadcast_to(wave(frequency), ds.kernel.shape)))
        measured = spectrum(filled)
        assert float(measured.power.sum()) == pytest.approx(1.0, rel=AGAIN)
        assert float(measured.frequency[int(measured.power.values.argmax())]) == pytest.approx(frequency, abs=0.05)


def test_the_spectrum_agrees_with_a_sum_over_single_kernels() -> None:
    ds = kernels(GroupConv(2, 1, 5), n=4)
    total = np.zeros((64, 64))
    for tile in ds.kernel.values.reshape(-1, 5, 5):
        total += np.abs(np.fft.fft2(tile.astype(float), s=(64, 64))) ** 2
    radius = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.fftfreq(64)[None])
    measured = spectrum(ds)
    half = float(measured.frequency[1] - measured.frequency[0]) / 2
    for frequency, power in zip(measured.frequency.values, measured.power.values, strict=True):
        ring = (radius >= frequency - half) & (radius < frequency + half)
        assert power == pytest.approx(total[ring].sum() / total.sum(), rel=1e-6)


def test_a_low_frequency_network_has_less_power_near_the_grid_limit() -> None:
    shares = []
    for omega0 in (3.0, 30.0):
        torch.manual_seed(0)
        power = spectrum(kernels(GroupConv(4, 4, 7, kernel=KernelSpec(omega0=omega0)))).power
        shares.append(float(power.where(power.frequency > 0.25, drop=True).sum()))
    assert shares[0] < shares[1] / 2


def test_kernels_of_stretched_elements_name_their_angles_and_factors() -> None:
    layer = GroupConv(1, 2, 15, group="RotationScale(1.74)", n=4, stretches=3).double().eval()
    ds, elements = kernels(layer), layer.elements()
    assert dict(ds.sizes)["g_out"] == 12
    assert np.allclose(ds.angle_out_deg, np.tile([0, 90, 180, -90], 3), rtol=AGAIN, atol=AGAIN)
    assert np.allclose(ds.factor_out, np.repeat([1, 1.74**0.5, 1.74], 4), rtol=AGAIN, atol=AGAIN)
    assert np.allclose(ds.factor_in, ds.factor_out, rtol=AGAIN, atol=AGAIN)
    bank = layer.bank(elements, elements, True).detach()
    assert np.allclose(ds.kernel[5, 2, 1, 0], 12 * bank[1, 5, 0, 2].view(15, 15), rtol=0, atol=EXACT[torch.float64])
    one = kernels(GroupConv(1, 1, 15, group="Scale(2,1.74)"))
    assert np.allclose(one.angle_out_deg, 0, rtol=AGAIN, atol=AGAIN)  # a factor is no angle
    assert float(one.factor_out[-1]) == pytest.approx(1.74, rel=AGAIN_SINGLE)
    assert "factor_out" not in kernels(GroupConv(1, 1, 5))


def test_how_much_a_kernel_over_scalings_repeats_itself_is_told_in_the_middle() -> None:
    options = {"group": "RotationScale(1.74)", "n": 4, "stretches": 3}
    assert float(redundancy(SeparableConv(2, 2, 15, **options)).energy[0]) == pytest.approx(1, rel=AGAIN)
    full = redundancy(GroupConv(2, 2, 15, **options))
    assert float(full.energy[0]) < 0.95
    assert int((full.energy > EXACT[torch.float64]).sum()) > 4  # neighbours on both sides
