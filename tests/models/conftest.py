"""Tiny tensors: a second thread costs these tests more than it gives, tenfold on a busy machine."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread(_same_start_for_every_test: None) -> None:
    torch.set_num_threads(1)
