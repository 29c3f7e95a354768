"""Several networks beside each other: the same samples, paired differences, one page."""

import re

import numpy as np
import pytest
import torch
from playwright.sync_api import sync_playwright
from torch import Tensor, nn

from tests.chromium import Chromium, with_profile
from tests.tolerances import AGAIN
from workbench.audit import Comparison, audit, audit_beside, compare
from workbench.audit.compare_report import comparison_html
from workbench.commands.browser import find_browser
from workbench.measure import open_dataset

MARKUP = "<b>one</b>"


def mean() -> nn.Module:
    return nn.Sequential(nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1, 3))


def plain(width: int = 4) -> nn.Module:
    torch.manual_seed(3)
    layers = [nn.Conv2d(1, width, 3, 2, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 3)]
    return nn.Sequential(*layers)


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(10, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def found(images) -> Comparison:
    return audit_beside([mean(), plain(), plain()], images, data_samples=0, names=["mean", MARKUP, "again"])


def test_a_symmetric_network_and_a_plain_one_differ_and_a_twin_does_not(found):
    assert [verdict.level for verdict in found.results[0].verdicts][:2] == ["exact", "exact"]
    apart = {(one.question, one.name): one for one in found.differences}
    turns = apart["quarter turns", MARKUP]
    assert turns.first < 1e-5 < turns.low < turns.mean < turns.high
    assert turns.mean == pytest.approx(turns.other - turns.first, rel=AGAIN)
    assert f"{MARKUP} errs more" in found.answer
    twins = compare(found.results[1:], ["a", "b"])
    assert {one.mean for one in twins.differences} == {0.0}
    assert "none can be told" in twins.answer


def test_the_difference_is_paired_and_narrower_than_the_two_intervals_together(images):
    net = plain()

    class Less(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = net

        def forward(self, x: Tensor) -> Tensor:
            return self.net(x) + 0.02 * x.mean((1, 2, 3))[:, None]

    made = audit_beside([net, Less()], images, "C(4)")
    one = made.differences[0]
    errors = [result.verdicts[0] for result in made.results]
    apart = [r.sweeps["C(4)"].sel(layer="output").relative_error.values[1:].mean(0) for r in made.results]
    assert one.mean == pytest.approx((apart[1] - apart[0]).mean(), rel=AGAIN)
    assert one.high - one.low < sum(e.high - e.low for e in errors) / 2


def test_all_numbers_are_one_labelled_dataset_and_every_network_keeps_its_report(found, tmp_path):
    dataset, report = found.save(tmp_path)
    stored = open_dataset(dataset)
    assert stored.identical(found.to_dataset())
    assert stored.model.values.tolist() == ["mean", MARKUP, "again"]
    assert set(stored.question.values) == {"quarter turns", "flips", "rotations", "shifts"}
    assert np.array_equal(stored.difference.values[0], np.zeros(stored.sizes["transform"]))
    assert {"angle_deg", "shift_x_px", "lattice"} <= set(stored.coords)
    assert report.name == "report.html"
    assert all((tmp_path / f"network-{at}" / "report.html").is_file() for at in (1, 2, 3))


def test_r17_the_page_has_both_curves_on_one_axis_escaped_with_words_and_a_table(found):
    page = comparison_html(found)
    assert MARKUP not in re.sub(r"<script.*?</script>", "", page, flags=re.S)
    assert "The verdicts side by side" in page
    assert page.count('role="img"') == 1
    assert page.count("<table>") == page.count("<caption>") >= 3
    figure = next(iter(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S)))
    for name in ("mean", "again", "\\u0026lt;b\\u0026gt;one"):
        assert name in figure
    assert "<" not in figure
    assert not re.search(r'\s(src|href)="(?!#)', re.sub(r"<script.*?</script>", "", page, flags=re.S))


def test_points_are_compared_too(tmp_path):
    def near(x: Tensor) -> Tensor:
        return torch.cdist(x, x).mean((1, 2))[:, None]

    def there(x: Tensor) -> Tensor:
        return x.square().sum((1, 2))[:, None]

    torch.manual_seed(0)
    made = audit_beside([near, there], torch.randn(8, 5, 3), folder=tmp_path)
    levels = [{v.question: v.level for v in result.verdicts} for result in made.results]
    assert set(levels[0].values()) == {"exact"}
    assert levels[1]["translations"] == "broken"
    assert levels[1]["rotations of the points"] == "exact"
    assert [one.name for one in made.differences if one.low > 0] == ["there"]
    assert {path.parts[len(tmp_path.parts)] for path in tmp_path.rglob("part-*.nc")} == {"network-1", "network-2"}


def test_as_many_samples_as_the_largest_can_afford(images, monkeypatch):
    monkeypatch.setattr("workbench.audit.plan.BUDGET", 110 * 8 * float(4 * 9 * 64 + 12))
    made = audit_beside([mean(), plain()], images, "C(4)")
    assert [len(result.data.inputs) for result in made.results] == [8, 8]


def test_what_cannot_be_compared_gets_one_sentence(images, found):
    other = audit(plain(), images.flip(0), "C(4)")
    mine = audit(plain(), images, "C(4)")
    with pytest.raises(ValueError, match="audited on other samples"):
        compare([mine, other])
    with pytest.raises(ValueError, match="nothing in common"):
        compare([mine, audit(plain(), images, "D(4)")])
    with pytest.raises(ValueError, match="1 result was given"):
        compare([mine])
    with pytest.raises(ValueError, match="2 names were given for 3"):
        compare(found.results, ["a", "b"])
    with pytest.raises(TypeError, match="something else than results"):
        compare([mine, "report.html"])
    with pytest.raises(ValueError, match="1 network was given"):
        audit_beside([plain()], images)


@pytest.mark.slow
@pytest.mark.browser
def test_the_page_and_that_of_points_open_offline_and_draw(found, tmp_path, artefacts):
    torch.manual_seed(0)
    points = audit(nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Flatten()), torch.randn(6, 5, 3))
    pages = {"comparison": found.save(tmp_path / "a")[1], "points": points.save(tmp_path / "b")[1]}
    with sync_playwright() as playwright:
        browser = Chromium(with_profile(playwright, find_browser(), tmp_path / "profile"), artefacts)
        for name, path in pages.items():
            browser.page.goto(path.as_uri())
            browser.page.wait_for_selector("#picture-orbit .main-svg, #picture-orbit-0 .main-svg")
            browser.screenshot(f"audit_{name}")
            assert browser.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        browser.assert_clean()
        browser.close()
