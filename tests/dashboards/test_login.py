"""The password gate: right in, wrong slow, and never a way to another site."""

import pytest

from workbench.dashboards.login import PasswordGate, local_path


def test_the_right_password_opens_and_a_wrong_one_does_not():
    gate = PasswordGate("correct horse")
    assert gate.accepts("correct horse")
    assert not gate.accepts("correct horse ")
    assert not gate.accepts("")


def test_every_wrong_try_is_answered_more_slowly_up_to_a_limit():
    gate = PasswordGate("correct horse")
    pauses = []
    for _ in range(12):
        gate.accepts("guess")
        pauses.append(gate.pause())
    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[-1] <= 8
    gate.accepts("correct horse")
    assert gate.pause() < pauses[0]


@pytest.mark.parametrize("password", ["", "short", None, 12345678])
def test_a_weak_password_is_refused(password):
    with pytest.raises(ValueError, match="8 characters"):
        PasswordGate(password)


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil", "evil", "\\\\evil", ""])
def test_after_the_password_nobody_is_sent_elsewhere(target):
    assert local_path(target) == "/"


def test_after_the_password_the_visitor_is_where_they_wanted_to_be():
    assert local_path("/dots?height=2.0&kind=line") == "/dots?height=2.0&kind=line"
    assert "\r" not in local_path("/dots\r\nSet-Cookie: a=b")
