"""A notebook is fast unless its reader asks for more."""

import pytest

from workbench.training.mode import VARIABLE, notebook_mode


@pytest.mark.parametrize(("value", "mode"), [(None, "fast"), ("fast", "fast"), ("full", "full")])
def test_a_notebook_is_fast_unless_the_environment_says_full(monkeypatch, value, mode):
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert notebook_mode() == mode


def test_another_mode_is_refused_with_the_two_there_are(monkeypatch):
    monkeypatch.setenv(VARIABLE, "quick")
    with pytest.raises(ValueError, match="WORKBENCH_MODE is 'quick'; expected 'fast' or 'full'"):
        notebook_mode()
