"""One run before the audit: does the network take these samples, and is what it says a number each time the same?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from workbench.audit.data import AuditData
from workbench.audit.kinds import NOUNS
from workbench.audit.model import AuditedModel
from workbench.groups import GroupSignal
from workbench.measure import undisturbed
from workbench.measure.compare import tensor_of
from workbench.measure.entry import NO_GRADIENT, fed
from workbench.measure.inference import refuse_without_numbers
from workbench.measure.probe import like_model, why_not
from workbench.measure.result import measurable, selected
from workbench.measure.state import ways_of

NOISE = 1e-6
"""Relative difference of two runs on the same images, above which a network counts as stochastic."""


@dataclass(frozen=True)
class Trial:
    """What one run showed.

    Attributes:
        output: in words.
        vectors: the output is one number or one vector for each sample.
        noise: how much two runs on the same samples differ, relative.
        shape: of the output for one sample.
        ways: how it has to be run: ``"gradients"`` where it takes some inside and nobody asked for them, ``"writes"``
            where it changes the tensor that it is given.
    """

    output: str
    vectors: bool
    noise: float
    shape: tuple[int, ...] = ()
    ways: frozenset[str] = frozenset()


_CHANGES = {
    "image": "give their size or channels",
    "points": "give them another kind or shape, or wrap the network so that it takes one tensor (B, N, d): one of "
    "positions, atomic numbers and batch with workbench.models.molecular_potential.OfPoints",
}


def trial(model: Callable, inputs: Tensor, seed: int = 0, kind: str = "image") -> Trial:
    """Run the network twice on at most two samples.

    Args:
        kind: what the samples are.

    Raises:
        ValueError: it takes no such samples, puts out something that cannot be compared, or NaN.
    """
    some = like_model(model, inputs[:2])
    refuse_without_numbers(some)
    noun = NOUNS[kind]
    with undisturbed(model, seed):
        try:
            first, second = fed(model, some), fed(model, some)
            ways = frozenset(ways_of(model))
        except Exception as error:  # any layer of any network may object in its own way
            told = _first_line(error)
            if told.startswith("select = ") or NO_GRADIENT in told:
                raise
            if told.startswith("inputs of shape") and error.__cause__ is not None:
                told = _first_line(error.__cause__)  # the shape is told here
            change = _CHANGES.get(kind, "give them another kind or shape")
            raise ValueError(
                f"the network cannot take {noun} of shape {tuple(inputs.shape)}: {told}; {change}."
            ) from error
    selected(first, None)  # of several answers one has to be chosen
    if (problem := why_not(first, len(some))) and not measurable(first, len(some)):
        raise ValueError(
            f"the model puts out {problem.split('; expected')[0]}; wrap it so that it gives one tensor of real numbers "
            f"with a row for each of the {noun}."
        )
    one, two = tensor_of(first).double(), tensor_of(second).double()
    if not torch.isfinite(one).all():
        raise ValueError("the model puts out NaN or infinite numbers; expected finite ones; look at its weights.")
    noise = float((one - two).norm() / one.norm().clamp_min(1e-30)) if one.shape == two.shape else 1.0
    words = "a group signal" if isinstance(first, GroupSignal) else "maps" if one.ndim == 4 else "vectors"
    words = "numbers" if one.ndim == 3 else words
    told = f"{words} of shape {tuple(one.shape[1:])} for each {noun[:-1]}"
    return Trial(told, one.ndim <= 2, noise, tuple(one.shape[1:]), ways)


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__


def in_training(model: Callable) -> str:
    """That a network came in train() mode, where that makes a difference; empty where it does not."""
    if not isinstance(model, nn.Module) or not model.training:
        return ""
    norms = sum(isinstance(m, nn.modules.batchnorm._BatchNorm) and m.training for m in model.modules())
    several = f"{norms} batch norms use" if norms > 1 else "batch norm uses"
    return (
        f"The network came in train() mode and was measured in evaluation mode. In train() its {several} statistics of "
        "the batch, so that the output of a sample depends on the others: call eval() before it is used."
        if norms
        else ""
    )


def expected_input(found: AuditedModel) -> tuple[int | None, int | None]:
    """Channels and H = W that a network asks for, each None where it does not say."""
    channels = size = None
    if found.input_shape is not None:
        channels, size = found.input_shape[0] or None, found.input_shape[-1] or None
    elif isinstance(found.model, nn.Module):
        counts = (getattr(module, "in_channels", None) for module in found.model.modules())
        channels = next((count for count in counts if isinstance(count, int)), None)
    return channels if channels in (1, 3) else None, size


def prepare(found: AuditedModel, data: AuditData, mean: tuple[float, ...], std: tuple[float, ...]) -> AuditData:
    """The inputs as the network takes them: channels repeated where grey meets colour, then standardised."""
    inputs, notes = data.inputs, list(data.notes)
    if data.input != "image":
        if mean or std:
            raise ValueError(f"mean and std were given for {NOUNS[data.input]}; expected images; scale the data first.")
        return data
    if inputs.ndim != 4:
        raise ValueError(
            f"inputs of shape {tuple(inputs.shape)} were given; expected images (N, C, H, W), or another kind; name it "
            "with kind='series', 'points' or 'set'."
        )
    channels, _ = expected_input(found)
    if channels == 3 and inputs.shape[1] == 1:
        inputs = inputs.expand(-1, 3, -1, -1)
        notes.append("Grey images were repeated for the three channels that the network takes.")
    if found.images is not None and not data.ready and inputs.shape[1] == found.images.image_shape[0]:
        inputs = found.images.standardise(inputs)
        notes.append(f"Pixels were standardised as those of {found.images.name}, on which the run was trained.")
    if mean or std:
        inputs = _standardised(inputs, mean, std)
        notes.append(f"Pixels were standardised with mean {_list(mean) or 0} and standard deviation {_list(std) or 1}.")
    return replace(data, inputs=inputs.contiguous(), notes=tuple(notes))


def _standardised(inputs: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    channels = inputs.shape[1]
    shift, scale = (torch.tensor(values or (rest,)) for values, rest in ((mean, 0.0), (std, 1.0)))
    for name, values in (("mean", shift), ("std", scale)):
        if len(values) not in (1, channels) or not torch.isfinite(values).all():
            raise ValueError(f"{name} has {len(values)} numbers; expected one, or one for each of {channels} channels.")
    if (scale <= 0).any():
        raise ValueError(f"std = {_list(std)} was given; expected positive numbers.")
    return (inputs - shift.view(1, -1, 1, 1)) / scale.view(1, -1, 1, 1)


def _list(values: tuple[float, ...]) -> str:
    return ", ".join(f"{value:g}" for value in values)
