"""Tiny tensors: a second thread would only wait for the first one, at ten times the cost on a busy machine."""

import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)
