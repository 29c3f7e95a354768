"""The groups compared on turned and scaled digits: what differs is the group, and what is stored is what is said."""

import numpy as np
import pytest
import torch

from tests.tolerances import AGAIN
from workbench.models import build_model, find_method
from workbench.models._similarity_claims import CLAIMS, EXPERIMENTS, NETWORKS, RECIPE
from workbench.training import load_claims, verdicts

pytestmark = pytest.mark.filterwarnings("ignore:.*leaves the smallest kernel")


def test_networks_have_as_many_parameters_and_differ_in_the_group_alone():
    counts = {}
    for name, network in NETWORKS.items():
        model = build_model({**network, "classes": 10})
        counts[name] = sum(p.numel() for p in model.parameters())
        assert model.eval()(torch.zeros(1, 1, 20, 20)).shape == (1, 10)
    assert max(counts.values()) < 1.06 * min(counts.values())
    rest = [{k: v for k, v in n.items() if k not in ("group", "n", "stretches")} for n in NETWORKS.values()]
    assert [other for other in rest if other != rest[0]] == [rest[list(NETWORKS).index("plain")]]
    assert all(experiment.training == RECIPE for experiment in EXPERIMENTS)
    assert len({str(experiment.data) for experiment in EXPERIMENTS}) == 1


def test_the_stored_results_hold_five_seeds_of_each_and_lie_in_their_bands():
    method = find_method("separable_gcnn")
    stored = load_claims(method)
    accuracy = stored["test_accuracy"].sel(experiment=[one.name for one in EXPERIMENTS])
    assert accuracy.sizes["seed"] == 5
    assert np.isfinite(accuracy).all()
    rows = [row for row in verdicts(stored, method) if row.claim in {claim.id for claim in CLAIMS}]
    assert len(rows) == len(CLAIMS)
    assert [row.claim for row in rows if not row.in_band] == []
    assert np.isfinite(stored["size_accuracy"].sel(experiment=accuracy["experiment"])).all()


def test_a_gap_that_seeds_explain_is_not_called_a_difference():
    claim, stored = CLAIMS[0], load_claims("separable_gcnn").copy(deep=True)
    better, worse = "scaled_sim2", "scaled_se2"
    for gaps, clear in (([0.1] * 4 + [0.11], True), ([0.3, -0.3, 0.1, -0.1, 0.05], False), ([-0.1] * 5, False)):
        stored["test_accuracy"].loc[better] = stored["test_accuracy"].sel(experiment=worse) + np.array(gaps)
        assert claim.reproduced(stored) == clear
        assert claim.measured(stored) == pytest.approx(100 * np.array(gaps), rel=AGAIN)
