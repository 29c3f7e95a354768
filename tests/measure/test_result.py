"""What models give back: several parts, nothing finite, chance, absurd sizes; each gets its sentence or its number."""

import math
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tests.measure.toys import Nosy, c4_net
from tests.tolerances import EXACT
from workbench.groups import C
from workbench.measure import equivariance_error
from workbench.measure.result import selected
from workbench.measure.sweep import REPEATS, NotFinite

ERROR = dict(n_elements=5)


@dataclass
class Fields:
    """An answer whose parts have names."""

    loss: Tensor | None
    logits: object


def images(count: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize(
    ("wrap", "select"),
    [
        (lambda y: {"logits": y, "other": 3}, "logits"),
        (lambda y: (3, y), 1),
        (lambda y: [y], 0),
        (lambda y: SimpleNamespace(logits=y), "logits"),
        (lambda y: {"deep": [y]}, lambda result: result["deep"][0]),
    ],
)
def test_one_part_of_several_is_chosen(wrap, select) -> None:
    net = c4_net().double()
    expected = equivariance_error(net, images(), "C(4)")
    ds = equivariance_error(lambda x: wrap(net(x)), images(), "C(4)", select=select)
    assert np.array_equal(ds.error, expected.error)


@pytest.mark.parametrize(
    ("result", "select", "sentence"),
    [
        ({"logits": 1, "mask": 2}, None, "a dict with the keys 'logits', 'mask'; .* select='logits'"),
        ((torch.zeros(2, 3), None), None, r"a tuple of 2 parts \(\(2, 3\), NoneType\), numbered from 0"),
        ({"logits": 1}, "classes", "select = 'classes' was given for a dict with the keys 'logits'"),
        ([1], 7, "select = 7 was given for a list of 1 parts"),
        (torch.zeros(2), "logits", "select = 'logits' was given for a Tensor, which has no such part; leave it out"),
        (torch.zeros(2, 3, 4), "logits", "select = 'logits' was given for a Tensor, which has no such part"),
        (Fields(None, torch.zeros(2)), None, "a Fields with the fields 'loss', 'logits'; .* select='logits'"),
        (Fields(None, (1, torch.zeros(2))), None, "a Fields .* select='logits.1'"),
        (
            Fields(None, torch.zeros(2)),
            "scores",
            "given for a Fields with the fields .* one of these, such as 'logits'",
        ),
        (SimpleNamespace(a=1, b=torch.zeros(2)), None, "a SimpleNamespace with the fields 'a', 'b'; .* select='b'"),
        ({}, None, "the keys none"),
    ],
)
def test_what_cannot_be_chosen_gets_a_sentence_that_names_the_parts(result, select, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        selected(result, select)


def test_nan_outputs_get_a_sentence_with_the_first_bad_input() -> None:
    def breaks(x: Tensor) -> Tensor:
        y = x.mean((1, 2, 3))
        return torch.where(torch.arange(len(y)) == 1, y / 0, y).unsqueeze(1)

    with pytest.raises(NotFinite, match="1 of 3 inputs, the first is number 1"):
        equivariance_error(breaks, images(), "C(4)")
    with pytest.raises(NotFinite, match="3 of 3"):
        equivariance_error(lambda x: x * math.nan, images(), "C(4)")


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (lambda x: x.mean((2, 3)) > 0.5, "bool"),
        (lambda x: torch.complex(x, x), "complex"),
        (lambda x: x.sum(), "for 3 images"),
        (lambda x: None, "NoneType"),
        (lambda x: x[:, :, :0], "shape"),
        (lambda x: (x[:, 0] * 9000).long(), "expected labels from 0 to 4095"),
        (lambda x: x.unsqueeze(-1), "no behaviour is known"),
    ],
)
def test_outputs_of_other_kinds_get_a_sentence(model, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        equivariance_error(model, images(), "C(4)")


@pytest.mark.parametrize("output", ["vector field", "boxes", "series", "irreps 1x1o", "group signal"])
def test_an_output_that_its_declaration_does_not_fit_gets_a_sentence(output: str) -> None:
    with pytest.raises(ValueError, match="expected|declare another"):
        equivariance_error(lambda x: x.mean((2, 3)).repeat(1, 3), images(), "C(4)", output=output)


def test_an_immense_picture_is_refused_before_it_costs_anything() -> None:
    x = torch.zeros(1, 1, 1, 1).expand(1, 1, 10_000, 10_000)
    with pytest.raises(ValueError, match="4096 x 4096 pixels"):
        equivariance_error(nn.Identity(), x, "SO2")


def test_large_pictures_go_through_in_smaller_batches(monkeypatch) -> None:
    sizes: list[int] = []

    def count(x: Tensor) -> Tensor:
        sizes.append(len(x))
        return x.mean((2, 3))

    whole = equivariance_error(count, images(6), "C(4)")
    assert max(sizes) == 24
    monkeypatch.setattr("workbench.measure.sweep.LARGEST_SAMPLE", 2 * 64)
    sizes.clear()
    part = equivariance_error(count, images(6), "C(4)")
    assert max(sizes) == 2
    assert np.allclose(whole.error, part.error, rtol=0, atol=EXACT[torch.float64])


def test_a_model_without_weights_gets_a_sentence() -> None:
    with pytest.raises(ValueError, match="'meta'"):
        equivariance_error(nn.Conv2d(1, 1, 3, device="meta"), images(), "C(4)")


def test_one_sample_is_measured_without_an_interval() -> None:
    ds = equivariance_error(c4_net(), images(1), "C(4)")
    assert ds.sizes["sample"] == 1
    assert bool(np.isnan(ds.error_low).all())
    assert bool(np.isfinite(ds.error_mean).all())


# ---- models with chance in them


def noisy(x: Tensor) -> Tensor:
    return x.mean((2, 3)) + 0.1 * torch.randn(len(x), 1).to(x)


class OwnGenerator(nn.Module):
    """Draws from a generator that nobody else sees."""

    def __init__(self) -> None:
        super().__init__()
        self.chance = torch.Generator().manual_seed(0)

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) + 0.1 * torch.randn(len(x), 1, generator=self.chance).to(x)


@pytest.mark.parametrize("elements", [None, torch.tensor([[math.pi]])], ids=["with the identity", "without"])
@pytest.mark.parametrize("model", [noisy, OwnGenerator()], ids=["global", "own"])
def test_chance_is_found_and_averaged(model, elements) -> None:
    ds = equivariance_error(model, images(8), "C(2)", elements)
    assert ds.attrs["stochastic"] > 0
    assert ds.attrs["repeats"] == REPEATS
    once = equivariance_error(model, images(8), "C(2)", elements, repeats=1)
    assert once.attrs["repeats"] == 1
    assert float(ds.error_mean.mean()) < float(once.error_mean.mean())


def test_the_average_tends_to_the_symmetric_part() -> None:
    errors = [float(equivariance_error(noisy, images(16), "C(2)", repeats=n).error_mean.mean()) for n in (4, 64)]
    assert 2.5 < errors[0] / errors[1] < 6.5  # a quarter, within chance


@pytest.mark.parametrize("repeats", [4, 32])
def test_what_chance_alone_makes_stands_beside_the_error(repeats) -> None:
    """Where the model's mean does not change, the error is all noise; the twin's changes by much more."""
    x = images(64)
    ds = equivariance_error(noisy, x, "C(2)", repeats=repeats)
    assert 0.8 < float(ds.error_mean[0, 1] / ds.noise_floor_mean[0, 1]) < 1.25
    twin = equivariance_error(lambda x: noisy(x) + 2 * x[:, :, :2].mean((2, 3)), x, "C(2)", repeats=repeats)
    assert float(twin.error_mean[0, 1]) > 1.5 * float(twin.noise_floor_mean[0, 1])
    assert "noise_floor" not in equivariance_error(c4_net(), images(), "C(4)")


def test_chance_is_refused_on_request() -> None:
    with pytest.raises(ValueError, match="changes by .* between two runs of the same input"):
        equivariance_error(noisy, images(), "C(4)", stochastic="refuse")
    equivariance_error(c4_net(), images(), "C(4)", stochastic="refuse")
    with pytest.raises(ValueError, match="'average'"):
        equivariance_error(c4_net(), images(), "C(4)", stochastic="ignore")


def test_a_model_that_draws_without_using_it_is_deterministic() -> None:
    ds = equivariance_error(Nosy().double(), images(), "C(4)", layers="all")
    assert (ds.attrs["stochastic"], ds.attrs["repeats"]) == (0.0, 1)


def test_a_deterministic_model_runs_no_more_often_than_it_must() -> None:
    calls: list[int] = []

    def count(x: Tensor) -> Tensor:
        calls.append(len(x))
        return x.mean((2, 3))

    equivariance_error(count, images(3), C(4))
    assert calls == [3, 12]


def test_averaged_layers_and_signals_are_watched_too() -> None:
    class Dropped(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return nn.functional.dropout(x, 0.2, training=True)

    net = nn.Sequential(nn.Conv2d(1, 2, 1), Dropped(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    ds = equivariance_error(net, images(), "C(4)", layers="all")
    assert ds.layer.values.tolist() == ["0", "1", "2", "3", "output"]
    assert float(ds.error.sel(layer="0").max()) <= EXACT[torch.float64] < float(ds.error.sel(layer="1").min())


@pytest.mark.parametrize("repeats", [0, -1, 1.5, True])
def test_runs_that_cannot_be_get_a_sentence(repeats) -> None:
    with pytest.raises(ValueError, match="repeats = .* positive number of runs"):
        equivariance_error(noisy, images(), "C(4)", repeats=repeats)
