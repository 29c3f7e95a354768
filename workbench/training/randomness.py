"""The state of every random generator as plain numbers and tensors, and a block that leaves them as found."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch


def random_state() -> dict[str, Any]:
    """State of python's, numpy's and torch's global generators, in containers that the safe loader accepts."""
    version, numbers, spare = random.getstate()
    _, keys, position, has_gauss, gauss = np.random.get_state()  # noqa: NPY002 - the global one is the one to keep
    return {
        "python": {"version": version, "numbers": list(numbers), "spare": spare},
        "numpy": {
            "keys": torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            "position": int(position),
            "has_gauss": int(has_gauss),
            "gauss": float(gauss),
        },
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Put the global generators where `random_state` found them."""
    python, legacy = state["python"], state["numpy"]
    random.setstate((python["version"], tuple(python["numbers"]), python["spare"]))
    keys = legacy["keys"].numpy().astype(np.uint32)
    np.random.set_state(  # noqa: NPY002
        ("MT19937", keys, legacy["position"], legacy["has_gauss"], legacy["gauss"])
    )
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


@contextmanager
def own_randomness(seed: int | None = None) -> Iterator[None]:
    """A block whose draws leave the caller's generators as they were; with `seed` it starts from that seed."""
    before = random_state()
    try:
        if seed is not None:
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
        yield
    finally:
        set_random_state(before)
