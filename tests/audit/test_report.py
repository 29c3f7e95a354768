"""The report: whole, offline, escaped, with a table beside every picture."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import torch
from playwright.sync_api import sync_playwright
from torch import nn

from tests.chromium import Chromium, with_profile
from workbench.audit import audit, report_html, write_report
from workbench.commands.browser import find_browser

EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"


@pytest.fixture(scope="module")
def result():
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("<b>one</b> %{x}", nn.Conv2d(1, 4, 3, 2, 1))
    net.add_module(EVIL.replace(".", ""), nn.ReLU())
    net.add_module("end", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)))
    made = audit(net, torch.rand(6, 1, 16, 16), data_samples=0)
    object.__setattr__(made.data, "name", EVIL)
    object.__setattr__(made.model, "name", EVIL)
    return made


@pytest.fixture(scope="module")
def page(result):
    return report_html(result)


class Outline(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))


def outline(page: str) -> list[tuple[str, dict]]:
    reader = Outline()
    reader.feed(re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.S))
    return reader.tags


def test_r17_names_with_markup_are_shown_and_never_obeyed(page):
    tags = outline(page)
    assert not [tag for tag, _ in tags if tag == "img"]
    assert not [attrs for _, attrs in tags if any(name.startswith("on") for name in attrs)]
    for holder in re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S):
        assert "<" not in holder
        assert "onerror" not in json.loads(holder)["layout"].get("title", "")
    figures = " ".join(re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', page, re.S))
    assert "\\u0026lt;b" in figures, "layer names are escaped for plotly as well"


def test_the_answer_comes_first_and_the_headings_are_in_order(page):
    tags = outline(page)
    heads = [int(tag[1]) for tag, _ in tags if re.fullmatch(r"h[1-6]", tag)]
    assert heads[0] == 1
    assert heads.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(heads))
    assert page.index("The answer") < page.index("The numbers") < page.index("How it was measured")
    assert dict(tags)["html"]["lang"] == "en"


def test_n13_every_picture_has_words_and_a_table(page):
    pictures = [attrs for _, attrs in outline(page) if attrs.get("role") == "img"]
    assert len(pictures) == 2
    assert all(len(attrs["aria-label"]) > 60 for attrs in pictures)
    tables = len(re.findall(r"<table>", page))
    assert tables >= len(pictures) + 2
    assert len(re.findall("<caption>", page)) == tables
    assert page.count('scope="col"') > 10


def test_r22_nothing_is_asked_of_another_machine_and_scripts_are_named_by_their_hash(page):
    tags = outline(page)
    assert not [attrs for _, attrs in tags if "src" in attrs or str(attrs.get("href", "#"))[0] != "#"]
    policy = next(attrs["content"] for _, attrs in tags if attrs.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert policy.count("sha256-") == 2
    assert "unsafe-eval" not in policy


def test_only_results_are_reported_and_only_into_folders_that_exist(result, tmp_path):
    with pytest.raises(TypeError, match="expected the result"):
        report_html({"answer": 1})
    with pytest.raises(FileNotFoundError, match="create it first"):
        write_report(result, tmp_path / "absent" / "r.html")


@pytest.mark.slow
@pytest.mark.browser
def test_it_opens_offline_in_both_themes_draws_its_pictures_and_prints(result, tmp_path, artefacts):
    path = write_report(result, tmp_path / "report.html")
    with sync_playwright() as playwright:
        browser = Chromium(with_profile(playwright, find_browser(), tmp_path / "profile"), artefacts)
        for theme in ("light", "dark"):
            browser.page.emulate_media(color_scheme=theme)
            browser.page.goto(path.as_uri())
            browser.page.wait_for_selector("#picture-layers .main-svg")
            browser.screenshot(f"audit_report_{theme}")
        assert browser.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert len(browser.page.pdf()) > 20_000
        browser.assert_clean()
        browser.close()


def test_a_batch_norm_left_in_training_mode_is_named_with_its_fix():
    net = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    net[1].train()
    result = audit(net, torch.rand(4, 1, 16, 16), data_samples=0)
    page = report_html(result)
    assert "a norm left in train()" in page
    assert "call eval() on it, or" in page
    assert "no replacement is known" not in page
    assert not any("came in train() mode" in note for note in result.notes)
    assert net[1].training
    assert "left in train()" not in report_html(audit(net.eval(), torch.rand(4, 1, 16, 16), data_samples=0))
    whole = audit(net.train(), torch.rand(4, 1, 16, 16), "C(4)")
    assert any("In train() its batch norm uses statistics of the batch" in note for note in whole.notes)


class Corner(nn.Module):
    """A key point that stays in the left half of the frame, so that every turn breaks it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = x.sum(1).flatten(1).softmax(-1).view(-1, 16, 16) * torch.linspace(1, 0, 16)
        side = torch.arange(16) + 0.5
        whole = weight.sum((1, 2))
        return torch.stack([(weight.sum(1) * side).sum(1) / whole, (weight.sum(2) * side).sum(1) / whole], -1)[:, None]


def test_the_floor_of_key_points_between_pixels_is_the_input_alone_and_no_pixels_move_onto_pixels():
    result = audit(Corner(), torch.rand(6, 1, 16, 16), output="key points in pixels", data_samples=0)
    page = re.sub(r"<[^>]+>", "|", report_html(result))
    rows = {v.question: page[page.index(v.at, page.index("What was asked")) :][:200] for v in result.verdicts}
    angle = float(re.search(r"[\d.]+", next(v.at for v in result.verdicts if v.question == "rotations"))[0])
    assert angle % 90, "an element between the pixels is the worst one"
    assert re.match(r"[^|]+\|+\s*none of the output, which moves without resampling; input 0\.\d+", rows["rotations"])
    assert re.match(r"[^|]+\|+\s*0 \(pixels move onto pixels\)", rows["quarter turns"])
    told = next(v.sentence for v in result.verdicts if v.question == "rotations")
    assert re.search(r"Resampling alone changes the input by [\d.]+ % there, and its answer not at all\.", told)
