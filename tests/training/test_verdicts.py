"""Facts about verdicts: computed from the stored Dataset, printed side by side, a failure is said."""

from typing import Any

import numpy as np
import pytest
import xarray as xr

from workbench.models import Claim, Method
from workbench.training import verdict_table, verdicts

DATASET = xr.Dataset(
    {"test_accuracy": (("experiment", "seed"), [[1.0, 0.98, 0.99], [0.5, 0.5, 0.5]])},
    {"experiment": ["partial", "full"], "seed": [0, 1, 2]},
    {"fast": "false"},
)


def claim(identifier: str, experiment: str, says: Any, band: tuple[float, float], holds: bool) -> Claim:
    def percent(dataset: xr.Dataset) -> np.ndarray:
        return 100 * dataset.test_accuracy.sel(experiment=experiment).values

    return Claim(identifier, f"{experiment} works", "table 1", says, "%", percent, band, lambda dataset: holds)


def method(*claims: Claim) -> Method:
    return Method("toy", "Toy", "A. Author", 2020, "0000.00000", "", "", claims=claims)


TOY = method(claim("good", "partial", 100.0, (98, 100), True), claim("bad", "full", None, (90, 100), False))


def test_a_verdict_holds_the_statistics_over_seeds() -> None:
    good, bad = verdicts(DATASET, TOY)
    assert good.values == (100.0, 98.0, 99.0)
    assert (good.mean, good.sd, good.low, good.high) == (99.0, 1.0, 98.0, 100.0)
    assert (good.in_band, good.reproduced) == (True, True)
    assert (bad.in_band, bad.reproduced) == (False, False)


def test_one_seed_has_no_spread() -> None:
    (one,) = verdicts(DATASET.isel(seed=[0]), method(TOY.claims[0]))
    assert np.isnan(one.sd)
    assert "±" not in one.measured


def test_the_table_says_paper_and_measurement_side_by_side() -> None:
    table = verdict_table(TOY, DATASET)
    good = next(line for line in table.splitlines() if line.startswith("good "))
    assert [cell.strip() for cell in good.split("  ") if cell] == [
        "good", "100", "99 ± 1 [98, 100]", "%", "98 to 100", "yes", "yes",
    ]  # fmt: skip
    bad = next(line for line in table.splitlines() if line.startswith("bad "))
    assert "no number" in bad
    assert "not reproduced" in bad
    assert "partial works (table 1)" in table
    assert "3 seeds" in table


def test_the_text_says_itself_how_to_read_a_row() -> None:
    table = " ".join(verdict_table(TOY, DATASET).split())
    assert "we measured: mean ± standard deviation [lowest, highest] over the seeds" in table
    assert "in band: whether that mean, not each seed, lies in our band, to which our tests hold it" in table
    assert "reproduced: whether the sentence holds" in table


def test_a_notebook_shows_the_table_with_its_sentences_and_obeys_no_markup() -> None:
    shady = Claim("shady", "<b>x</b>", "t", "<i>", "%", TOY.claims[0].measured, (0, 1), lambda dataset: True)
    table = verdict_table(method(*TOY.claims, shady), DATASET)
    html = table._repr_html_().replace(' style="text-align: left"', "")
    assert html != table._repr_html_(), "sentences set to the right are hard to read"
    assert html.count("<tr>") == 4
    assert "<td>good: partial works (table 1)</td><td>100</td><td>99 ± 1 [98, 100]</td>" in html
    assert "&lt;b&gt;x" in html
    assert "<b>" not in html
    assert repr(table) == str(table)


def test_numbers_of_the_fast_mode_are_marked() -> None:
    assert "short training" in verdict_table(TOY, DATASET.assign_attrs(fast="true"))
    assert "short training" not in verdict_table(TOY, DATASET)


def test_a_dataset_without_what_a_claim_reads_is_refused() -> None:
    with pytest.raises(ValueError, match="the claim 'good' reads"):
        verdicts(DATASET.sel(experiment=["full"]), TOY)
