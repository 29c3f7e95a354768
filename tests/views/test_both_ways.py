"""Both ways of turning one picture: one colour scale for the three maps, pairs of bars for scores."""

import itertools

import pytest

from tests.tolerances import AGAIN
from tests.views import made
from workbench.views.both_ways import both_ways


def test_the_three_maps_share_one_symmetric_scale_so_that_a_small_rest_looks_small():
    traces, layout, notes = both_ways(made.error_dataset(), (0.6, 0.9), 0.8)
    assert [trace["type"] for trace in traces] == ["heatmap"] * 4
    assert {(trace["zmin"], trace["zmax"]) for trace in traces[1:]} == {(-2.0, 2.0)}
    assert all(layout[f"yaxis{at}"]["autorange"] == "reversed" for at in (2, 3, 4, 5))
    assert len(notes) == 4


def test_panels_stand_side_by_side_within_their_width():
    _, layout, _ = both_ways(made.error_dataset(), (0.6, 0.9), 0.8)
    domains = [layout[f"xaxis{at}"]["domain"] for at in (2, 3, 4, 5)]
    assert all(right[0] > left[1] for left, right in itertools.pairwise(domains))
    assert domains[-1][1] == pytest.approx(0.8, rel=AGAIN)


def test_scores_are_pairs_of_bars_named_by_class():
    traces, layout, notes = both_ways(made.error_dataset(maps=False, scores=True), (0.6, 0.9), 0.8)
    assert [trace["type"] for trace in traces] == ["heatmap", "bar", "bar"]
    assert layout["xaxis3"]["ticktext"] == ["6", "9"]
    assert layout["yaxis3"]["title"]["text"] == "score of the class"
    assert {"turned", "upright"} <= {note["text"] for note in notes}


def test_a_map_without_its_partner_is_refused():
    with pytest.raises(ValueError, match="no 'turned_after'"):
        both_ways(made.error_dataset().drop_vars("turned_after"), (0.6, 0.9), 0.8)
