"""Times of products: every engine, way and round is there, and the threads are left as they were."""

import torch

from workbench.measure.dataset import validate
from workbench.measure.product_times import ENGINES, WAYS, product_times


def test_every_round_of_every_way_is_stored_and_threads_are_left_alone():
    threads = torch.get_num_threads()
    ds = product_times(2, (2,), 2, 5)
    validate(ds, {"product_ms": ("engine", "way", "channels", "lmax", "timing")})
    assert ds["product_ms"].shape == (len(ENGINES), len(WAYS), 1, 2, 2)
    assert bool((ds["product_ms"] > 0).all())
    assert torch.get_num_threads() == threads
    assert ds.attrs["edges"] == 5
