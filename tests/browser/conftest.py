"""One browser process for all tests of a file: starting one costs more than most tests."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chromium import Chromium, installed, settings, visitors, within


@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    """A running Chromium; Playwright's loop ends with the file, or asyncio.run would fail in the next one."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        running = playwright.chromium.launch(**settings(installed()))
        yield running
        running.close()


@pytest.fixture
def open_chromium(
    request: pytest.FixtureRequest, failed: Callable[[], bool], browser: object, artefacts: Path
) -> Iterator[Callable[[], Chromium]]:
    """A function that opens one more visitor in it, with nothing in common with the others."""
    with visitors(request.node.name, failed, artefacts, lambda number: within(browser)) as open_one:
        yield open_one
