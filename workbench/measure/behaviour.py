"""What happens to a model's output when its input is moved: the kinds, how they are written, how one is chosen."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor

from workbench.groups import Group, GroupSignal
from workbench.groups.symmetric import Symmetric

KINDS = (
    "invariant",
    "image",
    "vector field",
    "series",
    "points",
    "vectors",
    "boxes",
    "key points",
    "irreps",
    "set",
    "group signal",
    "unknown",
)
FRAMES = ("centre", "pixels", "indices", "unit", "signed")
LAYOUTS = ("xyxy", "xywh", "cxcywh")
INPUTS = ("image", "series", "points", "set")
_OTHER_NAMES = {"segmentation": "image", "map": "image", "maps": "image", "classes": "invariant", "logits": "invariant"}
_IN_A_FRAME = ("boxes", "key points", "vector field")
_FITS = 0.5  # a law whose error is larger explains less than it leaves
_NOT_WORSE = 2.0  # another law has to be so many times better than the usual one before it is believed


@dataclass(frozen=True)
class Behaviour:
    """How an output moves with its input.

    Attributes:
        kind: one of :data:`KINDS`. ``"invariant"``: not at all. ``"image"``: as a picture, also class scores or labels
            per pixel. ``"vector field"``: as a picture whose channel pairs (x, y) turn. ``"points"``: turned and
            shifted. ``"vectors"``: turned only (and scaled, by scalings). ``"boxes"``, ``"key points"``: positions in
            the frame of the image; a mirror does not exchange the names of left and right key points.
            ``"irreps"``: by e3nn's matrices. ``"set"``: reordered with the input, otherwise unchanged.
        irreps: of ``"irreps"`` only, for example ``"8x0e+4x1o"``.
        confidence: in [0, 1]; 1 where declared or where the shape leaves no choice. After a trial (1 - e) (1 - e / e'),
            e the error of this law and e' that of the next best; for positions also times how much better it is than
            an answer that stays where it is.
        why: where it comes from, in words.
        frame: of boxes, key points and vector fields. ``"centre"``: pixels from the centre, x right, y up.
            ``"pixels"``: from the upper left corner of the frame, y down, the first pixel's centre at 0.5.
            ``"indices"``: column and row, the first pixel's centre at 0. ``"unit"``: ``"pixels"`` over the frame's
            width and height. ``"signed"``: from -1 to 1 over the frame, y down.
        layout: of boxes: ``"xyxy"`` (two corners), ``"xywh"`` (first corner, size) or ``"cxcywh"`` (centre, size).
        fits: false where a trial spoke for no law, and the usual one was taken.
    """

    kind: str
    irreps: str = ""
    confidence: float = 1.0
    why: str = "declared"
    frame: str = "centre"
    layout: str = "xyxy"
    fits: bool = True

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(
                f"output {self.kind!r} was given; expected 'auto' or one of {', '.join(map(repr, KINDS[:-1]))}."
            )
        if self.frame not in FRAMES or self.layout not in LAYOUTS:
            raise ValueError(
                f"frame {self.frame!r} and layout {self.layout!r} were given; expected one of {', '.join(FRAMES)}, and "
                f"one of {', '.join(LAYOUTS)}; write for example 'boxes cxcywh in unit'."
            )
        if (self.kind == "irreps") != bool(self.irreps):
            raise ValueError(
                f"kind {self.kind!r} with irreps {self.irreps!r} was given; expected representations exactly where the "
                "output is made of them; write for example 'irreps 8x0e+4x1o'."
            )

    def __str__(self) -> str:
        if self.kind == "irreps":
            return f"irreps {self.irreps}"
        layout = f" {self.layout}" if self.kind == "boxes" else ""
        return f"{self.kind}{layout}" + (f" in {self.frame}" if self.kind in _IN_A_FRAME else "")


@dataclass(frozen=True)
class Moved:
    """A tensor together with the law that moves it; bare tensors of images and vectors need none."""

    values: Tensor
    law: Behaviour


def parse_behaviour(text: str | Behaviour) -> Behaviour:
    """The behaviour of that name: a kind, with its frame, layout or representations where it has them.

    >>> parse_behaviour("key points in unit").frame, parse_behaviour("irreps 4x0e+1x1o").irreps
    ('unit', '4x0e+1x1o')
    >>> str(parse_behaviour("boxes cxcywh in unit"))
    'boxes cxcywh in unit'

    Raises:
        ValueError: for a text that is none of these.
    """
    if isinstance(text, Behaviour):
        return text
    words, _, frame = str(text).strip().partition(" in ")
    if words.startswith("irreps"):
        return Behaviour("irreps", irreps=words.removeprefix("irreps").strip())
    kind, layout = _OTHER_NAMES.get(words, words), "xyxy"
    if words.startswith("boxes "):
        kind, _, layout = words.partition(" ")
    if frame and kind not in _IN_A_FRAME:
        raise ValueError(f"output {text!r} was given; expected a frame for {', '.join(_IN_A_FRAME)} only.")
    usual = "pixels" if kind in ("boxes", "key points") else "centre"
    return Behaviour(kind, frame=frame.strip() or usual, layout=layout)


def input_kind_of(inputs: Tensor, group: Group, given: str = "auto") -> str:
    """What the inputs are, from their shape and the group: ``"image"``, ``"series"``, ``"points"`` or ``"set"``.

    >>> import torch
    >>> from workbench.groups import SO2, SO3
    >>> input_kind_of(torch.zeros(2, 1, 8, 8), SO2()), input_kind_of(torch.zeros(2, 5, 3), SO3())
    ('image', 'points')
    """
    if given != "auto":
        if given not in INPUTS:
            raise ValueError(f"input = {given!r} was given; expected 'auto', {', '.join(map(repr, INPUTS))}.")
        return given
    if isinstance(group, Symmetric):
        return "set"
    if group.dim == 3:
        return "points"
    if group.dim == 1:
        return "series"
    plane = isinstance(inputs, Tensor) and inputs.ndim == 3 and inputs.shape[-1] == 2
    return "points" if plane else "image"


def candidates(value: Any, inputs: Tensor, group: Group, input_kind: str) -> list[Behaviour]:
    """The laws that an output of this shape can follow, the usual one first; none where nothing is known for it."""
    if isinstance(value, GroupSignal):
        return [Behaviour("group signal")]
    return _BY_INPUT[input_kind](value, inputs, group)


def _of_image(value: Tensor, inputs: Tensor, group: Group) -> list[Behaviour]:
    if value.ndim == 4:
        fields = [Behaviour("vector field", frame=frame) for frame in ("centre", "pixels")]
        return [Behaviour("image"), *(fields if value.shape[1] == 2 else [])]
    if value.ndim == 3 and not value.is_floating_point():
        return [Behaviour("image")]
    last = value.shape[-1] if value.ndim in (2, 3) else 0
    found = [Behaviour("invariant")] if value.ndim <= 2 else []
    first = _frame_of(value)
    if last == 2:
        frames = ("pixels", "indices", "unit", "signed", "centre")
        found += [Behaviour("key points", frame=frame) for frame in sorted(frames, key=first.__ne__)]
    if last == 4:
        frames = ("pixels", "unit", "indices", "signed", "centre")
        corners = bool((value[..., 2:] >= value[..., :2]).all())
        layouts = LAYOUTS if corners else LAYOUTS[::-1]
        found += [
            Behaviour("boxes", frame=frame, layout=layout)
            for frame in sorted(frames, key=first.__ne__)
            for layout in layouts
        ]
    return found


def _frame_of(value: Tensor) -> str:
    """The frame that the range of positions speaks for: no picture of several pixels is measured in [0, 1] of them."""
    if not value.numel() or not value.is_floating_point() or bool(value.abs().max() > 1):
        return "pixels"
    return "signed" if bool(value.min() < 0) else "unit"


def _of_series(value: Tensor, inputs: Tensor, group: Group) -> list[Behaviour]:
    if value.ndim == 3:
        return [Behaviour("series")]
    same = value.ndim == 2 and value.shape[-1] == inputs.shape[-1]
    return [Behaviour("invariant"), *([Behaviour("series")] if same else [])] if value.ndim <= 2 else []


def _of_points(value: Tensor, inputs: Tensor, group: Group) -> list[Behaviour]:
    names = ["invariant"] if value.ndim <= 2 else ["set"] if value.shape[1] == inputs.shape[1] else ["invariant"]
    if value.shape[-1] == group.dim and value.ndim > 1:
        names += ["vectors", "points"]
    return [Behaviour(name) for name in names]


def _of_set(value: Tensor, inputs: Tensor, group: Group) -> list[Behaviour]:
    per_member = value.ndim > 1 and value.shape[1] == inputs.shape[1]
    return [Behaviour(name) for name in (("set", "invariant") if per_member else ("invariant",))]


_BY_INPUT = {"image": _of_image, "series": _of_series, "points": _of_points, "set": _of_set}


def choose(laws: list[Behaviour], errors: list[float], still: list[float] | None = None) -> Behaviour:
    """The law that the trial speaks for; the first one is the usual one.

    Args:
        errors: of each law in the trial.
        still: what an output that stays where it was would score under each law. An output near 0 lies far outside the
            frame's middle, where a short way is no large error: only a law that is twice as good as that is believed.

    >>> choose([Behaviour("image"), Behaviour("vector field")], [0.8, 1e-7]).kind
    'vector field'
    >>> choose([Behaviour("invariant"), Behaviour("boxes")], [2.5, 0.45], [0.0, 0.44]).kind
    'invariant'
    """
    best = min(range(len(laws)), key=lambda place: errors[place])
    bar = errors[0] if still is None or laws[best].kind == "invariant" else min(errors[0], still[best])
    taken = best if errors[best] < _FITS and errors[best] * _NOT_WORSE <= bar else 0
    rival = min((e for e in errors if abs(e - errors[taken]) > 1e-9 * (1 + errors[taken])), default=None)
    confidence = max(0.0, 1 - errors[taken]) * (1.0 if rival is None else max(0.0, 1 - errors[taken] / rival))
    if still is not None and laws[taken].kind in ("boxes", "key points"):  # in the middle they move hardly at all
        confidence *= max(0.0, 1 - errors[taken] / max(still[taken], 1e-12))
    per_kind: dict[str, float] = {}
    for law, error in zip(laws, errors, strict=True):
        per_kind[law.kind] = min(error, per_kind.get(law.kind, error))
    explained = errors[taken] < _FITS
    words = "errors in a trial" if explained else "taken as usual for its shape, nothing fits; errors"
    stays = f"; an answer that stays where it is scores {bar:.2g} as {laws[best].kind}"
    rest = stays if taken != best and errors[best] < _FITS and bar < errors[0] else ""
    return replace(
        laws[taken],
        fits=explained,
        confidence=round(float(confidence), 6),
        why=f"{words}: " + ", ".join(f"{kind} {error:.2g}" for kind, error in per_kind.items()) + rest,
    )
