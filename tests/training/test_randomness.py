"""Facts about random state: captured in plain containers, put back exactly, left alone by a block of its own."""

import io
import random

import numpy as np
import torch

from workbench.training.randomness import own_randomness, random_state, set_random_state
from workbench.training.run import refuse_code


def draws() -> list[float]:
    return [random.random(), random.gauss(0, 1), np.random.rand(), np.random.standard_normal(), float(torch.rand(()))]


def test_a_restored_state_draws_the_same_after_a_trip_through_the_safe_loader() -> None:
    draws()
    state = random_state()
    refuse_code(state)
    buffer = io.BytesIO()
    torch.save(state, buffer)
    expected = draws()
    set_random_state(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    assert draws() == expected


def test_a_seeded_block_repeats_and_leaves_the_caller_where_it_was() -> None:
    state = random_state()
    expected = draws()
    set_random_state(state)
    with own_randomness(5):
        one = draws()
    with own_randomness(5):
        other = draws()
    assert one == other
    assert draws() == expected


def test_the_state_comes_back_after_an_exception() -> None:
    before = torch.get_rng_state()
    try:
        with own_randomness(1):
            raise RuntimeError
    except RuntimeError:
        pass
    assert torch.equal(before, torch.get_rng_state())
