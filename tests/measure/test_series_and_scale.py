"""The error on 1-D signals, and under scalings with and without rotations: known models and broken twins."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.tolerances import AGAIN, EXACT
from workbench.actions import smooth
from workbench.groups import RotationScale, Scale, Translation
from workbench.measure import check_equivariance, equivariance_error, infer_behaviour

TIGHT = EXACT[torch.float64]
LINE = Translation(dim=1)


def series(length: int = 32, channels: int = 2) -> Tensor:
    return torch.randn(10, channels, length, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def net(mode: str = "circular") -> nn.Sequential:
    torch.manual_seed(0)
    layers = (
        nn.Conv1d(2, 4, 3, padding=1, padding_mode=mode),
        nn.ReLU(),
        nn.Conv1d(4, 3, 3, padding=1, padding_mode=mode),
    )
    return nn.Sequential(*layers).double()


WHOLE = torch.tensor([[0.0], [1.0], [-3.0], [7.0]], dtype=torch.float64)


def test_circular_convolutions_commute_with_circular_shifts_in_every_layer() -> None:
    ds = equivariance_error(net(), series(), LINE, WHOLE, padding="circular", layers="all")
    assert float(ds.error.max()) <= TIGHT
    assert ds.layer.values.tolist() == ["0", "1", "2", "output"]
    assert (ds.attrs["input"], ds.attrs["output"]) == ("series", "series")
    assert ds.shift_samples.values.tolist() == [0, 1, -3, 7]
    assert bool(ds.lattice.all())


def test_borders_break_it_and_leaving_them_out_mends_it() -> None:
    assert float(equivariance_error(net("zeros"), series(), LINE, WHOLE, padding="circular").error.max()) > 0.01
    assert float(equivariance_error(net("zeros"), series(), LINE, WHOLE, margin=2.0).error.max()) <= TIGHT
    assert float(equivariance_error(net("zeros"), series(), LINE, WHOLE, margin=0.0).error.max()) > 0.01


@pytest.mark.parametrize("twin", ["backwards", "position", "stride"])
def test_broken_twins_on_a_line_are_caught(twin: str) -> None:
    models = {
        "backwards": lambda x: net()(x).flip(-1),
        "position": lambda x: net()(x + torch.linspace(0, 1, x.shape[-1]).to(x)),
        "stride": nn.MaxPool1d(2),
    }
    ds = equivariance_error(models[twin], series(), LINE, WHOLE, padding="circular")
    assert float(ds.error.isel(transform=1).min()) > 0.01


def test_shifts_shrink_with_the_stride() -> None:
    even = torch.tensor([[2.0], [-4.0]], dtype=torch.float64)
    ds = equivariance_error(nn.AvgPool1d(2), series(), LINE, even, padding="circular")
    assert float(ds.error.max()) <= TIGHT
    odd = equivariance_error(nn.AvgPool1d(2), series(), LINE, even + 1, padding="circular")
    assert not bool(odd.exact.any())
    assert float(odd.error.min()) > 0.01


def test_a_global_average_is_invariant_and_a_last_sample_is_not() -> None:
    for model, symmetric in ((lambda x: x.mean(-1), True), (lambda x: x[..., -1], False)):
        ds = equivariance_error(model, series(), LINE, WHOLE, padding="circular")
        assert ds.attrs["output"] == "invariant"
        assert (float(ds.error.max()) <= TIGHT) == symmetric


def test_one_number_per_sample_may_be_a_signal() -> None:
    found = infer_behaviour(lambda x: x.sum(1), series(), LINE, padding="circular")
    assert (found.kind, found.confidence > 0.9) == ("series", True)


def test_parts_of_a_sample_have_floors() -> None:
    half = torch.tensor([[0.5]], dtype=torch.float64)
    ds = equivariance_error(nn.Identity(), series(), LINE, half, padding="circular")
    assert float(ds.error.max()) == 0 < float(ds.input_floor.min())
    assert np.array_equal(ds.output_floor.squeeze("layer"), ds.input_floor)
    exact = equivariance_error(nn.Identity(), series(33), LINE, half, padding="circular", resampler="fourier")
    assert float(exact.input_floor.max()) <= 10 * TIGHT  # of odd length every frequency comes back


def test_the_public_checker_takes_signals() -> None:
    check_equivariance(net(), series(), LINE, padding="circular")
    with pytest.raises(AssertionError, match="shift by"):
        check_equivariance(nn.MaxPool1d(2), series(), LINE, padding="circular")


def test_scalings_of_a_line_are_measured_with_floors() -> None:
    x = series(64)
    x = smooth(x.unsqueeze(-2).expand(-1, -1, 9, -1), 3.0)[..., 4, :]
    ds = equivariance_error(torch.tanh, x, Scale(1), n_elements=5)
    assert ds.scale.values.tolist() == pytest.approx([0.5, 2**-0.5, 1, 2**0.5, 2], rel=AGAIN)
    assert ds.lattice.values.tolist() == [False, False, True, False, False]
    assert float(ds.error.isel(transform=2).max()) == 0
    assert float(ds.error.max()) < 0.05
    shifted = equivariance_error(lambda y: torch.tanh(y).roll(3, -1), x, Scale(1), n_elements=5)
    assert shifted.error_mean.isel(transform=4).item() > 5 * ds.error_mean.isel(transform=4).item()


# ---- scalings of pictures


def blobs(size: int = 41) -> Tensor:
    noise = torch.randn(8, 1, size, size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return smooth(noise, 3.0)


def scale_free(x: Tensor) -> Tensor:
    """Pointwise: commutes with every motion of the plane."""
    return torch.tanh(3 * x)


def local(x: Tensor) -> Tensor:
    """The length of the gradient: turns with the picture, but halves where it is twice as large."""
    wide = nn.functional.pad(x, (1, 1, 1, 1), mode="replicate")
    return torch.hypot(wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2], wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1])


@pytest.mark.parametrize("group", [Scale(), RotationScale()], ids=str)
def test_pointwise_models_stay_near_their_floor_under_scalings_and_others_do_not(group) -> None:
    sound = equivariance_error(scale_free, blobs(), group, n_elements=5)
    broken = equivariance_error(local, blobs(), group, n_elements=5)
    scaled = np.abs(sound.scale - 1) > 0.1
    assert float(sound.error_mean.max()) < 0.05
    assert float(broken.error_mean.where(scaled).min()) > 0.2
    assert bool(((sound.input_floor_mean > 0) == ~sound.lattice).all())


def test_what_the_padding_invents_does_not_count() -> None:
    small = torch.tensor([[0.5]], dtype=torch.float64)
    zeros = equivariance_error(lambda x: x + 1, blobs(), Scale(), small, padding="zeros")
    everywhere = equivariance_error(lambda x: x + 1, blobs(), Scale(), small, padding="zeros", mask="none")
    assert float(zeros.error.max()) < 0.01 < 0.1 < float(everywhere.error.max())


def test_a_wrong_centre_is_caught_under_scalings() -> None:
    twice = torch.tensor([[2.0]], dtype=torch.float64)
    ds = equivariance_error(lambda x: scale_free(x).roll(1, -1), blobs(), Scale(), twice)
    sound = equivariance_error(scale_free, blobs(), Scale(), twice)
    assert float(ds.error.min()) > 5 * float(sound.error.max())


def test_default_sweeps_of_turns_and_scalings_say_both() -> None:
    ds = equivariance_error(nn.Identity(), blobs(9), RotationScale(), n_elements=5)
    assert ds.sizes["transform"] == 15
    assert set(ds.scale.values.round(3).tolist()) == {0.707, 1.0, 1.414}
    assert int(ds.lattice.sum()) == 5
    assert float(ds.error.max()) == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"images": series()[0]}, r"expected \(B, C, L\)"),
        ({"group": "SO2", "input": "series"}, "acts on a line"),
        ({"elements": torch.tensor([[40.0]])}, "nothing is left to compare"),
        ({"output": "image"}, "no behaviour|given as image|acts on the plane|for images"),
    ],
)
def test_bad_signals_get_a_sentence(given: dict, sentence: str) -> None:
    arguments = {"model": net(), "images": series(), "group": LINE, "n_elements": 3} | given
    with pytest.raises(ValueError, match=sentence):
        equivariance_error(**arguments)
