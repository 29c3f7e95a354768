"""The smallest real training there is: a partial group network of a few hundred numbers on sixes and turned sixes."""

import threading
from typing import Any

import torch


def tiny(**training: Any) -> dict[str, Any]:
    """A configuration that trains in well under a second: 202 images, 13 steps an epoch."""
    return {
        "model": {"name": "partial_gcnn", "preset": "demo", "classes": 2, "widths": [2, 2, 2, 2], "n": 4, "hidden": 4},
        "data": {"name": "6-180"},
        "training": {
            "epochs": 2, "batch_size": 16, "lr": 5e-3, "lr_probs": 2e-2, "schedule": "one-cycle", "device": "cpu",
            "error_points": 0, **training,
        },
        "seed": 3,
    }  # fmt: skip


def differences(one: Any, other: Any, where: str = "", but: tuple[str, ...] = ("seconds",)) -> list[str]:
    """Where two checkpoints differ in a single bit; entries named in `but` are left out (the clock)."""
    if type(one) is not type(other):
        return [f"{where}: {type(one).__name__} and {type(other).__name__}"]
    if isinstance(one, torch.Tensor):
        same = (
            one.dtype == other.dtype and one.shape == other.shape and one.numpy().tobytes() == other.numpy().tobytes()
        )
        return [] if same else [where]
    if isinstance(one, dict):
        if one.keys() != other.keys():
            return [f"{where}: keys"]
        return [d for key in one if key not in but for d in differences(one[key], other[key], f"{where}.{key}", but)]
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return [f"{where}: length"]
        return [d for at in range(len(one)) for d in differences(one[at], other[at], f"{where}[{at}]", but)]
    same = one == other or (one != one and other != other)
    return [] if same else [f"{where}: {one!r} and {other!r}"]


class StopAt(threading.Event):
    """An event that is set once the training has looked at it so many times: once a step."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.left = step

    def is_set(self) -> bool:
        self.left -= 1
        return self.left <= 0
