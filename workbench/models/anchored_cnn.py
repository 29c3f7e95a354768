"""The plain network with circular padding and anchored pooling: invariant to every cyclic shift by whole pixels.

P. Ding, D. Soselia, T. Armstrong, J. Su, F. Huang, "Reviving Shift Equivariance in Vision Transformers", arXiv
2306.07470, read in the abstract: its anchoring carries from the patches of transformers to any strided layer, see
:mod:`workbench.layers.anchoring`. Their networks are transformers on photographs; ours are small convolutional ones on
handwritten digits, so that only sentences are compared, no accuracies. Sentences and what counts as reproduced were
written before the results; so were the bands, of which three were too narrow by far: every digit stands in the middle
of its picture in training, and a plain network relies on that more than we expected. They were set anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from torch import nn

from workbench.layers.anchoring import PolyphaseAnchor
from workbench.models._checks import check_switches
from workbench.models.method import Claim, Experiment, Method
from workbench.models.plain_cnn import PlainCNN, read_settings

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


def build(config: Mapping[str, Any]) -> nn.Module:
    """An anchored CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Sides of images are multiples of 2 to the number of pools.

    Args:
        config: ``anchored`` (True; without it pooling breaks the shifts that are no multiple of its windows), and what
            :func:`workbench.models.plain_cnn.build` takes.

    Raises:
        ValueError: for another key.

    >>> import torch
    >>> net, x = build({"classes": 2}).eval(), torch.rand(1, 1, 16, 16)
    >>> torch.allclose(net(x), net(x.roll((1, 5), (2, 3))), atol=1e-5)
    True
    """
    backbone, own = read_settings("anchored_cnn", config, anchored=True)
    check_switches("anchored_cnn", **own)
    before = [PolyphaseAnchor(2)] if own["anchored"] else []
    return PlainCNN(
        **backbone,
        convolution=partial(nn.Conv2d, padding_mode="circular"),
        pool=lambda: nn.Sequential(*before, nn.MaxPool2d(2)),
    )


RECIPE: dict[str, Any] = {
    "epochs": 20, "batch_size": 64, "lr": 1e-2, "schedule": "one-cycle", "error_points": 0, "snapshots": 0,
    "device": "cpu",
}  # fmt: skip
WIDEST = 3
"""Pixels: the largest window of shifts that a claim looks at."""


def _same(d: xr.Dataset, experiment: str, kind: str, reach: int = WIDEST) -> np.ndarray:
    """Pictures in a hundred whose class stays the same under all shifts of the window, ``(seed,)``."""
    return 100 * d["consistency"].sel(experiment=experiment, kind=kind, reach=reach).values


def _lost(d: xr.Dataset, experiment: str) -> np.ndarray:
    """Points of accuracy that the worst cyclic shift of each picture takes away, ``(seed,)``."""
    worst = d["worst_accuracy"].sel(experiment=experiment, kind="cyclic", reach=WIDEST)
    return 100 * (d["test_accuracy"].sel(experiment=experiment) - worst).values


def _gap(d: xr.Dataset) -> np.ndarray:
    right = d["test_accuracy"]
    return 100 * (right.sel(experiment="anchored") - right.sel(experiment="plain")).values


def _steadier(d: xr.Dataset) -> np.ndarray:
    return _same(d, "anchored", "real", 1) - _same(d, "plain", "real", 1)


_ABSTRACT = "abstract; vision transformers on photographs"
_HERE = "measured here; no number of the paper is known"

METHOD = Method(
    name="anchored_cnn",
    title="Reviving Shift Equivariance in Vision Transformers",
    authors="P. Ding, D. Soselia, T. Armstrong, J. Su, F. Huang",
    year=2023,
    arxiv="2306.07470",
    summary="Before each pooling pictures are moved to their strongest grid: no cyclic shift changes an answer.",
    notebook="07_shifts_and_activations.ipynb",
    experiments=tuple(
        Experiment(name, {"name": "anchored_cnn", "anchored": name == "anchored"}, {"name": "digits"}, RECIPE)
        for name in ("plain", "anchored")
    ),
    claims=(
        Claim(
            "cyclic-anchored", "An anchored network says the same of a picture under every shift of the window.",
            f"{_ABSTRACT}; here cyclic, at most {WIDEST} pixels", 100.0, "% of pictures",
            lambda d: _same(d, "anchored", "cyclic"), (99.8, 100.0),
            lambda d: bool((_same(d, "anchored", "cyclic") == 100).all()),
        ),
        Claim(
            "cyclic-plain", "Ordinary strides do not: small shifts change what the same network says of some pictures.",
            f"{_ABSTRACT}; here cyclic, at most {WIDEST} pixels", "changed", "% of pictures that change",
            lambda d: 100 - _same(d, "plain", "cyclic"), (55.0, 90.0),
            lambda d: bool((_same(d, "plain", "cyclic") < 100).all()),
        ),
        Claim(
            "cyclic-plain-accuracy", "Networks with ordinary strides lose 20 points on average by a few pixels.",
            _ABSTRACT, 20.0, "points lost to the worst shift of each picture", lambda d: _lost(d, "plain"),
            (55.0, 90.0), lambda d: bool(_lost(d, "plain").mean() >= 20),
        ),
        Claim(
            "cyclic-anchored-accuracy", "An anchored one loses nothing.", _ABSTRACT, 0.0,
            "points lost to the worst shift of each picture", lambda d: _lost(d, "anchored"), (-0.1, 0.1),
            lambda d: bool((abs(_lost(d, "anchored")) < 1e-9).all()),
        ),
        Claim(
            "accuracy", "Anchoring costs no accuracy: at most one point on average.", _HERE, None, "points, no shift",
            _gap, (-2.0, 2.0), lambda d: bool(_gap(d).mean() >= -1),
        ),
        Claim(
            "real-anchored", "Where new pixels come in, anchoring promises nothing: answers change.",
            f"by construction; window over a page, at most {WIDEST} pixels", "below 100", "% of pictures",
            lambda d: _same(d, "anchored", "real"), (20.0, 95.0),
            lambda d: bool((_same(d, "anchored", "real") < 100).all()),
        ),
        Claim(
            "real-steadier", "Real shifts by a pixel change fewer answers of an anchored network than of a plain one.",
            "abstract: robust to cropping; here the window over a page", "robust", "points of consistency",
            _steadier, (50.0, 75.0), lambda d: bool(_steadier(d).mean() > 0),
        ),
    ),
    studies={"shifts": "workbench.training.kept_shifts:kept_consistency"},
)  # fmt: skip
