"""The table that is left of an explorer without a browser."""

from tests.explorers.test_explorer import Tiny


def test_a_long_table_says_how_much_it_shows():
    assert "showing 12 of 40 rows" in Tiny(n=40).table()
