"""One call that turns the convolutions of a plain CNN into group convolutions.

The forward pass is read with ``torch.fx``, so that every step between two modules is seen: what would lose the
symmetry (a flattened map, a grouped convolution, a window that leaves pixels unseen) is refused by name.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from workbench.groups import Group
from workbench.kernels import KernelSpec
from workbench.layers.convert_rules import Here, Rules, refuse
from workbench.layers.lattice import as_size
from workbench.layers.pooling import GroupProjection
from workbench.layers.settings import group_layers


def to_group_cnn(
    model: nn.Module,
    group: Group | str = "C(8)",
    n: int | None = None,
    *,
    input_size: int | tuple[int, int] | None = None,
    width_scale: float = 1.0,
    partial: bool = False,
    sampling: str = "grid",
    kernel: KernelSpec | None = None,
    exact: bool = True,
) -> nn.Module:
    """A copy of a plain CNN whose convolutions are lifting and group convolutions.

    | plain | becomes |
    |---|---|
    | first Conv2d, later ones | LiftingConv, GroupConv |
    | BatchNorm2d, InstanceNorm2d, GroupNorm | the same statistics over group elements as well |
    | ReLU and other pointwise activations, Dropout, Dropout2d | the same on the values of a signal |
    | MaxPool2d, AvgPool2d | GroupPool |
    | AdaptiveAvgPool2d(1), AdaptiveMaxPool2d(1) | GroupProjection over elements and pixels, ``(B, C, 1, 1)`` |
    | everything after that, Linear layers included | kept as it is |
    | a network that ends in a map | the mean over elements at the end, ``(B, C, H, W)`` |

    Sums of two signals (residuals) are kept. **The convolutions' weights are new**: kernels come from fresh
    coordinate networks, and trained plain kernels are not carried over; train the result. The copy is otherwise
    the same object, with the same names.

    Args:
        model: its forward calls modules in order and may add residuals.
        group, n, sampling, kernel, exact: as in :class:`workbench.layers.LiftingConv`.
        partial: the group convolutions learn where their output elements lie.
        input_size: H and W, to refuse sizes at once; the result is then run once on zeros.
        width_scale: factor of the channels between the image and the first Linear layer. Multiply-adds grow with
            (n * channels)^2, so that 1 / n keeps those of the plain network.

    Raises:
        ValueError: naming the module that cannot be converted and the nearest fix.

    >>> import torch
    >>> from torch import nn
    >>> plain = nn.Sequential(
    ...     nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    >>> net = to_group_cnn(plain, "C(4)").eval()
    >>> x = torch.randn(1, 1, 8, 8)
    >>> torch.allclose(net(x.rot90(1, (-2, -1))), net(x), atol=1e-5)
    True
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"to_group_cnn: {type(model).__name__} was given; expected a torch.nn.Module.")
    if already := list(group_layers(model)):
        raise ValueError(f"to_group_cnn: the model has group layers already, {already[0]!r} first.")
    if not width_scale > 0:
        raise ValueError(f"to_group_cnn: width_scale = {width_scale} was given; expected a positive number.")
    options = {"group": group, "n": n, "sampling": sampling, "kernel": kernel, "exact": exact}
    size = None if input_size is None else as_size(input_size)
    twin = copy.deepcopy(model)
    if type(twin).__module__.startswith("torch.nn") and not isinstance(twin, nn.Sequential):
        twin = nn.Sequential(twin)
    walk = _Walk(twin, Rules(options, partial, width_scale), size)
    ends_in_map = walk.run()
    _swap(twin, walk.replacements)
    net = nn.Sequential(twin, GroupProjection("mean", over="group")) if ends_in_map else twin
    if size is not None:
        _try(net, walk.image_channels, size)
    return net


def _swap(model: nn.Module, replacements: dict[nn.Module, nn.Module]) -> None:
    """Put each new module wherever the old one stands, shared modules included."""
    for parent in list(model.modules()):
        for name, child in parent._modules.items():
            if child in replacements:
                parent._modules[name] = replacements[child]


def _try(net: nn.Module, channels: int, size: tuple[int, int]) -> None:
    modes = [(module, module.training) for module in net.modules()]
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, channels, *size))
    except Exception as problem:
        where = f"{size[0]} x {size[1]} pixels"
        raise ValueError(f"to_group_cnn: the converted network cannot run on {where}: {problem}") from problem
    finally:
        for module, training in modes:
            module.training = training


@dataclass
class _Walk:
    """What flows along each edge of the forward pass: an image, a group signal, or invariant features."""

    model: nn.Module
    rules: Rules
    size: tuple[int, int] | None
    image_channels: int = 0

    def __post_init__(self) -> None:
        self.replacements: dict[nn.Module, nn.Module] = {}
        self.met: dict[nn.Module, str] = {}
        self.flow: dict[Any, Here] = {}

    def run(self) -> bool:
        """Fill in the replacements; whether the network ends in a map."""
        steps: dict[str, Callable[[Any], Here]] = {
            "placeholder": self._input, "call_module": self._module, "call_function": self._function,
            "call_method": self._function, "get_attr": lambda node: Here("other"), "output": self._output,
        }  # fmt: skip
        for node in _read(self.model).nodes:
            self.flow[node] = steps[node.op](node)
        if not self.replacements:
            raise ValueError(f"to_group_cnn: {type(self.model).__name__} has no Conv2d on the way of its input.")
        return self.flow[node].kind == "signal"

    def _input(self, node: Any) -> Here:
        if self.flow:
            raise ValueError(f"to_group_cnn: the forward takes a second input, {node.name!r}; expected one image.")
        return Here("image", self.size)

    def _module(self, node: Any) -> Here:
        name, module = node.target, cast(Any, self.model.get_submodule(node.target))
        here = self.flow[node.args[0]] if node.args and node.args[0] in self.flow else Here("other")
        new, there = self.rules.module(name, module, here)
        if self.met.setdefault(module, here.kind) != here.kind and not self.rules.serves_both(module):
            why = f"is used on {self.met[module]} and on {here.kind}"
            raise refuse(name, module, why, "give each use its own module")
        if here.kind == "image" and there.kind == "signal":
            self.image_channels = module.in_channels
        if new is not None and module not in self.replacements:
            self.replacements[module] = new
        return there

    def _function(self, node: Any) -> Here:
        given = [self.flow[source] for source in node.all_input_nodes]
        name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", str(node.target))
        return self.rules.function(name, _owner(node, self.model), given)

    def _output(self, node: Any) -> Here:
        ends = [self.flow[source] for source in node.all_input_nodes]
        if len(ends) > 1 and any(end.kind == "signal" for end in ends):
            raise ValueError("to_group_cnn: the forward returns several things, a map among them; expected one output.")
        return replace(ends[0]) if ends else Here("other")


def _read(model: nn.Module) -> torch.fx.Graph:
    try:
        return torch.fx.Tracer().trace(model)
    except Exception as problem:
        raise ValueError(
            f"to_group_cnn: the forward pass of {type(model).__name__} could not be read ({problem}); expected one "
            "that calls its modules in a fixed order and adds residuals; move decisions on shapes or values out of it."
        ) from problem


def _owner(node: Any, model: nn.Module) -> str:
    """The module whose forward holds this step."""
    paths = [(path, kind) for path, kind in (node.meta.get("nn_module_stack") or {}).values() if path]
    return f"{paths[-1][0]} ({paths[-1][1].__name__})" if paths else type(model).__name__
