"""What each piece of a plain CNN becomes in a group CNN, and why some pieces cannot become anything."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from workbench.layers.convolution import GroupConv, LiftingConv
from workbench.layers.lattice import check_size, output_size
from workbench.layers.pointwise import (
    GroupBatchNorm,
    GroupDropout,
    GroupInstanceNorm,
    GroupLayerNorm,
    GroupPointwise,
)
from workbench.layers.pooling import GroupPool, GroupProjection

POINTWISE = (
    nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid,
    nn.Tanh, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Hardshrink, nn.Tanhshrink, nn.LogSigmoid, nn.Hardtanh,
    nn.Hardswish, nn.Hardsigmoid, nn.Threshold,
)  # fmt: skip
SAME_ON_IMAGES = (*POINTWISE, nn.BatchNorm2d, nn.InstanceNorm2d, nn.GroupNorm, nn.Dropout, nn.Dropout2d, nn.Identity)
GLOBAL = "put nn.AdaptiveAvgPool2d(1) or nn.AdaptiveMaxPool2d(1) before it"
FIXES = {  # steps of a forward pass that a module could do, and the module
    "relu": "use an nn.ReLU() module", "relu_": "use an nn.ReLU() module", "gelu": "use an nn.GELU() module",
    "silu": "use an nn.SiLU() module", "leaky_relu": "use an nn.LeakyReLU() module", "elu": "use an nn.ELU() module",
    "tanh": "use an nn.Tanh() module", "sigmoid": "use an nn.Sigmoid() module", "conv2d": "use an nn.Conv2d module",
    "dropout": "use an nn.Dropout module", "dropout2d": "use an nn.Dropout2d module",
    "batch_norm": "use an nn.BatchNorm2d module",
    "max_pool2d": "use an nn.MaxPool2d module", "boolean_dispatch": "use an nn.MaxPool2d module",
    "avg_pool2d": "use an nn.AvgPool2d module", "adaptive_avg_pool2d": "use an nn.AdaptiveAvgPool2d(1) module",
    "flatten": GLOBAL, "view": GLOBAL, "reshape": GLOBAL, "squeeze": GLOBAL, "size": GLOBAL, "getattr": GLOBAL,
    "mean": "use an nn.AdaptiveAvgPool2d(1) module", "amax": "use an nn.AdaptiveMaxPool2d(1) module",
    "max": "use an nn.AdaptiveMaxPool2d(1) module", "cat": "add the branches instead",
}  # fmt: skip
ARITHMETIC = ("add", "sub", "mul", "truediv", "size", "getattr", "getitem", "dim", "float")


@dataclass(frozen=True)
class Here:
    """What flows along one edge.

    ``kind`` is "image", "signal", "features" (invariant numbers after the projection) or "other"; ``size`` is
    (H, W) where known; ``scaled`` says that features still have the scaled number of channels.
    """

    kind: str
    size: tuple[int, int] | None = None
    scaled: bool = False


def refuse(name: str, module: nn.Module | str, why: str, fix: str) -> ValueError:
    """The sentence for a piece that cannot be converted."""
    what = module if isinstance(module, str) else str(module).split("\n")[0]
    return ValueError(f"to_group_cnn: {name} ({what}) {why}; {fix}.")


@dataclass
class Rules:
    """One method per kind of module; each gives the new module, or ``None`` to keep the old, and what flows on."""

    options: dict[str, Any]
    partial: bool
    width_scale: float

    def scaled(self, channels: int) -> int:
        """Channels inside the group network."""
        return max(1, round(channels * self.width_scale))

    def serves_both(self, module: nn.Module) -> bool:
        """Whether one module may be used on signals and on plain tensors."""
        return isinstance(module, (*POINTWISE, nn.Identity))

    def module(self, name: str, module: nn.Module, here: Here) -> tuple[nn.Module | None, Here]:
        """The new module for one call in the forward pass."""
        try:
            if here.kind == "features":
                return self._on_features(name, module, here)
            if isinstance(module, nn.Conv2d):
                return self._convolution(name, module, here)
            if here.kind == "signal":
                return self._on_signal(name, module, here)
        except ValueError as problem:
            if str(problem).startswith("to_group_cnn"):
                raise
            raise ValueError(f"to_group_cnn: {name}: {problem}") from problem
        if here.kind == "image" and not isinstance(module, SAME_ON_IMAGES):
            raise refuse(name, module, "works on the image before the first convolution", "put it after that")
        return None, here

    def function(self, name: str, owner: str, given: list[Here]) -> Here:
        """What a step between modules makes of its inputs."""
        kinds = [here.kind for here in given]
        if "signal" in kinds:
            return self._function_of_signals(name, owner, given)
        if "image" in kinds and name not in ARITHMETIC:
            raise refuse(f"{owner}.forward", name, "changes the image before the first convolution", "do it outside")
        for kind in ("features", "image"):
            if kind in kinds and name not in ("size", "getattr"):
                return given[kinds.index(kind)]
        return Here("other")

    def _function_of_signals(self, name: str, owner: str, given: list[Here]) -> Here:
        where = f"{owner}.forward"
        if name not in ("add", "iadd"):
            fix = FIXES.get(name, "use one of the modules that to_group_cnn knows, or plain sums of two branches")
            raise refuse(where, name, "works on a map with a group axis", fix)
        if [here.kind for here in given] != ["signal"] * 2:
            raise refuse(where, name, "adds something to a map that is no map of the same kind", "leave it out")
        if self.partial or self.options["sampling"] == "random":
            raise refuse(
                where, name, "adds two signals, whose elements differ when each layer draws its own",
                "use partial=False and sampling='grid'",
            )  # fmt: skip
        return given[0]

    def _convolution(self, name: str, conv: nn.Conv2d, here: Here) -> tuple[nn.Module, Here]:
        if here.kind == "other":
            raise refuse(name, conv, "is not on the way from the image", "feed it the image or a map")
        check_convolution(name, conv)
        first = here.kind == "image"
        kind: Any = LiftingConv if first else GroupConv
        new = kind(
            conv.in_channels if first else self.scaled(conv.in_channels),
            self.scaled(conv.out_channels),
            conv.kernel_size[0],
            stride=conv.stride[0],
            padding=conv.padding if isinstance(conv.padding, str) else conv.padding[0],
            padding_mode=conv.padding_mode,
            bias=conv.bias is not None,
            **self.options,
            **({} if first else {"partial": self.partial}),
        )
        new.to(conv.weight)
        return new, Here("signal", _after(name, new, here.size, new.kernel_size, new.stride, new.padding))

    def _on_signal(self, name: str, module: nn.Module, here: Here) -> tuple[nn.Module | None, Here]:
        if isinstance(module, nn.Identity):
            return None, here
        if isinstance(module, POINTWISE):
            return self._pointwise(module), here
        if isinstance(module, nn.Dropout | nn.Dropout2d):
            return GroupDropout(module.p, whole_channels=isinstance(module, nn.Dropout2d)), here
        if isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
            return self._norm(name, module), here
        if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
            return self._pool(name, module, here)
        if isinstance(module, nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d):
            return self._projection(name, module)
        raise refuse(name, module, *_why_not(module))

    def _pointwise(self, module: nn.Module) -> nn.Module:
        twin: Any = copy.deepcopy(module)
        if hasattr(twin, "inplace"):
            twin.inplace = False
        if isinstance(twin, nn.PReLU) and twin.num_parameters > 1 and self.width_scale != 1:
            twin = nn.PReLU(self.scaled(twin.num_parameters)).to(twin.weight)
        return GroupPointwise(twin)

    def _norm(self, name: str, module: Any) -> nn.Module:
        if isinstance(module, nn.GroupNorm):
            channels = self.scaled(module.num_channels)
            if module.num_groups == 1 and module.affine:
                return GroupLayerNorm(channels, module.eps)
            return GroupPointwise(nn.GroupNorm(module.num_groups, channels, module.eps, module.affine))
        channels = self.scaled(module.num_features)
        if isinstance(module, nn.BatchNorm2d):
            new = GroupBatchNorm(channels)
            new.norm = nn.BatchNorm3d(
                channels, module.eps, module.momentum, module.affine, module.track_running_stats
            )  # fmt: skip
            return new
        if module.track_running_stats:
            raise refuse(name, module, "keeps running statistics", "use track_running_stats=False or nn.BatchNorm2d")
        if module.affine:
            return GroupPointwise(nn.GroupNorm(channels, channels, module.eps))
        return GroupInstanceNorm(channels, module.eps)

    def _pool(self, name: str, pool: Any, here: Here) -> tuple[nn.Module, Here]:
        window, stride, padding = (
            _one(name, pool, key, getattr(pool, key)) for key in ("kernel_size", "stride", "padding")
        )
        odd = {
            "dilation": getattr(pool, "dilation", 1) not in (1, (1, 1)),
            "ceil_mode": pool.ceil_mode,
            "return_indices": getattr(pool, "return_indices", False),
            "divisor_override": getattr(pool, "divisor_override", None) is not None,
            "count_include_pad=False": padding > 0 and not getattr(pool, "count_include_pad", True),
        }
        if used := [key for key, value in odd.items() if value]:
            raise refuse(name, pool, f"uses {', '.join(used)}", "leave that at its default")
        kind = "max" if isinstance(pool, nn.MaxPool2d) else "mean"
        new = GroupPool(window, stride, padding, kind, exact=self.options["exact"])
        return new, replace(here, size=_after(name, new, here.size, window, stride, padding))

    def _projection(self, name: str, pool: Any) -> tuple[nn.Module | None, Here]:
        if pool.output_size not in (1, (1, 1)):
            raise refuse(name, pool, "leaves more than one pixel, so what follows sees positions", "use output size 1")
        kind = "max" if isinstance(pool, nn.AdaptiveMaxPool2d) else "mean"
        return nn.Sequential(GroupProjection(kind), nn.Unflatten(1, (-1, 1, 1))), Here("features", None, True)

    def _on_features(self, name: str, module: nn.Module, here: Here) -> tuple[nn.Module | None, Here]:
        if self.width_scale == 1 or not here.scaled or not any(True for _ in module.parameters()):
            return None, here
        if isinstance(module, nn.Linear):
            new = nn.Linear(self.scaled(module.in_features), module.out_features, module.bias is not None)
            return new.to(module.weight), replace(here, scaled=False)
        if isinstance(module, nn.PReLU) and module.num_parameters == 1:
            return None, here
        raise refuse(name, module, "counts channels that width_scale changes", "use width_scale=1 or a Linear first")


def check_convolution(name: str, conv: nn.Conv2d) -> None:
    """Refuse what has no counterpart with kernels that turn."""
    if conv.groups != 1:
        raise refuse(name, conv, f"has groups={conv.groups}", "use groups=1")
    if conv.dilation not in (1, (1, 1)):
        raise refuse(name, conv, f"has dilation={conv.dilation}", "use dilation=1 and a larger kernel")
    if conv.padding_mode not in ("zeros", "circular"):
        raise refuse(name, conv, f"has padding_mode={conv.padding_mode!r}", "use 'zeros' or 'circular'")
    _one(name, conv, "kernel_size", conv.kernel_size)
    _one(name, conv, "stride", conv.stride)
    if not isinstance(conv.padding, str):
        _one(name, conv, "padding", conv.padding)


def _one(name: str, module: nn.Module, key: str, value: int | tuple[int, ...]) -> int:
    if isinstance(value, int):
        return value
    if len(set(value)) > 1:
        raise refuse(name, module, f"has {key}={value}, which a quarter turn would exchange", f"use equal {key}")
    return value[0]


def _after(
    name: str, new: Any, size: tuple[int, int] | None, window: int, stride: int, padding: int
) -> tuple[int, int] | None:
    if size is None:
        return None
    check_size(f"{type(new).__name__} in place of {name}", size, window, stride, padding, new.exact)
    return output_size(size, window, stride, padding)


def _why_not(module: nn.Module) -> tuple[str, str]:
    if isinstance(module, nn.Flatten | nn.Linear):
        return "makes the network see positions of a map", GLOBAL
    if isinstance(module, nn.LayerNorm):
        return "scales each pixel in its own way", "use nn.GroupNorm(1, channels)"
    if isinstance(module, nn.ZeroPad2d):
        return "pads outside a convolution", "give the convolution equal padding on every side"
    return "has no counterpart on groups", "use convolutions, norms, pointwise activations, dropout and pooling"
