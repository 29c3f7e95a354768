"""Which layers break quarter turns and flips by their geometry alone: the rules, one layer at a time."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from torch import nn

from workbench.groups import Group, Scale
from workbench.groups.elements import quarter_turn_problem

Size = tuple[int, int]


class Finding(NamedTuple):
    """Something that breaks exactness, the nearest fix, and the rule that found it, by which a repair is chosen."""

    reason: str
    fix: str
    rule: str


def findings(module: Any, size: Size | None) -> Iterator[Finding]:
    """What in one layer breaks quarter turns or flips of its input; nothing where that is no image."""
    if size is None:
        return
    if hasattr(module, "check_size"):
        yield from _own_findings(module, size)
    elif isinstance(module, nn.Conv2d):
        yield from _convolution(module, size)
    elif isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        yield from _pooling(module, size)
    else:
        yield from _other(module, size)


def _own_findings(layer: Any, size: Size) -> Iterator[Finding]:
    """What a group layer says itself, and whether its list of elements holds the quarter turns."""
    layer.exact = True
    try:
        layer.check_size(size)
    except ValueError as error:
        reason, _, fix = str(error).partition("; ")
        yield Finding(reason, fix or "see the layer's documentation", "group layer")
    finally:
        layer.exact = False
    group, count = getattr(layer, "group", None), getattr(layer, "n", None)
    if isinstance(group, Scale):
        yield Finding("scalings hold no turns, so none is exact", "use group='RotationScale'", "rotations")
    elif isinstance(group, Group) and isinstance(count, int) and (problem := quarter_turn_problem(group, count)):
        yield Finding(*problem, "rotations")


def pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _convolution(module: nn.Conv2d, size: Size) -> Iterator[Finding]:
    kernel, stride, dilation = pair(module.kernel_size), pair(module.stride), pair(module.dilation)
    window = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    if module.padding == "same":
        if window[0] % 2 == 0 or window[1] % 2 == 0:
            yield Finding(
                f"an even kernel ({kernel[0]} x {kernel[1]}) with padding 'same' pads one side more than the other",
                f"use an odd kernel of {kernel[0] + 1 - kernel[0] % 2}, or a padding of pixels on every side",
                "even kernel",
            )
        padding = (window[0] // 2, window[1] // 2)
    else:
        padding = (0, 0) if module.padding == "valid" else pair(module.padding)
    yield from _window(size, window, stride, padding)


def _pooling(module: Any, size: Size) -> Iterator[Finding]:
    kernel, stride = pair(module.kernel_size), pair(module.stride)
    dilation = pair(getattr(module, "dilation", 1))
    window = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    yield from _window(size, window, stride, pair(module.padding))


def _window(size: Size, window: Size, stride: Size, padding: Size) -> Iterator[Finding]:
    if window[0] != window[1] or stride[0] != stride[1] or padding[0] != padding[1]:
        yield Finding(
            f"window {window[0]} x {window[1]}, stride {stride[0]} x {stride[1]}, padding {padding[0]} x {padding[1]}: "
            "not the same both ways, so a quarter turn swaps them",
            "use the same numbers for rows and columns",
            "oblong",
        )
    rests = {(s + 2 * p - w) % step: s for s, w, step, p in zip(size, window, stride, padding, strict=True)}
    for rest, side in rests.items():
        if rest:
            yield Finding(
                f"a window of {window[0]} with stride {stride[0]} and padding {padding[0]} treats the two ends of "
                f"{side} pixels differently: {rest} pixel(s) are left over on one side",
                f"use a window of {window[0] + rest}, or an input of {side - rest} or {side - rest + stride[0]} pixels",
                "window",
            )


_PADS = (nn.ZeroPad2d, nn.ConstantPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d, nn.CircularPad2d)


def _other(module: Any, size: Size) -> Iterator[Finding]:
    if isinstance(module, nn.ConvTranspose2d):
        if any(pair(module.output_padding)):
            yield Finding(
                "output_padding adds pixels on one side only",
                "use a kernel and stride that need none",
                "output padding",
            )
    elif isinstance(module, _PADS):
        if len(set(module.padding)) > 1:
            yield Finding(
                f"padding {tuple(module.padding)} differs between the sides",
                "pad the same number of pixels on every side",
                "pad",
            )
    elif isinstance(module, nn.Upsample):
        yield from _upsampling(module, size)
    elif isinstance(module, nn.Flatten):
        if module.start_dim <= 1 and size[0] * size[1] > 1:
            yield Finding(
                f"flattening {size[0]} x {size[1]} places hands each its own weight to the next layer",
                "take the mean or the maximum over the places first",
                "flatten",
            )
    elif isinstance(module, nn.LayerNorm) and module.elementwise_affine and len(module.normalized_shape) >= 2:
        yield Finding(
            f"a norm with weights for each of {size[0]} x {size[1]} places treats them differently",
            "use elementwise_affine=False, or a norm with one weight per channel",
            "norm",
        )


def _upsampling(module: nn.Upsample, size: Size) -> Iterator[Finding]:
    if module.mode != "nearest":
        return
    wanted = pair(module.size) if module.size is not None else None
    factor = module.scale_factor
    factors = (factor, factor) if isinstance(factor, int | float) else factor
    for axis, side in enumerate(size):
        out = wanted[axis] if wanted else int(side * factors[axis])  # type: ignore[index]
        if out % side:
            yield Finding(
                f"nearest up-sampling of {side} to {out} pixels repeats some pixels more often than others",
                f"use a whole factor, or {out - out % side} pixels, or mode 'bilinear'",
                "upsampling",
            )
            return
