"""The strict setting of every test: offline, one thread, seeded, the browser at hand."""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OFFLINE = str(ROOT / "tests" / "offline")

# Children (kernels, servers, workers) inherit the guard and the thread limit through the environment.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [OFFLINE, os.environ.get("PYTHONPATH")]))
# Beside other workers of pytest-xdist they get one thread, as the tests themselves always do.
os.environ.setdefault("OMP_NUM_THREADS", "1" if "PYTEST_XDIST_WORKER" in os.environ else "2")
os.environ["MPLBACKEND"] = "agg"
# Children find what the first one compiled: without that each compiles the whole package again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

import numpy as np  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402

from tests.offline import sitecustomize as offline  # noqa: E402
from workbench.commands.memory import KEEP_MEMORY  # noqa: E402
from workbench.explorers._runner import Runner  # noqa: E402

SOON = 10.0  # seconds
FAILED = pytest.StashKey[bool]()
MEMORY = {name: os.environ.get(name) for name in KEEP_MEMORY}
torch.set_num_threads(1)  # tiny tensors: a second thread costs more than it gives, tenfold on a busy machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with most slow tests first: workers take whole files, and beside a long one begun last nothing is left."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


@pytest.fixture(autouse=True)
def _same_start_for_every_test() -> Iterator[None]:
    """Seed every generator and undo what a test may change, so that no test depends on the order."""
    torch.manual_seed(0)
    np.random.seed(0)
    for name, value in MEMORY.items():  # Dask's worker processes leave settings of their own behind
        os.environ.pop(name, None)
        os.environ.update({} if value is None else {name: value})
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    yield
    torch.set_num_threads(threads)
    torch.set_default_dtype(dtype)


@pytest.fixture(autouse=True)
def _no_picture_is_computed_into_the_next_test() -> Iterator[None]:
    """An explorer refines its picture in a thread, which draws random numbers and holds the models that it measures."""
    yield
    for thread in threading.enumerate():
        runner = getattr(getattr(thread, "_target", None), "__self__", None)
        if isinstance(runner, Runner):
            runner.wait(SOON)


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    """Fail a test that tried to reach another machine, also where the code swallowed the refusal."""
    offline.attempts.clear()
    yield
    assert offline.attempts == [], f"the test tried to reach another machine: {offline.attempts}"


@pytest.fixture(scope="session")
def artefacts() -> Path:
    """The folder CI keeps: screenshots and other things to look at."""
    folder = ROOT / "artefacts"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Leave the outcome on the test, so that a browser can keep a picture of what failed."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture
def failed(request: pytest.FixtureRequest) -> Callable[[], bool]:
    """Whether the test has failed, once it has run."""
    return lambda: request.node.stash.get(FAILED, False)


@pytest.fixture
def open_chromium(
    request: pytest.FixtureRequest, failed: Callable[[], bool], tmp_path: Path, artefacts: Path
) -> Iterator[Callable[[], object]]:
    """A function that opens one more visitor's browser (`tests.chromium.Chromium`), with its own profile."""
    from playwright.sync_api import sync_playwright

    from tests.chromium import installed, visitors, with_profile

    # Playwright's loop lives only as long as the test, or asyncio.run would fail in the next one.
    with sync_playwright() as playwright:

        def new_context(number: int) -> object:
            return with_profile(playwright, installed(), tmp_path / f"profile-{number}")

        with visitors(request.node.name, failed, artefacts, new_context) as open_one:
            yield open_one


@pytest.fixture
def chromium(open_chromium: Callable[[], object]) -> object:
    """One visitor's browser (`tests.chromium.Chromium`); without one installed the test fails and says the remedy."""
    return open_chromium()
