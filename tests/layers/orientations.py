"""Points, and small networks over their positions and orientations, for tests."""

import torch
from torch import Tensor

from tests.tolerances import SPACE
from workbench.layers.position_orientation import PositionOrientationNet

TOL = SPACE[torch.float64]
ICOSAHEDRAL = ("icosahedron", "dodecahedron", "icosahedral(32)")


def network(grid: str, seed: int = 0, dtype: torch.dtype = torch.float64, **options) -> PositionOrientationNet:
    torch.manual_seed(seed)
    settings = {"scalars_in": 2, "vectors_in": 1, "scalars_out": 2, "vectors_out": 1, "channels": 6, "basis": 8}
    return PositionOrientationNet(**{**settings, "grid": grid, "radius": 4.0, **options}).to(dtype).eval()


def cloud(dim: int = 3, count: int = 6, seed: int = 1) -> tuple[Tensor, ...]:
    """Positions, scalars and vectors of points."""
    draw = torch.Generator().manual_seed(seed)
    shapes = (count, dim), (count, 2), (count, 1, dim)
    return tuple(torch.randn(*shape, generator=draw, dtype=torch.float64) for shape in shapes)


def everybody(count: int) -> tuple[Tensor, Tensor]:
    return (~torch.eye(count, dtype=torch.bool)).nonzero().unbind(1)


def answers(net: PositionOrientationNet, x: Tensor, scalars: Tensor, vectors: Tensor | None) -> tuple[Tensor, Tensor]:
    sender, receiver = everybody(len(x))
    return net(scalars, sender, receiver, x[sender] - x[receiver], vectors)
