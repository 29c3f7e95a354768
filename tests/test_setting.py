"""The setting that every test runs in: one thread here, as many as there is room for in child processes."""

import os
import subprocess
import sys

import pytest
import torch


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
