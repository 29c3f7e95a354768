"""A function on the plane and on a list of group elements: what flows between group layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from workbench.groups.base import Group, check_floating


@dataclass(frozen=True)
class GroupSignal:
    """Feature maps together with the group elements that they live on.

    Attributes:
        values: ``(B, C, G, H, W)``, the group axis right after the channels.
        elements: ``(G, element_dim)``.
        group: the group that the elements belong to.
        weights: ``(G,)`` straight-through gate values that the next layer's mean uses; ``None`` is all ones.
        uniform: whether the elements are a whole even grid of the group, or whole even circles of it (a common offset
            is allowed).
        volumes: ``(G,)`` what each element of a random list stands for in a mean over the group, 1 / p with respect to
            the Haar measure; ``None`` where all stand for the same.
    """

    values: Tensor
    elements: Tensor
    group: Group
    weights: Tensor | None = None
    uniform: bool = True
    volumes: Tensor | None = None

    def __post_init__(self) -> None:
        check_floating(self.values, "GroupSignal: values")
        if self.values.ndim != 5 or self.values.shape[2] != len(self.elements):
            raise ValueError(
                f"GroupSignal: values of shape {tuple(self.values.shape)} with {len(self.elements)} elements were "
                "given; expected (B, C, G, H, W) with G equal to the number of elements."
            )
        if not isinstance(self.group, Group):
            raise ValueError(f"GroupSignal: group {self.group!r} was given; expected a group; use parse_group.")
        if self.elements.shape[1:] != (self.group.element_dim,) or not len(self.elements):
            raise ValueError(
                f"GroupSignal: elements of shape {tuple(self.elements.shape)} were given; expected "
                f"(G, {self.group.element_dim}) with G >= 1 for {self.group}; use {self.group}.grid(n)."
            )
        for name, given in (("weights", self.weights), ("volumes", self.volumes)):
            if given is not None and given.shape != self.elements.shape[:1]:
                raise ValueError(
                    f"GroupSignal: {name} of shape {tuple(given.shape)} were given; expected "
                    f"({len(self.elements)},), one per element, or None."
                )

    @property
    def shares(self) -> Tensor | None:
        """Factors ``(G,)`` of the elements in a mean over the group, 1 on average; ``None`` for a plain mean."""
        if self.weights is None and self.volumes is None:
            return None
        weights = self.weights if self.volumes is None else self.volumes * (1 if self.weights is None else self.weights)
        assert weights is not None
        return weights * (len(weights) / weights.sum())

    def with_values(self, values: Tensor) -> GroupSignal:
        """The same elements carrying other values ``(B, C', G, H', W')``."""
        return replace(self, values=values)

    def map(self, function: Callable[[Tensor], Tensor]) -> GroupSignal:
        """Apply a function of the values that keeps the group axis."""
        return self.with_values(function(self.values))

    def __add__(self, other: GroupSignal) -> GroupSignal:
        """The sum of two signals on the same elements, as a residual block needs."""
        if not isinstance(other, GroupSignal):
            return NotImplemented
        same = self.elements is other.elements or (
            self.elements.shape == other.elements.shape and bool((self.elements == other.elements).all())
        )
        if not same:
            raise ValueError(
                f"GroupSignal: signals on {len(self.elements)} and {len(other.elements)} elements that differ were "
                "added; expected the same elements; evaluate the shortcut at the elements of the branch."
            )
        return self.with_values(self.values + other.values)

    def folded(self) -> Tensor:
        """The values as an ordinary image batch ``(B, C*G, H, W)``."""
        return self.values.flatten(1, 2)
