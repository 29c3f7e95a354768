"""Apply the fix of a finding: a copy of the model with one layer replaced, sizes and weights kept if possible.

What a repair changes is what the finding names, no more: whether it helps is measured by :func:`explain`.
"""

import re
from collections.abc import Callable
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from workbench.e3.copies import copied
from workbench.groups import Group
from workbench.measure.behaviour import Behaviour
from workbench.measure.geometry import Size, pair
from workbench.measure.hazards import position_tables
from workbench.measure.places import place_dims
from workbench.measure.replacements import Averaged, Blur, Centred, Gate, MeanOverPlaces, exchanged, squared, widened

Change = Callable[[Any, Size], nn.Module]


def repair(model: nn.Module, finding: xr.Dataset) -> nn.Module:
    """A copy of the model with the fix of one finding applied; the model itself is not touched.

    Args:
        model: a module.
        finding: one row of :func:`will_it_be_equivariant` or :func:`explain`, as from ``report.isel(finding=0)``.

    Raises:
        ValueError: for a finding that no replacement is known for, or of another model.

    >>> from workbench.measure import will_it_be_equivariant
    >>> net = nn.Sequential(nn.MaxPool2d(2))
    >>> repair(net, will_it_be_equivariant(net, 17).isel(finding=0))[0].kernel_size
    3
    """
    if not isinstance(finding, xr.Dataset) or "rule" not in finding or finding["rule"].ndim:
        raise ValueError("repair: expected one finding, a Dataset without dims; use report.isel(finding=0).")
    rule, name = str(finding["rule"].values), str(finding["module"].values)
    if rule not in REPAIRS:
        raise ValueError(
            f"no replacement is known for the finding {rule!r} of {name!r}; expected one of {', '.join(REPAIRS)}; "
            f"the report says what to do by hand: {finding['fix'].values}."
        )
    repaired = copied(model)
    modules = dict(repaired.named_modules()) | {"model": repaired}
    if name not in modules:
        raise ValueError(f"the model has no module {name!r}; expected a finding of this model; make the report again.")
    sides = [int(side) for side in re.findall(r"\d+", str(finding["input_size"].values))] or [1, 1]
    old, size = modules[name], (sides[0], sides[1])
    if rule == "position encoding":
        return exchanged(repaired, old, _position(old, size, str(finding["reason"].values).partition(" of shape")[0]))
    return exchanged(repaired, old, REPAIRS[rule](old, size))


def averaged(
    model: nn.Module, group: Group, elements: Tensor, padding: str = "border", output: str | Behaviour = "auto"
) -> nn.Module:
    """A copy of the model that answers with the mean over the elements, each answer moved back: as many passes.

    Args:
        output: how the answer moves, as in :func:`equivariance_error`; see :class:`Averaged` for ``"auto"``.
    """
    return Averaged(copied(model), group, elements, padding, output)


def _rests(module: Any, size: Size) -> tuple[int, int]:
    """Pixels left over on one side, down and right."""
    kernel, stride, padding = pair(module.kernel_size), pair(module.stride), _padding(module)
    dilation = pair(getattr(module, "dilation", 1))
    windows = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    down, right = ((s + 2 * p - w) % step for s, p, w, step in zip(size, padding, windows, stride, strict=True))
    return down, right


def _padding(module: Any) -> tuple[int, int]:
    if module.padding == "same":
        kernel, dilation = pair(module.kernel_size), pair(module.dilation)
        return dilation[0] * (kernel[0] - 1) // 2, dilation[1] * (kernel[1] - 1) // 2
    return (0, 0) if module.padding == "valid" else pair(module.padding)


def _window(module: Any, size: Size) -> nn.Module:
    rests = _rests(module, size)
    if isinstance(module, nn.Conv2d):
        if max(pair(module.dilation)) > 1:
            raise ValueError("a dilated window cannot be widened by a pixel; change the input's size.")
        return _with_kernel(module, widened(module.weight.detach(), rests), _padding(module))
    kernel, stride = pair(module.kernel_size), pair(module.stride)
    if getattr(module, "ceil_mode", False):  # one output more than without: the window shrinks instead
        wider = [k + r - s if r else k for k, r, s in zip(kernel, rests, stride, strict=True)]
    else:
        wider = [k + r for k, r in zip(kernel, rests, strict=True)]
    if min(wider) < 1:
        raise ValueError("the window would vanish; change the input's size.")
    module.kernel_size, module.ceil_mode = (wider[0] if wider[0] == wider[1] else tuple(wider)), False
    module.stride = module.stride if isinstance(module.stride, int) else stride
    return module


def _with_kernel(module: Any, weight: Tensor, padding: tuple[int, int]) -> nn.Module:
    module.weight = nn.Parameter(weight, requires_grad=module.weight.requires_grad)
    module.kernel_size, module.padding = (weight.shape[-2], weight.shape[-1]), padding
    module._reversed_padding_repeated_twice = [padding[1], padding[1], padding[0], padding[0]]
    return module


def _even_kernel(module: Any, size: Size) -> nn.Module:
    even = [1 - k % 2 for k in pair(module.kernel_size)]
    weight = widened(module.weight.detach(), (even[0], even[1]))
    dilation = pair(module.dilation)
    return _with_kernel(module, weight, tuple(d * (k // 2) for d, k in zip(dilation, weight.shape[-2:], strict=True)))  # type: ignore[arg-type]


def _oblong(module: Any, size: Size) -> nn.Module:
    kernel, padding = pair(module.kernel_size), _padding(module)
    if pair(module.stride)[0] != pair(module.stride)[1]:
        raise ValueError("another stride gives another size, which the next layer may refuse; change it by hand.")
    side = max(kernel)
    both = [p + (side - k) // 2 for p, k in zip(padding, kernel, strict=True)]
    if both[0] != both[1] or (side - min(kernel)) % 2:
        raise ValueError("no square window gives the same size; change kernel and padding by hand.")
    if isinstance(module, nn.Conv2d):
        return _with_kernel(module, squared(module.weight.detach()), (both[0], both[1]))
    module.kernel_size, module.padding = side, both[0]
    return module


def _pad(module: Any, size: Size) -> nn.Module:
    left, right, top, bottom = module.padding
    across, down = (left + right + 1) // 2, (top + bottom + 1) // 2
    module.padding = (across, across, down, down)
    return module


def _output_padding(module: Any, size: Size) -> nn.Module:
    more = pair(module.output_padding)
    weight = widened(module.weight.detach(), more)
    module.output_padding = (0, 0)
    module.weight = nn.Parameter(weight, requires_grad=module.weight.requires_grad)
    module.kernel_size = (weight.shape[-2], weight.shape[-1])
    return module


def _upsampling(module: Any, size: Size) -> nn.Module:
    module.mode, module.align_corners = "bilinear", False
    return module


def _norm(module: Any, size: Size) -> nn.Module:
    if len(module.normalized_shape) != 3:
        return nn.LayerNorm(module.normalized_shape, module.eps, elementwise_affine=False)
    norm = nn.GroupNorm(1, module.normalized_shape[0], module.eps).to(module.weight)
    norm.weight.data = module.weight.data.mean((-2, -1))
    if module.bias is not None:
        norm.bias.data = module.bias.data.mean((-2, -1))
    return norm


def _rotations(module: Any, size: Size) -> nn.Module:
    rotations = module.n // module.group.element_dim
    module.n = max(4, round(rotations / 4) * 4) * module.group.element_dim
    return module


def _position(module: Any, size: Size, name: str = "") -> nn.Module:
    """One number for all places in the table of that name, or in all tables of places."""
    tables = {found: (table, dims) for found, table, dims in position_tables(module, size)}
    if name and name not in tables:
        table = getattr(module, name)
        tables[name] = table, place_dims(table, size)
    for found, (table, dims) in tables.items():
        if name in ("", found):
            table.data = table.data.mean(dims, keepdim=True).expand_as(table).clone()
    return module


def _batch_statistics(module: Any, size: Size) -> nn.Module:
    if not isinstance(module, nn.modules.batchnorm._BatchNorm):
        raise ValueError("the statistics are taken inside code of its own; use running statistics there.")
    norm = nn.GroupNorm(1, module.num_features, eps=module.eps, affine=module.affine)
    if module.affine:
        norm.weight, norm.bias = module.weight, module.bias
    return norm.to(next(iter(module.parameters()), torch.empty(0)).dtype)


def _aliasing(module: Any, size: Size) -> nn.Module:
    stride = module.stride if isinstance(module.stride, int) else max(module.stride)
    circular = getattr(module, "padding_mode", "zeros") == "circular"
    module.stride = (1,) * len(module.stride) if isinstance(module, nn.modules.conv._ConvNd) else 1
    return nn.Sequential(module, Blur(stride, circular))


def _corners(module: Any, size: Size) -> nn.Module:
    module.align_corners = False
    return module


def _gate(module: nn.Module, size: Size) -> nn.Module:
    return Gate()


def _flatten(module: nn.Module, size: Size) -> nn.Module:
    return MeanOverPlaces()


def _flatten_members(module: nn.Module, size: Size) -> nn.Module:
    return MeanOverPlaces(members=True)


def _ends(module: Any, size: Size) -> nn.Module:
    module.padding_mode = "circular"
    return module


def _absolute(module: Any, size: Size) -> nn.Module:
    """Of at most three numbers all are coordinates, as an audit takes them."""
    turned = isinstance(module, nn.Conv1d)
    return nn.Sequential(Centred(min(3, module.in_channels if turned else module.in_features), turned), module)


REPAIRS: dict[str, Change] = {
    "window": _window,
    "even kernel": _even_kernel,
    "oblong": _oblong,
    "pad": _pad,
    "output padding": _output_padding,
    "upsampling": _upsampling,
    "flatten": _flatten,
    "flatten members": _flatten_members,
    "ends": _ends,
    "absolute coordinates": _absolute,
    "norm": _norm,
    "rotations": _rotations,
    "position encoding": _position,
    "batch statistics": _batch_statistics,
    "aliasing": _aliasing,
    "corners": _corners,
    "vectors": _gate,
}
"""What is done for each rule of the report; a rule that is not here has no replacement of the same size."""
