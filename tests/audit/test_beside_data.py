"""Data and network beside each other: what is told where one, both or neither has a symmetry."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.audit import AuditResult, audit, report_html
from workbench.audit.beside_data import side_by_side
from workbench.audit.data_look import data_look
from workbench.audit.questions import FLIPS


def pictures(symmetric: bool, shape: tuple[int, int] = (16, 16)) -> Tensor:
    """Blurred noise, bright on the left; its mirror images mixed in where it is to be symmetric."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(64, 1, 4, 4, generator=generator) + torch.linspace(2, 0, 4)
    x = nn.functional.interpolate(coarse, size=shape, mode="bicubic")
    return torch.cat([x, x.flip(-1)])[torch.randperm(128, generator=generator)] if symmetric else x


class Symmetric(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x.mean((1, 2, 3)), x.square().mean((1, 2, 3))], 1)


class Left(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[..., :8].mean((1, 2, 3)), x.square().mean((1, 2, 3))], 1)


def told(result: AuditResult) -> str:
    return next(pair.sentence for pair in result.beside_data if pair.words == "a left-right flip")


@pytest.mark.parametrize(
    ("symmetric", "net", "words"),
    [
        (True, Symmetric(), "your network has none either"),
        (True, Left(), "worth mending"),
        (False, Symmetric(), "does not tell the two apart"),
        (False, Left(), "may be as it should be"),
    ],
)
def test_what_the_two_together_mean(symmetric: bool, net: nn.Module, words: str) -> None:
    result = audit(net, pictures(symmetric))
    assert words in told(result)
    assert told(result) in result.answer
    assert told(result)[1:] in report_html(result)


def test_an_answer_that_moves_along_is_not_held_against_the_data() -> None:
    assert audit(nn.AvgPool2d(2), pictures(False)).beside_data == []


@pytest.mark.parametrize(("net", "words"), [(Left(), "answers otherwise by"), (Symmetric(), "your network has none")])
def test_too_few_pictures_say_nothing_of_finite_symmetries(net: nn.Module, words: str) -> None:
    few = audit(net, pictures(False)[:4])
    assert all(np.isfinite(pair.p_value) for pair in few.beside_data)
    assert "your pictures are too few to tell whether they differ (p = 1); your network" in told(few)
    assert words in told(few)
    assert "worth mending" not in few.answer
    assert audit(net, pictures(False), data_samples=0).beside_data == []


@pytest.mark.parametrize(("needed", "count", "few"), [(90, 30, True), (900, 30, False), (np.inf, 30, False),
                                                      (np.inf, 19, True)])  # fmt: skip
def test_a_difference_that_few_more_pictures_would_show_is_not_ruled_out(needed: float, count: int, few: bool) -> None:
    per = ("class", "question")
    values = {"element_p_holm": 0.2, "element_rejected": False, "element_needed": needed, "element_distance": 0.1}
    data = xr.Dataset({name: (per, [[value]]) for name, value in values.items()}, {"question": ["left-right"]})
    sweep = xr.Dataset({"error_mean": (("layer", "transform"), [[0.5]])}, {"layer": ["output"]})
    sweep = sweep.assign_coords(angle_deg=("transform", [0.0])).assign_attrs(output="invariant")
    (pair,) = side_by_side(data.assign(pictures=("class", [count])), {FLIPS: sweep}, 1e-5, 1.0)
    assert ("too few to tell" in pair.sentence) == few
    assert ("worth mending" in pair.sentence) != few


def test_oblong_pictures_keep_their_shape_when_the_data_are_asked() -> None:
    ds = data_look(pictures(True, (40, 20)), 0)
    assert "C4" not in ds.question.values.tolist()
    result = audit(Symmetric(), pictures(True, (40, 20)))
    assert {pair.words for pair in result.beside_data} >= {"a left-right flip", "half turns"}
