"""What is minimised beside the cross-entropy, and the parts of a model that a recipe treats on their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn


def distributions(model: nn.Module) -> list[nn.Module]:
    """The learned distributions of a model, in its own order: modules with `project_` and `temperature`."""
    return [module for module in model.modules() if hasattr(module, "project_") and hasattr(module, "temperature")]


def parameter_groups(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """Parameters by the rate they learn with: "weights" and "probs" (those of learned distributions).

    A model may decide itself by a method `parameter_groups()` that returns such a mapping.
    Raises ValueError where a group has another name or a parameter is left out or named twice.
    """
    if hasattr(model, "parameter_groups"):
        groups = {name: list(chosen) for name, chosen in model.parameter_groups().items()}
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


def arcs(model: nn.Module) -> list[Tensor]:
    """The arc parameters of a model, in layer order."""
    found = (getattr(module, "theta", None) for module in distributions(model))
    return [theta for theta in found if isinstance(theta, nn.Parameter)]


class KernelNorms:
    """Un-squared norms of the kernels that one forward pass generated, and of the biases added to their outputs.

    sum over layers of |generated kernel|_2 + |bias|_2: the "weight decay" of Romero & Lohit 2022 (released code).
    A layer that generates kernels has a method `bank` whose result is the kernel tensor. Inside the block each
    call of it is noted; the layers are left as they were found.

    >>> plain = nn.Conv2d(1, 1, 1)
    >>> with KernelNorms(plain) as norms:
    ...     _ = plain(torch.zeros(1, 1, 1, 1))
    >>> bool(torch.isclose(norms.total(), plain.weight.norm() + plain.bias.norm()))
    True
    """

    def __init__(self, model: nn.Module) -> None:
        self.layers = list(_kernel_layers(model))
        self.kernels: list[Tensor] = []

    def __enter__(self) -> KernelNorms:
        self.kernels = []
        for layer in self.layers:
            if hasattr(layer, "bank"):
                object.__setattr__(layer, "bank", self._noting(layer.bank))
        return self

    def __exit__(self, *_: object) -> None:
        for layer in self.layers:
            layer.__dict__.pop("bank", None)

    def total(self) -> Tensor:
        """The sum of norms, differentiable in everything that made the kernels."""
        fixed = [layer.weight for layer in self.layers if not hasattr(layer, "bank")]
        biases = [layer.bias for layer in self.layers if isinstance(getattr(layer, "bias", None), Tensor)]
        norms = [tensor.norm() for tensor in (*self.kernels, *fixed, *biases)]
        return torch.stack(norms).sum() if norms else torch.zeros(())

    def _noting(self, bank: Any) -> Any:
        def noted(*given: Any, **named: Any) -> Tensor:
            kernel = bank(*given, **named)
            self.kernels.append(kernel)
            return kernel

        return noted


def _kernel_layers(model: nn.Module) -> Iterator[nn.Module]:
    """Layers that convolve: those with a kernel bank, and torch's own convolutions."""
    for module in model.modules():
        if callable(getattr(module, "bank", None)) or isinstance(module, nn.Conv2d):
            yield module
