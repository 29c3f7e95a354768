"""What every explorer that ships keeps, on the stored runs and results that ship with it."""

import json
import re

import numpy as np
import plotly.graph_objects as go
import pytest

from tests.explorers import promises
from workbench.explorers import explorers
from workbench.explorers._explorer import OWN
from workbench.measure.dataset import validate
from workbench.views.frame import PROVENANCE

SHIPPED = explorers()
PICTURED = [slug for slug, cls in SHIPPED.items() if "image" in cls.accepts]
every = pytest.mark.parametrize("slug", SHIPPED)


@pytest.fixture(scope="module")
def opened():
    """One explorer of each kind as it opens; heavy ones at their coarse result, as while a slider moves."""
    made = {slug: cls() for slug, cls in SHIPPED.items()}
    return {slug: one.at(coarse=one.heavy) for slug, one in made.items()}


def another(explorer):
    """A state in which every control stands elsewhere, as far as it can."""
    state = explorer.state()
    for control in explorer.controls():
        if control.kind == "switch":
            state[control.name] = not state[control.name]
        elif control.kind == "choice":
            state[control.name] = control.options[-1][1]
        else:
            low, high = control.bounds
            middle = low + (high - low) / 4
            state[control.name] = round(middle) if control.kind == "int" else round(middle, 1)
    return state


@every
def test_it_explains_itself(opened, slug):
    promises.explains_itself(opened[slug])


@every
def test_n5_its_dataset_says_where_it_comes_from_and_its_figure_builds(opened, slug):
    ds = validate(opened[slug].dataset(), {}, PROVENANCE)
    assert ds.attrs["explorer"] == slug
    figure = go.Figure(opened[slug].figure_dict())
    assert len(figure.data) > 0
    assert all(getattr(axis.title, "text", None) is not None for axis in figure.select_xaxes() if axis.visible is None)


@every
def test_its_permalink_leads_back_from_any_state(slug):
    cls = SHIPPED[slug]
    for state in ({}, another(cls())):
        explorer = cls(**state)
        again = cls.from_permalink(explorer.permalink())
        assert again.state() == explorer.state()
        assert again.permalink() == explorer.permalink()


@every
def test_n14_the_code_it_prints_runs_and_gives_the_same_state(slug):
    explorer = SHIPPED[slug](**another(SHIPPED[slug]()))
    built = re.sub(r"\n(dataset|figure) = .*", "", explorer.code())  # what they give is each explorer's own test
    assert built.count("\n") < explorer.code().count("\n")
    names = {}
    exec(built, names)
    assert type(names["explorer"]) is type(explorer)
    assert names["explorer"].state() == explorer.state()


@every
def test_r19_bad_values_are_refused_with_a_sentence_and_change_nothing(opened, slug):
    explorer = SHIPPED[slug]()
    before = explorer.state()
    for control in explorer.controls():
        bad = {"switch": "perhaps", "choice": "no such choice"}.get(control.kind, float("nan"))
        for given in (bad, None, 10**30):
            with pytest.raises(ValueError, match=r"was given, but .* expected; use"):
                explorer.set(**{control.name: given})
        with pytest.raises(ValueError, match="was given"):
            SHIPPED[slug].from_permalink(f"?{control.name}=%00")
    for query in ("?nobody=1", "?a", "?" + "a" * 3000):
        with pytest.raises(ValueError, match="given"):
            SHIPPED[slug].from_permalink(query)
    assert explorer.state() == before


@every
def test_r8_without_a_kernel_there_are_a_text_and_a_table(opened, slug):
    explorer = opened[slug]
    bundle = explorer._repr_mimebundle_()
    for control in explorer.controls():
        assert control.label in bundle["text/plain"]
    assert explorer.question in bundle["text/plain"]
    assert "<table>" in bundle["text/html"]
    assert "<script" not in bundle["text/html"]


@every
def test_n15_what_is_a_part_only_is_said_in_the_picture_and_in_the_table(opened, slug):
    explorer = opened[slug]
    if slug in ("symmetry", "equivariance"):
        assert re.match(r"showing \d+ of \d+", explorer.showing)
    if explorer.showing:
        written = json.dumps([note["text"] for note in explorer.figure_dict()["layout"]["annotations"]])
        assert explorer.showing in written
        assert explorer.showing in explorer.table()


@pytest.mark.parametrize("slug", PICTURED)
def test_a_picture_of_ones_own_is_named_in_the_menu_and_another_choice_leads_back(slug):
    cls = SHIPPED[slug]
    explorer, stored = cls(picture="4"), cls(picture="6")
    explorer.set_image(np.eye(30))
    labels = {value: label for control in explorer.controls() for label, value in control.options}
    assert labels["4"] == OWN["image"][1]
    assert ("Picture", OWN["image"][1]) in explorer.at().state_lines()
    assert "image" in explorer.at().attached
    explorer.set(picture="6")
    assert "image" not in explorer.attached
    assert explorer.at(coarse=True).dataset().identical(stored.at(coarse=True).dataset())
    assert "set_image" not in explorer.code()
    explorer.set(picture="4")
    assert "set_image" in explorer.code()
    explorer.set_image(None)
    assert OWN["image"][1] not in [label for control in explorer.controls() for label, _ in control.options]


def test_a_model_of_ones_own_is_named_in_the_menu_and_a_stored_network_leads_back():
    from torch import nn

    explorer = SHIPPED["equivariance"](network="untrained")
    explorer.set_model(nn.Conv2d(1, 2, 3, padding=1))
    assert ("Network", "your own model") in explorer.state_lines()
    explorer.set(network=next(v for c in explorer.controls() if c.name == "network" for _, v in c.options))
    assert "model" not in explorer.attached
