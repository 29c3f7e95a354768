"""Infinitesimal group elements on point sets and series, beside those on images: what moves, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.groups import SO2, SO3, Group, Scale, Translation
from workbench.measure import laws
from workbench.measure.behaviour import Behaviour, Moved, input_kind_of, parse_behaviour
from workbench.measure.compare import Action, shaped, tensor_of
from workbench.measure.generators import UNITS, Generator, named_generator
from workbench.measure.inference import checked_inputs, infer_behaviour, size_of
from workbench.measure.layer_laws import layer_laws
from workbench.measure.probe import LIST_DIMS, OUTPUT, Output, named_layers

_SMALL = 1e-5  # radians, units of the points or e-folds: half the step of a difference quotient in float64
_PLANE = {"SO2": "rotation", "O2": "rotation", "Scale": "scale"}
_LINE = {"Translation1": "translation x", "Scale(1)": "scale"}
_SPACE = tuple(f"{group} {axis}" for group in ("SO3", "Translation3") for axis in "xyz")
_KINDS = ("image", "series", "points")


@dataclass(frozen=True)
class Direction:
    """One way to move inputs of one kind: the group it is in, and the elements along it."""

    name: str
    group: Group
    at: Callable[[float], Tensor]  # the element at t, ``(element_dim,)``
    unit: str


def direction(group: Group | str, inputs: Any, given: str = "auto") -> tuple[str, Direction | None]:
    """What kind the inputs are, and the direction that is meant; ``None`` for images.

    >>> kind, found = direction("SO3 z", torch.zeros(2, 5, 3))
    >>> kind, found.name, found.at(0.0).tolist()
    ('points', 'SO3 z', [1.0, 0.0, 0.0, 0.0])

    Raises:
        ValueError: for a group of several directions, or one that does not act on such inputs.
    """
    name = str(group)
    if given not in ("auto", *_KINDS):
        raise ValueError(f"input = {given!r} was given; expected 'auto', {', '.join(map(repr, _KINDS))}.")
    if name in _LINE:
        kind, found = "series", _on_a_line(name)
    elif name in (*_SPACE, "Scale(3)"):
        kind, found = "points", _in_space(name)
    elif name in ("SO3", "O3", "E3", "Translation3"):
        turns = "SO3" if name != "Translation3" else name
        raise ValueError(
            f"group = {name!r} was given, which has several directions; expected one of them: "
            f"{', '.join(repr(f'{turns} {axis}') for axis in 'xyz')}."
        )
    else:
        kind = input_kind_of(inputs, SO2(), given)
        if kind == "image":
            return kind, None
        if kind == "series":
            raise _not_on(name, kind)
        found = _in_the_plane(named_generator(_PLANE.get(name, name)))
    if given not in ("auto", kind):
        raise _not_on(name, given)
    return kind, found


def _not_on(name: str, given: str) -> ValueError:
    return ValueError(
        f"group = {name!r} was given for input {given!r}; expected {', '.join(map(repr, _LINE))} for series, "
        f"{', '.join(map(repr, _SPACE))} or 'Scale(3)' for points in space, {', '.join(map(repr, UNITS))} otherwise."
    )


def _on_a_line(name: str) -> Direction:
    if name == "Scale(1)":
        return Direction(name, Scale(1), lambda t: torch.tensor([t]).double().exp(), "e-fold")
    return Direction(name, Translation(dim=1), lambda t: torch.tensor([t]).double(), "sample")


def _in_space(name: str) -> Direction:
    if name == "Scale(3)":
        return Direction(name, Scale(3), lambda t: torch.tensor([t]).double().exp(), "e-fold")
    axis = torch.eye(3, dtype=torch.float64)["xyz".index(name[-1])]
    if name.startswith("SO3"):
        return Direction(name, SO3(), lambda t: SO3().exp(t * axis), "rad")
    return Direction(name, Translation(dim=3), lambda t: t * axis, "unit of the points")


def _in_the_plane(name: str) -> Direction:
    if name == "rotation":
        return Direction(name, SO2(), lambda t: torch.tensor([t]).double(), "rad")
    if name == "scale":
        return Direction(name, Scale(), lambda t: torch.tensor([t]).double().exp(), "e-fold")
    axis = torch.eye(2, dtype=torch.float64)["xy".index(name[-1])]
    return Direction(name, Translation(), lambda t: t * axis, "unit of the points")


class OnPoints:
    """The same questions as of :class:`Generator`, of point sets: exact matrices, no pixels.

    Each output, by its layer's name, follows a law of motion.
    """

    dims = LIST_DIMS
    padding = mask = None

    def __init__(self, to: Direction, inputs: Tensor, laws: dict[str, Behaviour]) -> None:
        self.name, self.unit, self.laws = to.name, to.unit, laws
        elements = torch.stack([to.at(_SMALL), to.at(-_SMALL)])
        size = size_of(inputs, "points")
        self.action = Action(elements, to.group, "bicubic", "border", "none", size, torch.float64, "points")

    def moved(self, points: Tensor) -> Tensor:
        """X x of points ``(B, N, d + F)``."""
        return self._rate(Moved(points, Behaviour("points"))).to(points)

    def _rate(self, value: Moved) -> Tensor:
        there, back = laws.move(value.values.double().unsqueeze(0), self.action.elements, value.law, self.action)
        return (there - back) / (2 * _SMALL)

    def shaped(self, name: str, value: Output) -> Output:
        return shaped(value, self.laws[name])

    def sums(self, both: Output, step: float, apart: bool = True) -> np.ndarray:
        """As :meth:`Generator.sums`, ``(2, B, 1)``."""
        tensor = tensor_of(both).detach().double()
        first, second = tensor.reshape(2, len(tensor) // 2, *tensor.shape[1:])
        change, total = first - second, first + second
        if isinstance(both, Moved):
            change = change - 2 * step * self._rate(Moved(total / 2, both.law))
            total = laws.measured(total[None], total[None], both.law, self.action)[1][0]
        return np.stack([part.square().flatten(1).sum(1, keepdim=True).cpu().numpy() for part in (change, total)])

    def entries(self, value: Output) -> float:
        return float(tensor_of(value)[0].numel())


class OnSeries(Generator):
    """Series ``(B, C, L)`` as images of one row of pixels; all of it is compared."""

    dims = LIST_DIMS

    def __init__(self, to: Direction, inputs: Tensor, laws: dict[str, Behaviour], padding: str) -> None:
        super().__init__(_LINE[to.name], (1, inputs.shape[-1]), "none", padding)
        self.to, self.laws = to, laws

    @property
    def unit(self) -> str:
        return self.to.unit

    def moved(self, series: Tensor) -> Tensor:
        return super().moved(series.unsqueeze(-2)).squeeze(-2)

    def shaped(self, name: str, value: Output) -> Output:
        law = self.laws[name]
        tensor = tensor_of(shaped(value, law))
        if law.kind != "series":
            return tensor.flatten(1)
        return tensor.unsqueeze(-2) if tensor.ndim == 3 else tensor[:, None, None]


def generator_of(
    model: Callable, inputs: Tensor, group: Group | str, layers: str | Iterable[str], kind: str,
    output: str | Behaviour, mask: str, padding: str, seed: int,
) -> tuple[Generator | OnPoints, Tensor]:  # fmt: skip
    """How inputs of that kind and the outputs move, and the inputs as the model takes them."""
    kind, to = direction(group, inputs, kind)
    if to is None:
        if output != "auto":
            raise ValueError(f"output = {output!r} was given for images; expected 'auto': maps move, vectors stay.")
        name = named_generator(group)
        inputs = checked_inputs(model, inputs, SO2(), "image")
        return Generator(name, (inputs.shape[-2], inputs.shape[-1]), mask, padding), inputs
    inputs = checked_inputs(model, inputs, to.group, kind)
    law = parse_behaviour(output) if output != "auto" else infer_behaviour(model, inputs, to.group, kind, seed=seed)
    if law.kind == "unknown":
        raise ValueError(f"{law.why}; declare one with output=..., or wrap the model.")
    trial = (1.0, -2.0, 3.0) if to.unit == "sample" else (0.25, -0.25, 0.5)
    elements = torch.stack([to.at(t) for t in trial])
    action = Action(elements, to.group, "bicubic", padding, "none", size_of(inputs, kind), input_kind=kind)
    laws = layer_laws(model, inputs, named_layers(model, layers), action, seed) | {OUTPUT: law}
    return OnSeries(to, inputs, laws, padding) if kind == "series" else OnPoints(to, inputs, laws), inputs
