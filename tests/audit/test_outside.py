"""Reasons found from outside: what each kind of fault shows, and what a program that knows one size says."""

import warnings

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit import audit, load_model, report_html
from workbench.audit.outside import outside_look, told_from_outside
from workbench.measure import open_dataset

AROUND = {"padding": 1, "padding_mode": "circular"}


def images(side: int = 32) -> Tensor:
    coarse = torch.rand(6, 1, side // 2, side // 2, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")


def pooled(*layers: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    for layer in layers:
        if isinstance(layer, nn.Conv2d):
            layer.reset_parameters()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()


def strided(stride: int) -> nn.Sequential:
    return pooled(nn.Conv2d(1, 8, 3, stride, **AROUND), nn.ReLU(), nn.Conv2d(8, 4, 3, **AROUND), nn.ReLU())


def framed() -> nn.Sequential:
    return pooled(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 3, padding=1), nn.ReLU())


def placed() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, **AROUND), nn.Tanh(), nn.Flatten(), nn.Linear(4096, 3)).eval()


def told(net: nn.Module, output: str = "invariant") -> tuple[str, str]:
    return told_from_outside(outside_look(lambda x: net(x), images(), output))


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_a_stride_is_told_from_the_shifts_that_are_followed(stride):
    net = strided(stride)
    ds = outside_look(lambda x: net(x), images(), "invariant")
    assert ds.attrs["stride"] == stride
    why, mend = told_from_outside(ds)
    told = f"of 2, 4 and 8 px, {stride} is the smallest stride that helps: shifts by its multiples change it"
    assert (told in why) == (stride > 1)
    assert (f"in steps of {stride} or more" in mend) == (stride > 1)
    assert "padding" not in mend


def test_padding_is_told_by_laying_the_content_across_the_frame():
    why, mend = told(framed())
    assert "100% of that is what stands at the frame (padding), 95 % interval" in why
    assert "stride that helps" not in why
    assert "pad circularly" in mend


def test_padding_that_may_make_none_of_it_is_not_blamed():
    error = np.full((2, 4), 0.2)
    across = {"across": ("sample", [0.3, 0.1, 0.5, 0.1]), "middle": ("sample", [0.1, 0.3, 0.1, 0.3])}
    attrs = {"stride": 1, "stride_share": 0.0, "step": 1, "seed": 0, "quiet_px": 5, "beyond_blank": 0}
    look = xr.Dataset({"error": (("shift", "sample"), error), **across}, {"shift": [1, 2]}, attrs)
    why, mend = told_from_outside(look)
    assert "it is not measurably the padding, 95 % interval of its share -" in why
    assert "pad circularly" not in mend


def test_a_weight_for_each_place_is_neither():
    why, mend = told(placed())
    assert "it is not the padding; nor steps, so each place has a weight of its own" in why
    assert "flattening" in why
    assert "take the mean over the places" in mend


def test_maps_are_told_by_the_shifts_that_need_no_resampling():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2, **AROUND), nn.ReLU(), nn.Upsample(scale_factor=2)).eval()
    ds = outside_look(lambda x: net(x), images(), "image")
    assert ds.attrs["stride"] == 2
    coarse = outside_look(lambda x: net[:1](x), images(), "image")
    assert np.isnan(coarse["error"].sel(shift=1)).all()
    assert np.isfinite(coarse["error"].sel(shift=2)).all()


def test_a_network_that_follows_round_the_frame_says_so():
    why, _ = told(pooled(nn.Conv2d(1, 4, 3, **AROUND), nn.ReLU()))
    assert "it follows every shift as long as nothing enters or leaves" in why


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Programs of free and of fixed size."""
    folder = tmp_path_factory.mktemp("programs")
    net = pooled(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1), nn.ReLU())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(net, images(16)[:2]), folder / "free.pt")
        torch.export.save(torch.export.export(net, (images(16)[:2],)), folder / "fixed.pt2")
    return folder


def test_a_program_gets_reasons_that_are_measured_and_kept(saved, tmp_path):
    result = audit(load_model(saved / "free.pt"), images(16), data_samples=0)
    shifts = next(verdict for verdict in result.verdicts if verdict.question == "shifts")
    assert shifts.because.startswith(
        "Measured from outside on 6 images, content kept 5 px off the frame: of 2, 4 and 8 px,"
    )
    assert "audit the Python module behind it" in shifts.because
    assert "No reason was measured" not in result.answer
    size = result.remedies.remedy.values.tolist()
    assert size in (["input of 17 x 17"], ["input of 15 x 15"])
    assert float(result.remedies.after[0]) < float(result.remedies.before[0])
    stored = open_dataset(result.save(tmp_path)[0], group="from outside")
    assert {"error", "across", "middle"} <= set(stored.variables)
    page = report_html(result)
    assert "What can be found from outside is told with the shifts" in page


def test_a_program_of_one_size_says_that_no_other_could_be_tried(saved):
    result = audit(load_model(saved / "fixed.pt2"), images(16), data_samples=0)
    assert not result.remedies.sizes["remedy"]
    assert any("the program takes 16 x 16 pixels alone" in note for note in result.notes)


def test_oblong_images_are_said_not_to_have_quarter_turns():
    net = framed()
    result = audit(lambda x: net(x), images(32)[..., :24], data_samples=0)
    assert any("Images of 32 x 24 are not square" in note for note in result.notes)
    assert "Measured from outside" in result.answer
