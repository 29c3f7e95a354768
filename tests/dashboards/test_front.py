"""The front page: found by itself, escaped, and light."""

import html
from dataclasses import replace

import pytest
from markupsafe import escape

from tests.dashboards.samples import Dots, Markup
from workbench.dashboards.front import front_page
from workbench.models.method import Claim, Method

METHOD = Method("m", "A <method>", "A. Author", 2022, "2110.10211", "One sentence & more.", "01_m.ipynb")


def test_every_explorer_and_method_has_a_picture_and_a_sentence():
    page = front_page({"dots": Dots}, {"m": METHOD})
    assert 'src="pictures/dots.svg"' in page
    assert Dots.question in page
    assert 'src="pictures/method-m.svg"' in page
    assert html.escape(METHOD.summary) in page
    assert "2110.10211" in page


def test_a_method_with_a_page_of_its_own_leads_there():
    own = front_page({"dots": Dots}, {"dots": Method("dots", "Dots", "A", 2022, "", "S.", "")})
    assert own.count('<a href="dots">') == 3  # the bar, the explorer's card, the method's card
    assert "arxiv.org" not in own


def test_r17_words_are_shown_as_text():
    page = front_page({"markup": Markup}, {"m": METHOD})
    assert str(escape(Markup.title)) in page
    assert "<script>document" not in page
    assert "<img src=x" not in page
    assert "A &lt;method&gt;" in page


def test_nothing_installed_is_said():
    page = front_page({}, {})
    assert "No explorer is installed" in page
    assert "No method is installed" in page


@pytest.mark.parametrize("word", ["http://", "//cdn", "https://fonts"])
def test_the_page_asks_no_other_machine_for_anything(word):
    page = front_page({"dots": Dots}, {"m": METHOD})
    assert f'src="{word}' not in page
    assert f'<link rel="stylesheet" href="{word}' not in page
    assert len(page) < 20_000


def test_n15_the_picture_of_a_method_is_explained_and_says_how_many_claims_it_shows():
    claims = tuple(Claim(f"c{at}", "It works.", "table 1", 1.0, "%", lambda ds: ds, (0, 1), bool) for at in range(9))
    page = front_page({}, {"m": replace(METHOD, claims=claims)})
    assert "showing 6 of 9 claims" in page
    assert "blue dots are our seeds" in page
    assert "claims" not in front_page({}, {"m": METHOD})
