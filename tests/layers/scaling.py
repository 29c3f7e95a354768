"""How far a layer or network is from commuting with scalings, measured where no picture has to be resampled.

The pictures are sums of Gaussian blobs, drawn again at the other scale; the answers are compared at the centre, which
no scaling moves. Kernels without padding leave that pixel alone.
"""

import torch
from torch import Tensor, nn

from workbench.groups import RotationScale, parse_group
from workbench.kernels import KernelSpec
from workbench.layers import GroupConv, GroupReLU, LiftingConv, SeparableConv


def blobs(size: int, matrix: Tensor, count: int = 32, seed: int = 0) -> Tensor:
    """``count`` pictures f(A^-1 p), ``(count, 1, size, size)``, p in pixels from the centre, y up."""
    draw = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(count, 8, 1, 2, generator=draw, dtype=torch.float64)
    heights = torch.randn(count, 8, 1, generator=draw, dtype=torch.float64)
    widths = 2 + 2 * torch.rand(count, 8, 1, generator=draw, dtype=torch.float64)
    line = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = torch.meshgrid(line.flip(0), line, indexing="ij")
    points = torch.stack([x.flatten(), y.flatten()], -1) @ torch.linalg.inv(matrix).T
    squares = (points - centres).square().sum(-1)
    return (heights * torch.exp(-squares / (2 * widths**2))).sum(1).view(count, 1, size, size)


def network(
    group: str, k: int, layers: int, seed: int = 0, factorisation: str | None = None, **options
) -> nn.Sequential:
    """A lifting and ``layers`` group convolutions, in float64 and evaluation mode, without padding and biases."""
    torch.manual_seed(seed)
    common = {"group": group, "kernel": KernelSpec(), "padding": "valid", "bias": False, **options}
    modules: list[nn.Module] = [LiftingConv(1, 4, k, **common)]
    for _ in range(layers):
        given = common if factorisation is None else {**common, "factorisation": factorisation}
        modules += [GroupReLU(), (GroupConv if factorisation is None else SeparableConv)(4, 4, k, **given)]
    return nn.Sequential(*modules).double().eval()


@torch.no_grad()
def scale_errors(net: nn.Sequential, seed: int = 0) -> list[float]:
    """Relative error between neighbouring scales, |F(a f)(a s) - F(f)(s)| / |F(f)(s)|, from the smallest on."""
    layer = net[-1]
    group = parse_group(layer.group)
    count = layer.stretches if isinstance(group, RotationScale) else layer.n
    size = 1 + sum(m.kernel_size - 1 for m in net if hasattr(m, "kernel_size"))
    step = group.largest ** (1 / (count - 1))
    still, scaled = (net(blobs(size, factor * torch.eye(2).double(), seed=seed)).values for factor in (1.0, step))
    still, scaled = (v[..., 0, 0].unflatten(2, (count, -1)) for v in (still, scaled))
    pairs = zip(scaled[:, :, 1:].unbind(2), still[:, :, :-1].unbind(2), strict=True)
    return [float((a - b).norm() / b.norm()) for a, b in pairs]
