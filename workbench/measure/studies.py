"""Three small experiments of their own: error against n, sampling noise, and the gradient of the arc's width.

Each needs no training and takes ``(runs, fast)`` as the studies of a method do. The two about networks draw a fresh
one per seed: a lifting and a group convolution, straight from their kernel banks.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn

from workbench.actions.images import source_points
from workbench.actions.lattice import affine
from workbench.groups import SO2, UniformArc
from workbench.kernels import KernelBank, KernelSpec
from workbench.measure.dataset import labelled
from workbench.measure.probe import report
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

NUMBERS = (1, 2, 4, 8, 16, 32)
_SIZE, _KERNEL, _CHANNELS, _BLOBS = 41, 9, 4, 6


def _seeds(runs: Mapping[Any, Any] | None, seeds: Iterable[int] | None) -> list[int]:
    """The seeds asked for, those of the runs, or 0 to 4."""
    chosen = seeds if seeds is not None else {seed for _, seed in runs} if runs else range(5)
    result = sorted(int(seed) for seed in chosen)
    if not result:
        raise ValueError("no seeds were given to the study; expected at least one; use seeds=range(5).")
    return result


class TwoLayers(nn.Module):
    """A lifting and a group convolution over SO(2), each with a ReLU, then the mean over elements and pixels."""

    def __init__(self, seed: int, omega0: float, encoding: str, kernel_size: int):
        super().__init__()
        spec = KernelSpec(omega0=omega0, encoding=encoding)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.lift = KernelBank(1, _CHANNELS, kernel_size, SO2(), spec, lifting=True)
            self.conv = KernelBank(_CHANNELS, _CHANNELS, kernel_size, SO2(), spec, lifting=False)
        self.double().eval()

    def forward(self, x: Tensor, first: Tensor, second: Tensor) -> Tensor:
        """Features ``(B, C)`` of images ``(B, 1, H, W)``; the layers answer at whole grids ``first`` and ``second``."""
        lifted = torch.relu(_correlate(x, self.lift(first, None, True), self.lift.kernel_size))
        values = torch.relu(_correlate(lifted, self.conv(second, first, True), self.conv.kernel_size))
        return values.unflatten(1, (_CHANNELS, len(second))).mean((2, 3, 4))


def _correlate(x: Tensor, bank: Tensor, kernel_size: int) -> Tensor:
    weight = bank.flatten(2, 3).flatten(0, 1).unflatten(-1, (kernel_size, kernel_size))
    return nn.functional.conv2d(x, weight, padding=kernel_size // 2)


def blob_images(seed: int, angles_deg: Iterable[float], count: int = 4, size: int = _SIZE) -> Tensor:
    """Images of six positive Gaussian blobs, drawn anew at each angle: ``(A, count, 1, size, size)``, float64.

    The picture is an analytic function, so turning it needs no resampling. Widths are 0.08 to 0.16 of half the
    image, centres within 0.45 of it.

    >>> blob_images(0, (0.0, 90.0), count=2, size=9).shape
    torch.Size([2, 2, 1, 9, 9])
    """
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)

    half = size / 2
    width = uniform(0.08, 0.16, count, _BLOBS) * half
    away, turn = uniform(0, 1, count, _BLOBS).sqrt() * 0.45 * half, uniform(0, 2 * math.pi, count, _BLOBS)
    height = uniform(0.5, 1.5, count, _BLOBS)
    centre = torch.stack([away * turn.cos(), away * turn.sin()], -1)
    elements = torch.tensor([[math.radians(a)] for a in angles_deg], dtype=torch.float64)
    points = source_points(*affine(elements, SO2()), size, size)[:, None, None]  # (A, 1, 1, H, W, 2)
    squared = (points - centre[:, :, None, None]).square().sum(-1)
    blobs = height[..., None, None] * torch.exp(-squared / (2 * width[..., None, None] ** 2))
    return blobs.sum(2).unsqueeze(2)


def error_against_n(
    runs: Mapping[Any, Any] | None = None,
    fast: bool = False,
    *,
    seeds: Iterable[int] | None = None,
    numbers: tuple[int, ...] = NUMBERS,
    angles_deg: tuple[float, ...] = (22.5, 33.0, 45.0),
    omega0: float = 10.0,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """Invariance error of a random two-layer network against its number of group elements.

    Inputs are drawn anew at each angle, so that no resampling enters: what is left at large n is the pixel grid.

    Args:
        runs: seeds are taken from its keys ``(experiment, seed)``; nothing else of it is used.
        fast: two images instead of four, and no more than 16 elements.
        seeds: 0 to 4 where neither gives any.
        numbers: elements of every layer. angles_deg: generic angles. omega0: of the kernel networks.
        progress, cancel: as in :func:`workbench.measure.equivariance_error`.

    Returns:
        ``error_at_angle(seed, n, angle_deg)``, relative, mean over images; ``error_against_n(seed, n)``, its mean over
        angles; ``grid_floor(seed)``, the error at the largest n.

    Source: derived here for the layers of Romero & Lohit 2022 (arXiv 2110.10211).
    """
    seeds = _seeds(runs, seeds)
    numbers = tuple(n for n in numbers if n <= 16) if fast else numbers
    errors = np.zeros((len(seeds), len(numbers), len(angles_deg)))
    for at, seed in enumerate(seeds):
        net = TwoLayers(seed, omega0, "periodic", _KERNEL)
        images = blob_images(seed, (0.0, *angles_deg), 2 if fast else 4)
        for place, n in enumerate(numbers):
            report(progress, cancel, (at + place / len(numbers)) / len(seeds))
            grid = SO2().grid(n, dtype=torch.float64)
            with undisturbed(net, seed):
                features = net(images.flatten(0, 1), grid, grid).unflatten(0, images.shape[:2])
            change = torch.linalg.vector_norm(features[1:] - features[:1], dim=-1)
            errors[at, place] = (change / torch.linalg.vector_norm(features[0], dim=-1)).mean(-1).numpy()
    report(progress, cancel, 1.0)
    mean = errors.mean(-1)
    return xr.Dataset(
        {
            "error_at_angle": labelled(("seed", "n", "angle_deg"), errors, "relative invariance error"),
            "error_against_n": labelled(("seed", "n"), mean, "relative invariance error, mean over angles"),
            "grid_floor": labelled("seed", mean[:, int(np.argmax(numbers))], "error left by the pixel grid"),
        },
        coords={
            "seed": labelled("seed", seeds, "seed"),
            "n": labelled("n", list(numbers), "number of group elements"),
            "angle_deg": labelled("angle_deg", list(angles_deg), "input rotation", "degrees"),
        },
        attrs=provenance(
            "error_against_n",
            seed=seeds,
            dtype=torch.float64,
            resampler="none: drawn anew at each angle",
            padding="zeros",
            reduction="mean over images and angles",
            input_kind=f"{_BLOBS} Gaussian blobs on {_SIZE} x {_SIZE} pixels",
            omega0=omega0,
            kernel_size=_KERNEL,
            fast=fast,
        ),
    )


def sampling_noise(
    runs: Mapping[Any, Any] | None = None,
    fast: bool = False,
    *,
    seeds: Iterable[int] | None = None,
    numbers: tuple[int, ...] = (4, 8, 16, 32),
    omega0s: tuple[float, ...] = (3.0, 10.0),
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    """How much the features depend on where the sampled group elements happen to lie.

    Input and output elements are grids with independent random offsets. Encoding the relative angle as one number
    makes the kernel jump at the identity; encoding it as (cos, sin) does not.

    Args:
        runs, fast, seeds, progress, cancel: as in :func:`error_against_n`; ``fast`` draws 8 offsets instead of 24.
        numbers: elements of both layers. omega0s: frequencies of the kernel networks.

    Returns:
        ``sampling_noise(seed, encoding, omega0, n)``: standard deviation of the pooled features over the draws,
        relative to their mean, as norms over channels.

    Source: derived here; the raw encoding is that of the released code of Romero & Lohit 2022 (arXiv 2110.10211).
    """
    seeds, encodings, draws = _seeds(runs, seeds), ("raw", "periodic"), 8 if fast else 24
    noise = np.zeros((len(seeds), len(encodings), len(omega0s), len(numbers)))
    for at, seed in enumerate(seeds):
        image = blob_images(seed, (0.0,), count=1, size=21)[0]
        offsets = torch.rand(draws, 2, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        for e, encoding in enumerate(encodings):
            for o, omega0 in enumerate(omega0s):
                report(progress, cancel, (at + (e + o / len(omega0s)) / len(encodings)) / len(seeds))
                net = TwoLayers(seed, omega0, encoding, 5)
                noise[at, e, o] = [_relative_spread(net, image, n, offsets, seed) for n in numbers]
    report(progress, cancel, 1.0)
    return xr.Dataset(
        {
            "sampling_noise": labelled(
                ("seed", "encoding", "omega0", "n"), noise, "standard deviation over draws, relative to the mean"
            )
        },
        coords={
            "seed": labelled("seed", seeds, "seed"),
            "encoding": labelled("encoding", list(encodings), "encoding of the relative angle"),
            "omega0": labelled("omega0", list(omega0s), "kernel frequency", "radians per half kernel width"),
            "n": labelled("n", list(numbers), "number of group elements"),
        },
        attrs=provenance(
            "sampling_noise",
            seed=seeds,
            dtype=torch.float64,
            padding="zeros",
            reduction=f"norm over channels of the standard deviation over {draws} draws",
            input_kind=f"{_BLOBS} Gaussian blobs on 21 x 21 pixels",
            draws=draws,
        ),
    )


def _relative_spread(net: TwoLayers, image: Tensor, n: int, offsets: Tensor, seed: int) -> float:
    grids = [[SO2().grid(n, u, dtype=torch.float64) for u in pair] for pair in offsets.tolist()]
    with undisturbed(net, seed):
        features = torch.cat([net(image, inputs, outputs) for inputs, outputs in grids])
    return float(torch.linalg.vector_norm(features.std(0)) / torch.linalg.vector_norm(features.mean(0)))


def arc_gradient(
    runs: Mapping[Any, Any] | None = None,
    fast: bool = False,
    *,
    seeds: Iterable[int] | None = None,
    theta: float = 0.6,
    n: int = 8,
    draws: int = 1024,
    progress: Callable[[float], None] | None = None,
    cancel: Any = None,
) -> xr.Dataset:
    r"""The slope of E[angle^2] in the arc's width, by both gradient rules, against its analytic value.

    The angles are uniform on :math:`[-\pi\vartheta, \pi\vartheta]`, so that
    :math:`d/d\vartheta\, E[\theta^2] = 2\vartheta\pi^2/3`. The released rule differentiates the common offset alone and
    gives :math:`1/m^2` of it with m angles. Offsets are stratified over [0, 1) and drawn from the seed.

    Args:
        runs, fast, seeds, progress, cancel: as in :func:`error_against_n`; ``fast`` draws a quarter of the offsets.
        theta: share of the circle. n: elements of the full circle. draws: offsets per seed.

    Returns:
        ``arc_gradient(seed, rule)`` and ``arc_gradient_ratio(seed, rule)`` for the rules "full" and "reference"; the
        scalar ``analytic``.

    Source: Romero & Lohit 2022 (arXiv 2110.10211), released code; the analysis is derived here.
    """
    seeds, rules, draws = _seeds(runs, seeds), ("full", "reference"), max(1, draws // 4) if fast else draws
    analytic = 2 * theta * math.pi**2 / 3
    slopes = np.zeros((len(seeds), len(rules)))
    for at, seed in enumerate(seeds):
        report(progress, cancel, at / len(seeds))
        jitter = torch.rand(draws, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        offsets = (torch.arange(draws, dtype=torch.float64) + jitter) / draws
        for r, rule in enumerate(rules):
            slopes[at, r] = _slope(theta, n, rule, offsets)
    report(progress, cancel, 1.0)
    words = "slope of the mean squared angle in the arc's width"
    return xr.Dataset(
        {
            "arc_gradient": labelled(("seed", "rule"), slopes, words, "rad^2"),
            "arc_gradient_ratio": labelled(("seed", "rule"), slopes / analytic, "slope over its analytic value"),
            "analytic": labelled((), analytic, f"analytic {words}", "rad^2"),
        },
        coords={
            "seed": labelled("seed", seeds, "seed"),
            "rule": labelled("rule", list(rules), "gradient rule"),
        },
        attrs=provenance(
            "arc_gradient",
            seed=seeds,
            dtype=torch.float64,
            reduction=f"mean over {draws} stratified offsets",
            theta=theta,
            n=n,
        ),
    )


def _slope(theta: float, n: int, rule: str, offsets: Tensor) -> float:
    arc = UniformArc(theta, gradient=rule).double()
    with torch.no_grad():
        arc.theta.fill_(theta)  # the constructor rounds it to float32
    angles = arc.rsample(n, offsets[:, None]).elements
    return float(torch.autograd.grad(angles.square().mean(), arc.theta)[0])
