"""The second look: modules are named by the ends of their intervals, and everything says on how many samples it is."""

import re

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from workbench.audit import audit, report_html
from workbench.audit.causes import named_causes
from workbench.audit.evidence import MOST_LOOKED, on_samples, with_evidence
from workbench.audit.questions import PERMUTATIONS, TURNS
from workbench.audit.result import Verdict
from workbench.measure import open_dataset


def shares(means: list[float], lows: list[float], samples: int = 4) -> xr.Dataset:
    """Shares of modules a, b, ... in an error of 1, of which each interval begins there."""
    both = {"mean": means, "low": lows, "high": [2 * mean - low for mean, low in zip(means, lows, strict=True)]}
    values = {f"contribution_{end}": (("layer", "transform"), np.array([row, row]).T) for end, row in both.items()}
    values["whole"] = (("transform",), np.ones(2))
    names = {"layer": [chr(ord("a") + at) for at in range(len(means))]}
    return xr.Dataset(values, names, {"samples": samples, "samples_of": 24})


def fixes(share: float, low: float, low_of_all: float | None = None) -> xr.Dataset:
    """One fix that removes this share of an error of 0.5; its interval, and that of all fixes, begin there."""
    low_of_all = low if low_of_all is None else low_of_all
    row = {"share": share, "share_low": low, "share_high": 1.0, "repaired": True}
    row |= {"module": "a", "rule": "flatten", "fix": "take the mean"}
    alone = {"share_all": share, "share_all_low": low_of_all, "share_all_high": 1.0}
    alone["error_repaired"] = 0.5 * (1 - share)
    attrs = {"samples": 4, "samples_of": 24}
    return xr.Dataset({name: (("finding",), [value]) for name, value in row.items()} | alone, attrs=attrs)


def told(**found: xr.Dataset) -> Verdict:
    broken = Verdict(TURNS, "broken", "It breaks.", "", "", 1.0, 0.9, 1.1, "a turn by 90°", 0.0, "a", 1.0)
    return with_evidence((broken,), found)[0]


def test_a_module_is_named_with_its_interval_and_the_number_of_samples():
    because = told(attribution=shares([0.7, 0.3], [0.5, 0.1])).because
    assert because == (
        "Most of the error at the end comes in at a (70%, 95 % interval 50% to 90%), "
        "b (30%, 95 % interval 10% to 50%), measured on 4 of 24 images."
    )


@pytest.mark.parametrize("low", [0.0, -0.59])
def test_a_module_whose_share_may_be_nothing_is_not_named_as_the_reason(low):
    assert ", b" not in told(attribution=shares([0.7, 0.3], [0.5, low])).because
    because = told(attribution=shares([0.7, 0.05], [low, 0.01])).because
    assert because.startswith("Which module brings it in cannot be told from 4 of 24 images: by its interval")
    assert "comes in at" not in because
    part = told(attribution=shares([0.7, 0.3], [low, 0.1])).because
    assert part.startswith("Part of the error at the end comes in at b (30%")


def test_what_a_fix_removes_has_its_interval_and_the_number_of_samples():
    sure, unsure = (told(fixes=fixes(0.8, low, 0.6)).advice for low in (0.6, -0.1))
    assert "removes 80% (95 % interval 60% to 100%) of the error" in sure
    assert "with 4 of 24 images; most of it at a: take the mean (80%, 95 % interval 60% to 100%)" in sure
    assert "with 4 of 24 images; at which of them most of it cannot be told" in unsure
    none = told(fixes=fixes(0.8, -0.1)).advice
    assert none.startswith("Mending the geometry of 1 layer does not help measurably: ")
    assert "95 % interval -10% to 100%, measured on a copy with 4 of 24 images" in none
    assert "removes" not in none


@pytest.mark.parametrize(
    ("low", "words"),
    [
        (0.1, "taken away, 30% of the error goes (95 % interval 10%"),
        (-0.2, "taking it away does not help measurably (95 % interval -20%"),
    ],
)
def test_what_a_layer_says_of_itself_is_no_reason_where_its_share_may_be_none(low: float, words: str) -> None:
    row = {"share": 0.3, "share_low": low, "share_high": 0.5, "module": "a", "reason": "it sorts", "rule": "recurrence"}
    found = xr.Dataset({name: (("finding",), [value]) for name, value in row.items()}, None, fixes(0, 0).attrs)
    assert f"in a, it sorts: {words} to 50%, 4 of 24 samples)" in named_causes(PERMUTATIONS, found)


@pytest.fixture(scope="module")
def result():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    return audit(net, torch.rand(16, 1, 16, 16), data_samples=0)


def test_n4_every_measure_of_the_second_look_says_on_how_many_samples_it_was_made(result):
    counts = {name: result.more[name].attrs["samples"] for name in ("attribution", "fixes", "Lie derivative")}
    assert counts == {"attribution": MOST_LOOKED, "fixes": MOST_LOOKED, "Lie derivative": 8}
    page = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", report_html(result)))
    attribution = page[page.index("Which module brings the error in") :]
    assert "Measured on 12 of 16 images" in attribution[: attribution.index("An infinitely small rotation")]
    assert "Measured on 8 of 16 images" in attribution[attribution.index("An infinitely small rotation") :]
    assert "What each fix removes was measured on 12 of 16 images" in page
    assert "measured on 12 of 16 images" in result.verdicts[0].because
    assert on_samples(xr.Dataset()) == ""


def test_shares_of_points_say_on_how_many_samples_they_were_measured():
    class Absolute(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.each = nn.Linear(3, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.each(x).relu().sum(1)

    torch.manual_seed(0)
    found = audit(Absolute(), torch.randn(9, 5, 3), kind="points")
    because = next(v.because for v in found.verdicts if v.question == "translations")
    assert re.search(r"of the error goes \(95 % interval -?\d+% to \d+%, 6 of 9 samples\)", because)
    assert "What each fix removes was measured on 6 of 9" in report_html(found)


def test_the_report_names_the_groups_that_lie_beside_it(result, tmp_path):
    page, (file, _) = report_html(result), result.save(tmp_path)
    for name in result.groups():
        assert name in page[page.index("as groups") :]
        assert open_dataset(file, group=name).sizes == result.groups()[name].sizes
