"""The front page's pictures: an explorer as it opens, and a method's claims beside the paper's numbers."""

import asyncio
import logging
import xml.etree.ElementTree as ElementTree

import numpy as np
import xarray as xr

from tests.dashboards.samples import Dots
from workbench.dashboards.pictures import claims_picture, explorer_picture
from workbench.models.method import Claim

SVG = "{http://www.w3.org/2000/svg}"


def claim(name: str, says: float | str | None, variable: str = "accuracy") -> Claim:
    band = (90.0, 100.0)
    return Claim(name, "It works.", "table 1", says, "%", lambda ds: ds[variable].values, band, lambda ds: True)


MEASURED = xr.Dataset({"accuracy": ("seed", np.array([91.0, 95.0, np.nan]))})


def rows(picture: str) -> tuple[int, int, int]:
    """How many bands, seeds and marks of the paper are drawn."""
    elements = [element.tag.removeprefix(SVG) for element in ElementTree.fromstring(picture).iter()]
    paths = [e for e in ElementTree.fromstring(picture).iter(SVG + "path") if "v26" in e.get("d")]
    return elements.count("rect"), elements.count("circle"), len(paths)


def test_each_claim_shows_its_band_its_seeds_and_the_number_in_the_paper():
    assert rows(claims_picture((claim("a", 93.0), claim("b", "better")), MEASURED)) == (2, 4, 1)


def test_without_stored_results_bands_and_paper_remain():
    assert rows(claims_picture((claim("a", 93.0),), None)) == (1, 0, 1)


def test_a_claim_that_is_newer_than_the_stored_results_is_shown_without_seeds():
    assert rows(claims_picture((claim("a", 93.0, variable="newer"),), MEASURED)) == (1, 0, 1)


def test_r17_the_name_of_a_claim_is_shown_as_text():
    (word,) = ElementTree.fromstring(claims_picture((claim("<script>x", 93.0),), None)).iter(SVG + "text")
    assert word.text == "<script>x"


def test_an_explorer_is_drawn_as_it_opens():
    picture = asyncio.run(explorer_picture(Dots))
    assert len(list(ElementTree.fromstring(picture).iter(SVG + "path"))) == 1


class Broken(Dots):
    def compute(self):
        raise RuntimeError("no")


def test_an_explorer_that_cannot_be_drawn_leaves_an_empty_picture_and_a_line_in_the_log(caplog):
    with caplog.at_level(logging.ERROR):
        picture = asyncio.run(explorer_picture(Broken))
    assert ElementTree.fromstring(picture).tag == SVG + "svg"
    assert len(caplog.records) == 1
