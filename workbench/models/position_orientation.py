"""Digits as clouds of points, classified through positions and orientations, distances, frames or bare coordinates.

E. J. Bekkers, S. Vadgama, R. Hesselink, P. A. van der Linden, D. W. Romero, "Fast, Expressive SE(n) Equivariant
Networks through Weight-Sharing in Position-Orientation Space", ICLR 2024, arXiv 2310.02970, read in the released code:
theirs are superpixels of MNIST, ours the pixels of scikit-learn's digits. Points turn exactly, without resampling, so
that an error that is left is the network's. Frames: O. Puny et al., ICLR 2022, arXiv 2110.03336.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.groups import SO2
from workbench.layers.frames import FrameAveraged
from workbench.layers.position_orientation import PositionOrientationNet
from workbench.models._checks import check_integers, check_switches

WAYS = ("grid", "distances", "frames", "coordinates")
INK = 0.25
"""Share of the darkest pixel from which a pixel is a point."""
RADIUS_PX = 2.3
DEFAULTS: dict[str, Any] = {
    "way": "grid", "orientations": 8, "turned": False, "side": 10, "classes": 10, "channels": 12, "layers": 2,
    "hidden": 64,
}  # fmt: skip


class PointClassifier(nn.Module):
    """Pixels with ink become points with an intensity; a network of points gives the logits.

    Args:
        way: ``"grid"``: positions and orientations on a circle; ``"distances"``: the same layers without orientations;
            ``"coordinates"``: two linear maps of all coordinates and intensities in reading order; ``"frames"``: these,
            averaged over the frames of principal axes.
        orientations: of the grid.
        turned: every batch in training is turned by a random angle.
        side: of the square images in pixels.
        classes, channels, layers, hidden: sizes.
    """

    places: Tensor
    steps: Tensor
    sender: Tensor
    receiver: Tensor
    which: Tensor

    def __init__(
        self,
        way: str,
        orientations: int,
        turned: bool,
        side: int,
        classes: int,
        channels: int,
        layers: int,
        hidden: int,
    ):
        super().__init__()
        self.way, self.turned, self.side = way, turned, side
        at = torch.arange(side, dtype=torch.float32) - (side - 1) / 2
        places = torch.cartesian_prod(-at, at).flip(-1)  # reading order, y upwards
        pairs = (torch.cdist(places, places) - RADIUS_PX < 0) & ~torch.eye(len(places), dtype=torch.bool)
        receiver, sender = pairs.nonzero().unbind(1)
        steps, which = torch.unique(places[sender] - places[receiver], dim=0, return_inverse=True)
        for name, kept in (("places", places), ("steps", steps), ("sender", sender), ("receiver", receiver)):
            self.register_buffer(name, kept, persistent=False)
        self.register_buffer("which", which, persistent=False)
        if way in ("grid", "distances"):
            grid = f"circle({orientations})" if way == "grid" else "distances"
            self.network: nn.Module = PositionOrientationNet(
                1, 0, classes, grid=grid, dim=2, channels=channels, layers=layers, radius=1.2 * RADIUS_PX
            )
        else:
            flat = _Coordinates(len(places), classes, hidden)
            self.network = FrameAveraged(flat) if way == "frames" else flat

    def forward(self, images: Tensor, angle_rad: float = 0.0) -> Tensor:
        """Images ``(B, 1, side, side)``, whose points are turned counter-clockwise, to logits ``(B, classes)``."""
        if images.ndim != 4 or images.shape[1:] != (1, self.side, self.side):
            raise ValueError(
                f"PointClassifier: images of shape {tuple(images.shape)} were given; expected (B, 1, {self.side}, "
                f"{self.side})."
            )
        angle = images.new_tensor([angle_rad])
        if self.training and self.turned:
            angle = angle + 2 * math.pi * torch.rand(1, device=images.device, dtype=images.dtype)
        matrix = SO2().matrix(angle)
        ink = ink_of(images)
        if self.way in ("grid", "distances"):
            return self._of_neighbours(ink, matrix)
        points = (self.places.to(images) @ matrix.mT) * (ink > 0)[..., None]
        return self.network(points, ink, weights=ink) if self.way == "frames" else self.network(points, ink)

    def _of_neighbours(self, ink: Tensor, matrix: Tensor) -> Tensor:
        """The mean over points of what the network of neighbours says of each."""
        present = ink > 0
        image, place = present.nonzero().unbind(1)
        number = torch.zeros_like(ink, dtype=torch.long)
        number[image, place] = torch.arange(len(image), device=ink.device)
        cloud, pair = (present[:, self.sender] & present[:, self.receiver]).nonzero().unbind(1)
        ends = number[cloud, self.sender[pair]], number[cloud, self.receiver[pair]]
        said, _ = self.network(ink[present][:, None], *ends, self.steps.to(ink) @ matrix.mT, which=self.which[pair])
        total = said.new_zeros(len(ink), said.shape[1]).index_add(0, image, said)
        return total / present.sum(1, keepdim=True)

    def extra_repr(self) -> str:
        """How points are read, and whether they are turned in training."""
        return f"way={self.way}, turned={self.turned}"


class _Coordinates(nn.Module):
    """Two linear maps of coordinates and intensities in a row."""

    def __init__(self, count: int, classes: int, hidden: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(3 * count, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )

    def forward(self, points: Tensor, ink: Tensor) -> Tensor:
        return self.layers(torch.cat([points, ink[..., None]], -1).flatten(1))


def ink_of(images: Tensor) -> Tensor:
    """Intensities ``(B, H W)`` from 0 for the lightest pixel of an image to 1; 0 where it is too light for a point.

    A blank image has one point in its first pixel.

    >>> ink_of(torch.tensor([[[[0.0, 1.0], [5.0, 10.0]]]])).tolist()
    [[0.0, 0.0, 0.5, 1.0]]
    """
    flat = images.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    share = (flat - low) / (high - low).clamp_min(1e-12)
    share = torch.where(share >= INK, share, torch.zeros_like(share))
    blank = (share.sum(1, keepdim=True) == 0) & (torch.arange(flat.shape[1], device=flat.device) == 0)
    return torch.where(blank, torch.ones_like(share), share)


def build(config: Mapping[str, Any]) -> nn.Module:
    """A classifier of clouds of points from images ``(B, 1, side, side)`` to logits ``(B, classes)``.

    Args:
        config: settings of :class:`PointClassifier`, each with a default.

    Raises:
        ValueError: for another key, or a value that cannot be.

    >>> import torch
    >>> net = build({"classes": 2}).eval()
    >>> x = torch.rand(3, 1, 10, 10)
    >>> bool((net(x) - net(x, angle_rad=torch.pi / 4)).abs().max() < 1e-4)
    True
    """
    given = {key: value for key, value in config.items() if key != "name"}
    if unknown := sorted(set(given) - set(DEFAULTS)):
        raise ValueError(f"position_orientation: {', '.join(unknown)} was given; expected only {', '.join(DEFAULTS)}.")
    chosen = {**DEFAULTS, **given}
    if chosen["way"] not in WAYS:
        raise ValueError(f"position_orientation: way = {chosen['way']!r} was given; expected one of {', '.join(WAYS)}.")
    check_switches("position_orientation", turned=chosen["turned"])
    check_integers("position_orientation", **{k: v for k, v in chosen.items() if k not in ("way", "turned")})
    return PointClassifier(**chosen)
