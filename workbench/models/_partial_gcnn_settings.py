"""The networks and training settings of Partial G-CNNs, as data: the demonstration's and the paper's own.

Romero & Lohit 2022 (arXiv 2110.10211), settings of the released code. Its commands for fully equivariant networks on
CIFAR-10 switch a learned final pooling on, so that baseline is not quite invariant; the parameter counts of the presets
are those without it. One released switch is not offered: elements drawn anew for each image of a batch, since a signal
here carries one list of elements for the whole batch.
"""

from __future__ import annotations

from typing import Any

from workbench.models.method import Experiment

PAPER_KERNEL = {"encoding": "raw", "bias": "zero"}
_RESNET: dict[str, Any] = {
    "architecture": "ckresnet", "widths": (32, 32, 64), "pools": (0, 1), "kernel_size": 7, "hidden": 32,
    "input_size": 28, **PAPER_KERNEL,
}  # fmt: skip
_GCNN: dict[str, Any] = {
    "architecture": "gcnn", "widths": (128, 128, *(256,) * 7), "pools": (2, 5), "kernel_size": 3, "hidden": 8,
    "dropout": 0.3, **PAPER_KERNEL,
}  # fmt: skip
_TOY: dict[str, Any] = {
    **_RESNET, "widths": (10, 10, 10), "classes": 2, "pools": (1, 2), "network": "magnet",
}  # fmt: skip
_DATA: dict[str, dict[str, Any]] = {
    "rotmnist": {"in_channels": 1, "classes": 10, "input_size": 28},
    "cifar10": {"in_channels": 3, "classes": 10, "input_size": 32},
    "cifar100": {"in_channels": 3, "classes": 100, "input_size": 32},
}
_SYMMETRY: dict[str, dict[str, Any]] = {
    "t2": {"group": "C(1)", "n": 1, "partial": False},
    "se2_full": {"group": "SO2", "partial": False},
    "se2_partial": {"group": "SO2", "partial": True},
    "e2_partial": {"group": "O2", "partial": True},
}


def _pools(network: str, data: str) -> dict[str, Any]:
    return {"pools": (1, 2)} if network == "ckresnet" and data != "rotmnist" else {}


CONFIGS: dict[str, dict[str, Any]] = {
    "demo": {},
    "demo_full": {"partial": False},
    "demo_strict": {"partial": False, "sampling": "grid"},
    "demo_mirror": {"group": "D(1)", "n": 2},
    "demo_mirror_full": {"group": "D(1)", "n": 2, "partial": False},
    "paper_6_180_partial": _TOY,
    "paper_6_180_full": {**_TOY, "widths": (20, 20, 20), "network": "fourier", "norm": "layer", "partial": False},
    "paper_6_mirror_partial": {**_TOY, "group": "O2"},
    **{
        f"paper_{network}_{data}_{symmetry}": {**base, **_DATA[data], **choice, **_pools(network, data)}
        for network, base in (("ckresnet", _RESNET), ("gcnn", _GCNN))
        for data in _DATA
        for symmetry, choice in _SYMMETRY.items()
    },
}  # fmt: skip

_PAPER = {"epochs": 300, "batch_size": 64, "lr": 1e-3, "early_stop": 100, "drop_last": True}
_COSINE = {**_PAPER, "schedule": "cosine", "warm_up": 5}
_GCNN_RECIPE = {**_COSINE, "epochs": 205, "batch_size": 128}


def _recipe(network: str, data: str, symmetry: str) -> dict[str, Any]:
    """The released training command of one network, data set and kind of symmetry."""
    rotated = data == "rotmnist"
    if network == "ckresnet":
        if not rotated:
            return {**_COSINE, "lr_probs": 1e-4, "weight_decay": 1e-4}
        own_rate = {"lr_probs": 1e-4} if symmetry.startswith("e2") else {}
        return {**_COSINE, **own_rate, "monotone": 1e-3 if symmetry == "se2_partial" else 0.0}
    if rotated:
        full = symmetry == "se2_full"
        return {**_GCNN_RECIPE, "lr": 1e-3 if full else 1e-2, "lr_probs": 1e-3, "weight_decay": 1e-4 if full else 0.0}
    return {**_GCNN_RECIPE, "lr_probs": 1e-4, "weight_decay": 1e-4}


def published_experiments() -> tuple[Experiment, ...]:
    """The paper's own runs, for a GPU and the published data sets.

    >>> published_experiments()[0].name
    'paper_6_180_partial'
    """
    toys = (("paper_6_180_partial", "6-180"), ("paper_6_180_full", "6-180"), ("paper_6_mirror_partial", "6-mirror"))
    found = [
        Experiment(name, {"name": "partial_gcnn", "preset": name}, {"name": data, "source": "mnist"}, _PAPER)
        for name, data in toys
    ]
    for network in ("ckresnet", "gcnn"):
        for data in _DATA:
            for symmetry in _SYMMETRY:
                name = f"paper_{network}_{data}_{symmetry}"
                dropout = {"dropout": 0.1} if network == "gcnn" and data != "rotmnist" and symmetry == "t2" else {}
                relaxed = {"learned_pooling": True} if (data, symmetry) == ("cifar10", "se2_full") else {}
                model = {"name": "partial_gcnn", "preset": name, **dropout, **relaxed}
                found.append(Experiment(name, model, {"name": data}, _recipe(network, data, symmetry)))
    return tuple(found)


_RECIPE = {"lr": 5e-3, "schedule": "one-cycle"}
_TOY_RECIPE = {**_RECIPE, "batch_size": 32, "epochs": 40}
_MIRROR_RECIPE = {**_TOY_RECIPE, "epochs": 60}
_DIGITS_RECIPE = {**_RECIPE, "batch_size": 32, "epochs": 30}


def _own(preset: str, **options: Any) -> dict[str, Any]:
    return {"name": "partial_gcnn", "preset": preset, **options}


def demo_experiments() -> tuple[Experiment, ...]:
    """Those that train in minutes on a processor: on digits, and on a six and what it becomes when moved."""
    plain, augmented = {"name": "plain_cnn"}, {"name": "augmented_cnn"}
    upright, rotated = {"name": "upright"}, {"name": "rotated"}
    six, mirrored = {"name": "6-180"}, {"name": "6-mirror"}
    gate = {**_MIRROR_RECIPE, "lr_probs": 3e-2}  # the gate needs a faster rate than the weights to settle
    rows: tuple[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]], ...] = (
        ("six_180_full", _own("demo_full", classes=2), six, _TOY_RECIPE),
        ("six_180_partial", _own("demo", classes=2), six, _TOY_RECIPE),
        ("six_180_augmented", {**augmented, "classes": 2}, six, _TOY_RECIPE),
        ("six_mirror_full", _own("demo_mirror_full", classes=2), mirrored, gate),
        ("six_mirror_partial", _own("demo_mirror", classes=2), mirrored, gate),
        ("six_mirror_slow_gate", _own("demo_mirror", classes=2), mirrored, _MIRROR_RECIPE),
        ("rotated_plain", plain, rotated, _DIGITS_RECIPE),
        ("rotated_augmented", augmented, rotated, _DIGITS_RECIPE),
        ("rotated_strict", _own("demo_strict"), rotated, _DIGITS_RECIPE),
        ("rotated_full", _own("demo_full"), rotated, _DIGITS_RECIPE),
        ("rotated_partial", _own("demo"), rotated, _DIGITS_RECIPE),
        ("upright_plain", plain, upright, _DIGITS_RECIPE),
        ("upright_augmented", augmented, upright, _DIGITS_RECIPE),
        ("upright_full", _own("demo_full"), upright, _DIGITS_RECIPE),
        ("upright_partial", _own("demo"), upright, _DIGITS_RECIPE),
    )
    return tuple(Experiment(*row) for row in rows)
