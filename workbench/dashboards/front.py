"""The front page: a picture and a sentence for every explorer and every method, found by themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from workbench.dashboards.pages import render
from workbench.dashboards.pictures import MOST_CLAIMS
from workbench.explorers import Explorer
from workbench.models.method import Method


@dataclass(frozen=True)
class MethodCard:
    """What the front page says about one paper; `explorer` is the page of its own view, where there is one."""

    name: str
    title: str
    authors: str
    year: int
    arxiv: str
    summary: str
    notebook: str
    explorer: str
    showing: str


def front_page(explorers: Mapping[str, type[Explorer]], methods: Mapping[str, Method]) -> str:
    """The front page as HTML; a new module in workbench.explorers or workbench.models appears by itself."""
    cards = [
        MethodCard(
            method.name,
            method.title,
            method.authors,
            method.year,
            method.arxiv,
            method.summary,
            method.notebook,
            method.name if method.name in explorers else "",
            _showing(len(method.claims)),
        )
        for method in methods.values()
    ]
    found = list(explorers.values())
    return render("front.html", explorers=found, methods=cards, pages=found)


def _showing(claims: int) -> str:
    """How many of a paper's claims its picture has room for."""
    return f"showing {min(claims, MOST_CLAIMS)} of {claims} claims" if claims else ""
