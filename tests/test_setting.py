"""The setting that every test runs in: one thread here, as many as there is room for in child processes."""

import os
import subprocess
import sys
import time

import pytest
import torch

from tests.conftest import pytest_collection_modifyitems
from workbench.explorers._runner import Runner


@pytest.mark.parametrize("turn", [1, 2])
def test_every_test_starts_on_one_thread_whatever_the_one_before_did(turn):
    assert torch.get_num_threads() == 1
    torch.set_num_threads(2)


@pytest.mark.parametrize(("worker", "threads"), [({}, "2"), ({"PYTEST_XDIST_WORKER": "gw0"}, "1")])
def test_children_of_parallel_test_workers_do_not_crowd_the_cores(worker, threads):
    clean = {k: v for k, v in os.environ.items() if k not in ("OMP_NUM_THREADS", "PYTEST_XDIST_WORKER")}
    program = "import os, tests.conftest; print(os.environ['OMP_NUM_THREADS'])"
    told = subprocess.run(
        [sys.executable, "-c", program], env=clean | worker, capture_output=True, text=True, timeout=120, check=True
    )
    assert told.stdout.strip() == threads


def test_files_with_most_slow_tests_come_first_and_stay_whole():
    class Item:
        def __init__(self, path, name, slow=False):
            self.path, self.name, self.slow = path, name, slow

        def get_closest_marker(self, name):
            return self.slow if name == "slow" else None

    items = [Item("a", 1), Item("b", 2), Item("b", 3, slow=True), Item("c", 4, slow=True), Item("c", 5, slow=True)]
    pytest_collection_modifyitems(items)
    assert [item.name for item in items] == [4, 5, 2, 3, 1]


class Slow:
    """As an explorer: a picture that takes a second."""

    heavy = coarse = refined = False
    slug = "slow"

    def at(self, **given: object) -> "Slow":
        return self

    def figure_dict(self) -> dict[str, object]:
        time.sleep(1)
        DRAWN.append(self)
        return {}

    def state(self) -> dict[str, object]:
        return {}


DRAWN: list[Slow] = []


def test_a_picture_is_being_computed_when_a_test_ends():
    Runner(Slow(), show=lambda picture: None, fail=pytest.fail).request()
    assert DRAWN == []


def test_and_is_there_before_the_next_one_begins():
    assert len(DRAWN) == 1
