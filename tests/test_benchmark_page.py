"""The page of measured costs says what the stored results say."""

from tests.benchmarks import summary


def test_the_page_of_costs_is_written_from_the_stored_results():
    assert summary.PAGE.read_text() == summary.page(), "run python -m tests.benchmarks.summary"


def test_a_lost_comparison_is_told_apart():
    assert summary.spread({"ratio": 1.2, "quartiles": [1.1, 1.3]}) == "**1.20** (1.10 to 1.30)"
    assert "*" not in summary.spread({"ratio": 0.8, "quartiles": [0.7, 0.9]})
