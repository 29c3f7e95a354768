"""Templates, assets, and the two themes: addresses that follow the content, words escaped, colours readable."""

import re

import pytest

from tests.tolerances import AGAIN, CONTRAST_MARK, CONTRAST_TEXT
from workbench.dashboards.pages import ASSETS, asset, plotly_script, render


def test_the_address_of_an_asset_changes_with_its_content():
    assert re.fullmatch(r"assets/theme\.css\?v=[0-9a-f]{12}", asset("theme.css"))
    assert asset("theme.css") != asset("page.css").replace("page", "theme")
    assert plotly_script().stat().st_size > 1e6


def test_words_are_escaped():
    page = render("login.html", title="<script>alert(1)</script>", wrong=False)
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def themes() -> dict[str, dict[str, str]]:
    """The colours of each theme, read from the style sheet."""
    text = (ASSETS / "theme.css").read_text()
    light, dark = text.split(':root[data-theme="dark"]')
    read = re.compile(r"--wb-([a-z-]+): (#[0-9a-fA-F]{6});").findall
    return {"light": dict(read(light)), "dark": dict(read(dark))}


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first: str, second: str) -> float:
    """Contrast ratio, WCAG 2.2.

    Black on white is 21, a colour on itself 1.
    """
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_the_measure_of_contrast_knows_its_ends():
    assert contrast("#000000", "#ffffff") == pytest.approx(21, rel=AGAIN)
    assert contrast("#777777", "#777777") == 1


TEXT = [(ink, ground) for ink in ("ink", "soft", "accent") for ground in ("page", "card", "sunk", "wash")]
TEXT += [("alarm", "alarm-wash"), ("alarm", "card"), ("accent-ink", "accent")]
MARKS = [("edge", "card"), ("edge", "page"), ("accent", "card"), ("accent", "page")]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("pairs", "least"), [(TEXT, CONTRAST_TEXT), (MARKS, CONTRAST_MARK)])
def test_every_text_and_every_mark_can_be_told_from_its_ground(theme, pairs, least):
    colours = themes()[theme]
    weak = {pair: round(contrast(colours[pair[0]], colours[pair[1]]), 2) for pair in pairs}
    assert not {pair: ratio for pair, ratio in weak.items() if ratio < least}


def test_both_themes_name_the_same_colours():
    named = themes()
    assert set(named["light"]) == set(named["dark"])
