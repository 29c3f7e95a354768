"""The browser fixture: it draws, it records, and it says how to get a browser where there is none."""

import pytest

from workbench.commands import browser


@pytest.mark.browser
def test_a_page_is_drawn_and_what_goes_wrong_is_recorded(chromium):
    chromium.page.set_content("<h1>Equivariance</h1><script>console.error('seen')</script>")
    assert chromium.page.inner_text("h1") == "Equivariance"
    assert any("seen" in error for error in chromium.console_errors)
    with pytest.raises(AssertionError, match="seen"):
        chromium.assert_clean()


@pytest.mark.browser
def test_an_outside_request_is_seen_and_goes_nowhere(chromium):
    chromium.page.set_content("<img src='https://example.org/pixel.png'>")
    chromium.page.wait_for_function("document.images[0].complete")
    assert chromium.outside_requests == ["https://example.org/pixel.png"]
    chromium.outside_requests.clear()


@pytest.mark.browser
def test_two_visitors_have_two_profiles(open_chromium):
    first, second = open_chromium(), open_chromium()
    assert first.context is not second.context
    assert first.page.evaluate("1 + 1") == second.page.evaluate("2")


def test_a_missing_browser_fails_the_test_and_names_the_remedy(monkeypatch, request):
    monkeypatch.setattr(browser, "NAMES", ("no-such-browser",))
    with pytest.raises(pytest.fail.Exception, match="apt-get install -y chromium"):
        request.getfixturevalue("chromium")
