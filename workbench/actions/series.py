"""How shifts and scalings of a line act on 1-D signals: (L_g f)(t) = f(g^-1 t), t in samples from the middle."""

import math

import torch
from torch import Tensor

from workbench.actions.fourier import advance
from workbench.actions.images import PADDINGS, RESAMPLERS, act_affine, check_choice
from workbench.actions.lattice import TOLERANCE, affine_of
from workbench.groups import Group
from workbench.groups.base import check_floating


def transform_series(
    x: Tensor, elements: Tensor, group: Group, *, resampler: str = "bicubic", padding: str = "zeros"
) -> Tensor:
    r"""Act with every element on every signal: :math:`(L_g f)(t) = f(g^{-1} t)`.

    Args:
        x: signals ``(B, C, L)``, floating point.
        elements: ``(E, 1)``: shifts in samples towards later ones (``Translation(dim=1)``), or factors (``Scale(1)``:
            above 1 slows down, about the middle of the signal), or -1, which reverses it.
        group: ``Translation(dim=1)``, ``Scale(1)`` or ``O1()``.
        resampler: ``"nearest"``, ``"bilinear"`` (linear), ``"bicubic"`` (cubic) or ``"fourier"`` (shifts only,
            band-limited). Not used for shifts by whole samples.
        padding: what lies outside: ``"zeros"``, ``"border"`` or ``"circular"``.

    Returns:
        ``(E, B, C, L)``.

    Raises:
        ValueError: for other shapes or groups, NaN, or scalings by Fourier shifts.

    >>> from workbench.groups import Translation
    >>> transform_series(torch.tensor([[[1.0, 2.0, 3.0]]]), torch.tensor([[1.0]]), Translation(dim=1)).tolist()
    [[[[0.0, 1.0, 2.0]]]]
    """
    check_series(x, group)
    folded = x.reshape(1, -1, x.shape[-1])
    moved = act_on_series(folded, *series_affine(elements, group), resampler, padding)
    return moved.view(len(moved), *x.shape)


def series_affine(elements: Tensor, group: Group) -> tuple[Tensor, Tensor]:
    """Factor and shift in samples of each element, both ``(E,)``, float64 on the CPU."""
    if group.dim != 1:
        raise ValueError(
            f"the group {group.name} was given for 1-D signals; expected one that acts on a line: "
            "Translation(dim=1), Scale(1) or O1(), by name 'Translation1', 'Scale(1)' or 'O1'."
        )
    matrix, shift = affine_of(elements, group)
    return matrix[:, 0, 0], shift[:, 0]


def act_on_series(x: Tensor, scale: Tensor, shift: Tensor, resampler: str, padding: str) -> Tensor:
    """The core: ``x (E or 1, K, L)`` with factors and shifts ``(E,)`` give ``(E, K, L)``."""
    check_choice("resampler", resampler, RESAMPLERS)
    check_choice("padding", padding, PADDINGS)
    if resampler == "fourier" and bool(((shift - shift.round()).abs() > TOLERANCE).any()):
        return _fourier(x, scale, shift, padding)
    matrix = torch.diag_embed(torch.stack([scale, torch.ones_like(scale)], -1))
    both = torch.stack([shift, torch.zeros_like(shift)], -1)
    return act_affine(x.unsqueeze(-2), matrix, both, resampler, padding).squeeze(-2)


def _fourier(x: Tensor, scale: Tensor, shift: Tensor, padding: str) -> Tensor:
    if bool(((scale - 1).abs() > TOLERANCE).any()):
        raise ValueError(
            "a scaling was given to the resampler 'fourier'; expected shifts; use the resampler 'bicubic'."
        )
    length = x.shape[-1]
    margin = 0 if padding == "circular" else length // 2 + 2 + math.ceil(float(shift.abs().max()))
    wide = x.unsqueeze(-2) if margin == 0 else _widen(x, margin, padding)
    moved = advance(wide, -shift.to(x).view(-1, 1, 1, 1), -1)
    return moved[..., 0, margin : margin + length]


def _widen(x: Tensor, margin: int, padding: str) -> Tensor:
    mode = {"zeros": "constant", "border": "replicate"}[padding]
    return torch.nn.functional.pad(x, (margin, margin), mode=mode).unsqueeze(-2)


def check_series(x: Tensor, group: Group) -> None:
    """Refuse what is no batch of finite signals."""
    check_floating(x, "signals", numbers=True)
    if x.ndim != 3 or x.numel() == 0:
        raise ValueError(
            f"signals of shape {tuple(x.shape)} were given; expected (B, C, L); add the missing dimensions with "
            "unsqueeze."
        )
    if not torch.isfinite(x).all():
        raise ValueError("signals with NaN or infinite values were given; expected finite numbers; remove them.")
    series_affine(group.identity(torch.float64).unsqueeze(0), group)
