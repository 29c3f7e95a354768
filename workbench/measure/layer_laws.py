"""How the outputs of inner layers move with points, series and sets: where a shape leaves several laws, by a trial."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import Tensor, nn

from workbench.measure.behaviour import Behaviour, candidates, choose
from workbench.measure.compare import Action, tensor_of
from workbench.measure.inference import TRIAL_SAMPLES, errors_of_laws, stated_irreps
from workbench.measure.probe import LIST_DIMS, Output, copied, run
from workbench.measure.state import undisturbed


def layer_laws(
    model: Callable, inputs: Tensor, layers: dict[str, nn.Module], action: Action, seed: int, select: Any = None
) -> dict[str, Behaviour]:
    """The law of every watched output that can be compared, by name, chosen as that of the result is.

    Args:
        inputs: of which four are moved by the elements of ``action`` (a few, none of them the identity).
        select: the part of the model's result that is wanted.

    >>> import torch
    >>> from workbench.groups import SO3
    >>> net = nn.Sequential(nn.Tanh(), nn.Linear(3, 3))
    >>> action = Action(SO3().sample(3), SO3(), "bicubic", "border", "none", (5, 3), input_kind="points")
    >>> layer_laws(net, torch.rand(4, 5, 3), {"0": net[0]}, action, 0)["0"].kind
    'vectors'
    """
    inputs = inputs[:TRIAL_SAMPLES]
    with undisturbed(model, seed):
        before = _outputs(model, inputs, layers, select)
        moved = action.there(action.source(inputs)).flatten(0, 1).to(inputs.dtype)
        after = _outputs(model, moved, layers, select)
    found, everywhere = {}, replace(action, mask="none")
    modules = dict(model.named_modules()) if isinstance(model, nn.Module) else {}
    for name, value in before.items():
        laws = candidates(value, inputs, action.group, action.input_kind)
        place = name.split(" (call ")[0].split("[")[0]  # what it states, or the whole that it is a compiled part of
        laws += stated_irreps((modules.get(place), modules.get(place.rpartition(".")[0])), value, action)[:1]
        if laws and name in after:
            found[name] = laws[0] if len(laws) == 1 else _tried(value, after[name], laws, everywhere)
    return found


def _tried(before: Output, after: Output, laws: list[Behaviour], action: Action) -> Behaviour:
    """The law that the trial speaks for, held against an output that stays where it is."""
    same = tensor_of(before)
    still = errors_of_laws(before, same.repeat(len(action.elements), *[1] * (same.ndim - 1)), laws, action)
    return choose(laws, errors_of_laws(before, after, laws, action), still)


def _outputs(model: Callable, inputs: Tensor, layers: dict[str, nn.Module], select: Any) -> dict[str, Output]:
    found: dict[str, Output] = {}

    def receive(name: str, value: Output) -> None:
        found[name] = copied(value)

    run(model, inputs, layers, False, receive, select=select, dims=LIST_DIMS)
    return found
