"""What is minimised beside the cross-entropy, and the parts of a model that a recipe treats on their own."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def distributions(model: nn.Module) -> list[Any]:
    """The learned distributions of a model, in its own order: modules with `project_` and `temperature`."""
    return [module for module in model.modules() if hasattr(module, "project_") and hasattr(module, "temperature")]


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Parameters by the rate they learn with: "weights" and "probs" (those of learned distributions, or dials).

    A model may decide itself by a method `parameter_groups()` that returns such a mapping.
    Raises ValueError where a group has another name or a parameter is left out or named twice.
    """
    own: Any = getattr(model, "parameter_groups", None)
    if own is not None:
        groups = {name: list(chosen) for name, chosen in own().items()}
    else:
        probs = {id(p): p for module in distributions(model) for p in module.parameters()}
        groups = {"weights": [p for p in model.parameters() if id(p) not in probs], "probs": list(probs.values())}
    if set(groups) - {"weights", "probs"}:
        raise ValueError(f"parameter_groups() names {sorted(groups)}; expected 'weights' and 'probs'")
    given = [id(p) for chosen in groups.values() for p in chosen]
    if len(given) != len(set(given)) or set(given) != {id(p) for p in model.parameters()}:
        raise ValueError("parameter_groups() must hold every parameter of the model exactly once")
    return {name: [p for p in chosen if p.requires_grad] for name, chosen in groups.items()}


def monotone_prior(arcs: list[Tensor]) -> Tensor:
    r"""Price of a later layer keeping more symmetry than the one before.

    sum_l relu(arc_{l+1} - arc_l); arcs: scalars in layer order. Romero & Lohit 2022, released code.

    >>> monotone_prior([torch.tensor(0.5), torch.tensor(0.75), torch.tensor(0.25)])
    tensor(0.2500)
    """
    if len(arcs) < 2:
        return torch.zeros(())
    depth = torch.stack([arc.reshape(()) for arc in arcs])
    return torch.relu(depth[1:] - depth[:-1]).sum()


def own_penalty(model: nn.Module) -> Tensor | float:
    """What a model adds to its loss by a method `penalty()`, a number that may have a gradient; 0 where it has none.

    Raises ValueError where that is no single number.

    >>> own_penalty(nn.ReLU())
    0.0
    """
    own: Any = getattr(model, "penalty", None)
    if own is None:
        return 0.0
    found = own()
    if not isinstance(found, Tensor) or found.numel() != 1:
        given = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise ValueError(f"penalty() of a {type(model).__name__} returned {given}; expected a tensor of one number")
    return found.reshape(())


def arcs(model: nn.Module) -> list[Tensor]:
    """The arc parameters of a model, in layer order."""
    found = (getattr(module, "theta", None) for module in distributions(model))
    return [theta for theta in found if isinstance(theta, nn.Parameter)]


class KernelNorms:
    """Un-squared norms of the kernels that one forward pass used, and of the biases added to their outputs.

    sum over layers of |generated kernel|_2 + |bias|_2: the "weight decay" of Romero & Lohit 2022 (released code).
    A layer that generates kernels makes them by `kernels.values(...)`: the block keeps what each forward pass made, so
    that the norms cost no second evaluation. Where a pass made none (its kernels were kept from an earlier one), or a
    layer offers only `bank(elements_out, elements_in, uniform)`, they are made again on the same elements. Hooks are
    taken away at the end.

    >>> plain = nn.Conv2d(1, 1, 1)
    >>> with KernelNorms(plain) as norms:
    ...     _ = plain(torch.zeros(1, 1, 1, 1))
    >>> bool(torch.isclose(norms.total(), plain.weight.norm() + plain.bias.norm()))
    True
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = [m for m in model.modules() if callable(getattr(m, "bank", None)) or isinstance(m, nn.Conv2d)]
        self.used: list[tuple[Any, Any]] = []  # layer, its kernels
        self._made: dict[int, Tensor] = {}
        self._heard: list[Any] = []
        self._hooks: list[Any] = []

    def __enter__(self) -> KernelNorms:
        self.used = []
        self._hooks = [layer.register_forward_hook(self._note) for layer in self.layers]
        for layer in self.layers:
            self._listen(layer)
        return self

    def __exit__(self, *_: object) -> None:
        for hook in self._hooks:
            hook.remove()
        for kernels in self._heard:
            del kernels.values  # the class's own method is seen again
        self._heard = []

    def _listen(self, layer: Any) -> None:
        kernels: Any = getattr(layer, "kernels", None)
        whole = getattr(kernels, "values", None)
        if not callable(whole):
            return

        def values(*given: Any, **named: Any) -> Tensor:
            made = whole(*given, **named)
            self._made.setdefault(id(layer), made)  # later ones only round: the first carry the slope of an arc
            return made

        kernels.values = values
        self._heard.append(kernels)

    def _note(self, layer: nn.Module, given: tuple, returned: Any) -> None:
        made = self._made.pop(id(layer), None)
        self.used.append((layer, _kernel(layer, given[0], returned) if made is None else made))

    def total(self) -> Tensor:
        """The sum of norms, differentiable in everything that made the kernels."""
        norms = [kernel.norm() for _, kernel in self.used]
        norms += [layer.bias.norm() for layer, _ in self.used if isinstance(layer.bias, Tensor)]
        return torch.stack(norms).sum() if norms else torch.zeros(())


def _kernel(layer: Any, given: Any, returned: Any) -> Tensor:
    """The kernel tensor that led from one signal to the next."""
    if isinstance(layer, nn.Conv2d):
        return layer.weight
    elements = getattr(given, "elements", None)  # an image has none
    uniform = returned.uniform and getattr(given, "uniform", True)
    with torch.autocast(returned.values.device.type, enabled=False):
        return layer.bank(returned.elements, elements, uniform)
