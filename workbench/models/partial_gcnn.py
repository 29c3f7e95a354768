"""Partial G-CNNs: D. W. Romero, S. Lohit, "Learning Partial Equivariances from Data", NeurIPS 2022, arXiv 2110.10211.

Both published networks and a small one for two CPU cores. Differences from the released code, each a switch
or a finding of its own: means over input samples instead of sums, random kernel-network biases with a
periodic angle encoding (``PAPER_KERNEL`` restores the released choice), widths projected after the optimiser
step, and fixed elements in evaluation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.groups import Draw, GroupSignal, parse_group
from workbench.kernels import KernelSpec
from workbench.layers import (
    GroupBatchNorm,
    GroupConv,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPool,
    GroupProjection,
    GroupReLU,
    LiftingConv,
    set_sums,
)
from workbench.layers.lattice import check_size
from workbench.models._checks import (
    check_choices,
    check_dropout,
    check_integers,
    check_stages,
    check_switches,
    from_preset,
)
from workbench.models._learned_pooling import LearnedPooling
from workbench.models._partial_gcnn_settings import CONFIGS, demo_experiments, published_experiments
from workbench.models.method import Claim, Method

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr


@dataclass(frozen=True)
class Config:
    """Every choice of a Partial G-CNN; the presets of ``CONFIGS`` fill it in.

    Attributes:
        architecture: "ckresnet", "gcnn" or "demo".
        group, n, sampling: elements of every layer; "random" turns the grid once per layer and step.
        partial: learn where each group convolution's output elements lie; the lifting stays whole.
        gradient: of the arc's width, "full" or "reference".
        widths: channels of the lifting, then of each block or group convolution.
        pools: stages after which 2x2 max pooling follows; 0 is the lifting.
        norm: "batch" or "layer", outside the residual branches.
        plane_last: the last convolution follows a mean over the group and lives on the plane; what comes out turns
            no more with the image (released switch ``last_conv_T2``; its own parameter count is unverified).
        learned_pooling: read out by a learned weight per element and pixel instead of a maximum or mean, which is
            invariant no more (released switch ``learnable_final_pooling``); n and the input size are fixed then.
        double_sums: add up in float64 in evaluation mode, see :func:`workbench.layers.set_sums`; where nothing is said,
            for two classes, whose logits may nearly cancel, so that rounding would be what is left.
        network ... bias: see :class:`workbench.kernels.KernelSpec`.
    """

    architecture: str = "demo"
    in_channels: int = 1
    classes: int = 10
    input_size: int = 16
    group: str = "SO2"
    n: int = 8
    sampling: str = "random"
    partial: bool = True
    gradient: str = "full"
    widths: tuple[int, ...] = (8, 8, 8, 16)
    pools: tuple[int, ...] = (0, 1)
    kernel_size: int = 5
    norm: str = "batch"
    plane_last: bool = False
    learned_pooling: bool = False
    dropout: float = 0.0
    double_sums: bool | None = None
    network: str = "siren"
    hidden: int = 16
    omega0: float | None = None
    encoding: str = "periodic"
    bias: str = "random"

    def kernel(self, hidden: int | None = None) -> KernelSpec:
        """The coordinate network of one layer."""
        return KernelSpec(self.network, hidden or self.hidden, 3, self.omega0, self.encoding, self.bias)

    def options(self) -> dict[str, Any]:
        """What lifting and group convolutions take alike."""
        finite = parse_group(self.group).order is not None
        return {"group": self.group, "n": self.n, "sampling": "grid" if finite else self.sampling}


class _Classifier(nn.Module):
    """A body from images to a group signal, a read-out that is invariant unless it is learned, a linear classifier."""

    def __init__(self, c: Config, body: list[nn.Module], reduce: str, side: int):
        super().__init__()
        self.body = nn.Sequential(*body)
        elements = 1 if c.plane_last else c.n
        self.projection = LearnedPooling(elements, (side, side)) if c.learned_pooling else GroupProjection(reduce)
        self.classifier = nn.Linear(c.widths[-1], c.classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.classifier(self.projection(self.body(x)))


class ResidualBlock(nn.Module):
    """Two group convolutions and a pointwise shortcut that answers at the second one's elements."""

    def __init__(self, c: Config, channels_in: int, channels_out: int, pool: nn.Module):
        super().__init__()
        options: dict[str, Any] = {**c.options(), "kernel": c.kernel()}
        partial: dict[str, Any] = {"partial": c.partial, "gradient": c.gradient}
        self.conv1 = GroupConv(channels_in, channels_out, c.kernel_size, **partial, **options)
        self.conv2 = GroupConv(channels_out, channels_out, c.kernel_size, **partial, **options)
        self.norm1, self.norm2 = GroupInstanceNorm(channels_out), GroupInstanceNorm(channels_out)
        self.dropout = GroupDropout(c.dropout)
        self.relu = GroupReLU()
        options["kernel"] = c.kernel(c.hidden // 2)
        needed = channels_in != channels_out or c.n > 1
        self.shortcut = GroupConv(channels_in, channels_out, 1, bias=False, **options) if needed else None
        self.norm3 = _norm(c.norm, channels_out)
        self.pool = pool

    def forward(self, signal: GroupSignal) -> GroupSignal:
        branch = self.dropout(self.relu(self.norm1(self.conv1(signal))))
        branch = self.relu(self.norm2(self.conv2(branch)))
        if self.shortcut is not None:
            at = Draw(branch.elements, branch.weights, branch.uniform, branch.volumes)
            signal = self.shortcut(signal, at=at)
        return self.relu(self.pool(self.norm3(branch + signal)))


def _norm(kind: str, channels: int) -> nn.Module:
    return GroupBatchNorm(channels) if kind == "batch" else GroupLayerNorm(channels)


class _Size:
    """Pixels a side while a network is built, so that a pooling that breaks symmetry is refused at once."""

    def __init__(self, c: Config):
        self.side, self.pools = c.input_size, c.pools

    def pool(self, stage: int) -> list[nn.Module]:
        """The 2x2 pooling after that stage, or nothing."""
        if stage not in self.pools:
            return []
        pool = GroupPool(2, input_size=self.side)
        self.side //= 2
        return [pool]


def _lifting(c: Config, size: _Size) -> list[nn.Module]:
    lift = LiftingConv(c.in_channels, c.widths[0], c.kernel_size, kernel=c.kernel(), **c.options())
    return [lift, _norm(c.norm, c.widths[0]), *size.pool(0), GroupReLU()]


def _convolution(c: Config, channels: tuple[int, int], kernel_size: int, last: bool, **options: Any) -> list[nn.Module]:
    """A group convolution, or what takes the last one's place on the plane."""
    if last and c.plane_last:
        plane = LiftingConv(*channels, kernel_size, group="C(1)", kernel=c.kernel(), **options)
        return [GroupProjection("mean", over="group"), plane]
    options |= {**c.options(), "kernel": c.kernel(), "partial": c.partial, "gradient": c.gradient}
    return [GroupConv(*channels, kernel_size, **options)]


def _ckresnet(c: Config) -> nn.Module:
    size = _Size(c)
    body = _lifting(c, size)
    for stage, (a, b) in enumerate(zip(c.widths[:-1], c.widths[1:], strict=True), start=1):
        body.append(ResidualBlock(c, a, b, nn.Sequential(*size.pool(stage))))
    last = c.widths[-1]
    check_size(c.architecture, (size.side, size.side), c.kernel_size, 1, 0, True)
    body += _convolution(c, (last, last), c.kernel_size, True, padding="valid")
    body += [_norm(c.norm, last), GroupReLU()]
    return _Classifier(c, body, "max", size.side - c.kernel_size + 1)


def _plain(c: Config, reduce: str, kernel_sizes: tuple[int, ...]) -> nn.Module:
    size = _Size(c)
    body = _lifting(c, size)
    for stage, (a, b) in enumerate(zip(c.widths[:-1], c.widths[1:], strict=True), start=1):
        k = kernel_sizes[stage - 1]
        body += _convolution(c, (a, b), k, last=stage == len(c.widths) - 1)
        body += [_norm(c.norm, b), *size.pool(stage), GroupReLU()]
        if c.dropout and c.architecture == "gcnn" and stage in (2, 5, 8):
            body.append(GroupDropout(c.dropout, whole_channels=True))
    return _Classifier(c, body, reduce, size.side)


def _gcnn(c: Config) -> nn.Module:
    return _plain(c, "mean", (c.kernel_size,) * (len(c.widths) - 1))


def _demo(c: Config) -> nn.Module:
    return _plain(c, "max", (*(c.kernel_size,) * (len(c.widths) - 2), min(3, c.kernel_size)))


_ARCHITECTURES = {"ckresnet": _ckresnet, "gcnn": _gcnn, "demo": _demo}


def configuration(config: Mapping[str, Any]) -> Config:
    """The preset named in ``config`` with its other entries put in place.

    Raises:
        ValueError: for an unknown preset, key or architecture.

    >>> configuration({"preset": "demo", "n": 4}).n
    4
    """
    chosen = from_preset("partial_gcnn", config, CONFIGS, Config)
    check_choices("partial_gcnn", chosen, architecture=tuple(_ARCHITECTURES), norm=("batch", "layer"))
    name = "partial_gcnn"
    check_integers(name, **{k: getattr(chosen, k) for k in ("in_channels", "classes", "input_size", "kernel_size")})
    doubled = chosen.classes == 2 if chosen.double_sums is None else chosen.double_sums
    switches = {k: getattr(chosen, k) for k in ("partial", "plane_last", "learned_pooling")}
    check_switches(name, **switches, double_sums=doubled)
    check_dropout(name, chosen.dropout, chosen.architecture)
    widths, pools = check_stages(name, chosen.widths, chosen.pools)
    if chosen.learned_pooling and chosen.partial and not chosen.plane_last:
        raise ValueError(
            "partial_gcnn: learned_pooling = True was given with partial = True; expected a fixed number of elements, "
            "which a learned arc or gate would change; use partial=False, or plane_last=True."
        )
    return replace(chosen, widths=widths, pools=pools, double_sums=doubled)


def build(config: Mapping[str, Any]) -> nn.Module:
    """A Partial G-CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    >>> import torch
    >>> tuple(build({"preset": "demo", "classes": 2})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    chosen = configuration(config)
    net = _ARCHITECTURES[chosen.architecture](chosen)
    set_sums(net, torch.float64 if chosen.double_sums else None)
    return net


def _percent(dataset: xr.Dataset, experiment: str) -> np.ndarray:
    return 100 * dataset["test_accuracy"].sel(experiment=experiment).values


def _smallest(dataset: xr.Dataset, variable: str, experiment: str) -> np.ndarray:
    return dataset[variable].sel(experiment=experiment).min("layer", skipna=True).values


def _accuracy(name: str, experiment: str, sentence: str, says: float, band: tuple[float, float], source: str) -> Claim:
    def all_inside(d: xr.Dataset) -> bool:
        found = _percent(d, experiment)
        return bool(((found >= band[0]) & (found <= band[1])).all())

    return Claim(name, sentence, source, says, "%", lambda d: _percent(d, experiment), band, all_inside)


def _gap(name: str, better: str, worse: str, sentence: str, says: str, band: tuple[float, float], source: str) -> Claim:
    def gap(d: xr.Dataset) -> np.ndarray:
        return _percent(d, better) - _percent(d, worse)

    return Claim(name, sentence, source, says, "points", gap, band, lambda d: bool(band[0] <= gap(d).mean() <= band[1]))


def _error_ratio(dataset: xr.Dataset) -> np.ndarray:
    return (dataset["error_against_n"].sel(n=4) / dataset["error_against_n"].sel(n=8)).values


def _noise_ratio(dataset: xr.Dataset) -> np.ndarray:
    noise = dataset["sampling_noise"].sel(n=8, omega0=3.0)
    return (noise.sel(encoding="raw") / noise.sel(encoding="periodic")).values


def _slope_ratio(dataset: xr.Dataset, rule: str) -> np.ndarray:
    return dataset["arc_gradient_ratio"].sel(rule=rule).values


_NOTEBOOK = "released notebook plots_learned_partial_equivariances"
_TABLE = "main table, unverified (from memory)"
_DERIVED = "derived here from the released code and checked by quadrature"

METHOD = Method(
    name="partial_gcnn",
    title="Learning Partial Equivariances from Data",
    authors="D. W. Romero, S. Lohit",
    year=2022,
    arxiv="2110.10211",
    summary="Each group convolution learns where its output elements lie, and so how much symmetry it keeps.",
    notebook="01_partial_gcnn.ipynb",
    experiments=demo_experiments(),
    published=published_experiments(),
    claims=(
        _accuracy(
            "six-180-full", "six_180_full", "A fully equivariant network cannot tell a six from one turned by 180.",
            50.0, (50.0, 50.0), "toy experiment; exact by invariance",
        ),
        _accuracy(
            "six-180-partial", "six_180_partial", "A partially equivariant network tells them apart.",
            100.0, (98.0, 100.0), "toy experiment",
        ),
        _accuracy(
            "six-mirror-full", "six_mirror_full", "A reflection-equivariant network cannot tell a six from its mirror.",
            50.0, (50.0, 50.0), "toy experiment; exact by invariance",
        ),
        _accuracy(
            "six-mirror-partial", "six_mirror_partial", "A learned mirror gate tells them apart.",
            100.0, (98.0, 100.0), "toy experiment; the gate has its own learning rate here",
        ),
        Claim(
            "rotated-arcs", "Every layer keeps nearly the whole circle on rotated digits.", f"rotMNIST, {_NOTEBOOK}",
            0.9929, "fraction of the circle, smallest layer", lambda d: _smallest(d, "arc", "rotated_partial"),
            (0.7, 1.0), lambda d: bool((_smallest(d, "arc", "rotated_partial") >= 0.97).all()),
        ),
        Claim(
            "upright-arcs", "Some layer gives up part of the circle on upright images.", f"CIFAR-10, {_NOTEBOOK}",
            0.3624, "fraction of the circle, smallest layer", lambda d: _smallest(d, "arc", "upright_partial"),
            (0.0, 0.98), lambda d: bool((_smallest(d, "arc", "upright_partial") < 0.98).all()),
        ),
        _gap(
            "rotated-partial-full", "rotated_partial", "rotated_full", "Partial and full agree on rotated digits.",
            "within 0.4", (-3.0, 3.0), f"rotMNIST, {_TABLE}",
        ),
        _gap(
            "upright-partial-full", "upright_partial", "upright_full", "A partial network beats a full one upright.",
            "2 to 5", (0.0, 8.0), f"CIFAR-10 and CIFAR-100, {_TABLE}",
        ),
        _gap(
            "rotated-full-plain", "rotated_full", "rotated_plain", "A group network beats a plain one there.",
            "1.9", (1.0, 8.0), f"rotMNIST, SE(2) against T(2), {_TABLE}",
        ),
        Claim(
            "error-falls-with-n", "Eight elements instead of four cut the error at generic angles five times.",
            "measured here on the released layers with re-rendered blobs", None, "ratio",
            _error_ratio, (5.0, 1e4), lambda d: bool(_error_ratio(d).mean() >= 5),
        ),
        Claim(
            "periodic-encoding", "A periodic angle encoding has ten times less sampling noise than the raw angle.",
            "measured here at omega0 = 3, n = 8", None, "ratio",
            _noise_ratio, (10.0, 1e7), lambda d: bool((_noise_ratio(d) >= 10).all()),
        ),
        Claim(
            "arc-gradient", "The full reparameterised gradient of the arc's width is the analytic one.", _DERIVED,
            1.0, "ratio to the analytic value", lambda d: _slope_ratio(d, "full"),
            (0.95, 1.05), lambda d: bool((abs(_slope_ratio(d, "full") - 1) <= 0.05).all()),
        ),
        Claim(
            "reference-gradient", "The released gradient rule misses the spread of the samples.", _DERIVED,
            1 / 25, "ratio to the analytic value", lambda d: _slope_ratio(d, "reference"),
            (0.0, 0.2), lambda d: bool((_slope_ratio(d, "reference") < 0.5).all()),
        ),
    ),
    studies={
        "error_against_n": "workbench.measure.studies:error_against_n",
        "sampling_noise": "workbench.measure.studies:sampling_noise",
        "arc_gradient": "workbench.measure.studies:arc_gradient",
    },
)  # fmt: skip
