"""How group elements act on group signals: (L_g F)(x, h) = F(g^-1 x, g^-1 h).

The plane is moved as an image; the group axis by a permutation where g maps the signal's elements onto
themselves, otherwise by trigonometric interpolation along a whole uniform rotation axis.
"""

import math

import torch
from torch import Tensor

from workbench.actions.images import act
from workbench.actions.lattice import affine, angle_and_mirror
from workbench.groups import Group, GroupSignal

_MATCH = 1e-4  # radians: closer elements are the same one; float32 angles after products stay below 1e-5


def transform_signal(
    signal: GroupSignal,
    g: Tensor,
    group: Group | None = None,
    *,
    resampler: str = "bicubic",
    padding: str = "zeros",
) -> GroupSignal:
    r"""Act with one element on a group signal: :math:`(L_g F)(x, h) = F(g^{-1} x, g^{-1} h)`.

    Args:
        signal: values ``(B, C, G, H, W)`` and their elements.
        g: one element ``(element_dim,)`` of ``group``, angles in radians, shifts in pixels of the signal.
        group: the group of ``g``; the signal's own where it is not given. Shifts leave the group axis alone.
        resampler, padding: as in :func:`workbench.actions.transform_image`.

    Returns:
        The moved signal on the same elements. Gate weights move along with their elements.

    Raises:
        ValueError: where g does not map the elements onto themselves and they are no whole uniform circle
            (a partial arc), or g is a mirror and the signal has no mirrored elements.

    >>> import math, torch
    >>> from workbench.groups import SO2, GroupSignal
    >>> signal = GroupSignal(torch.rand(1, 1, 4, 3, 3), SO2().grid(4), SO2())
    >>> moved = transform_signal(signal, torch.tensor([math.pi / 2]))
    >>> torch.equal(moved.values[:, :, 1], torch.rot90(signal.values[:, :, 0], 1, (-2, -1)))
    True
    """
    if not isinstance(signal, GroupSignal):
        raise ValueError(
            f"a {type(signal).__name__} was given; expected a GroupSignal; transform_image acts on images."
        )
    group = signal.group if group is None else group
    g = torch.as_tensor(g)
    if g.ndim != 1:
        raise ValueError(f"an element of shape {tuple(g.shape)} was given; expected ({group.element_dim},).")
    values = transform_signals(signal, g.unsqueeze(0), group, resampler=resampler, padding=padding)[0]
    moved = signal.with_values(values)
    if signal.weights is None or bool((signal.weights == 1).all()):
        return moved
    source, exact = permutations(signal, affine(g.unsqueeze(0), group)[0])
    if not exact[0]:
        raise ValueError(
            "a signal with gate weights was given with an element that does not map its elements onto "
            "themselves; expected one that permutes them; open every gate, or use a lattice angle."
        )
    weights = signal.weights[source[0].to(signal.weights.device)]
    return GroupSignal(values, signal.elements, signal.group, weights, signal.uniform, signal.volumes)


def transform_signals(
    signal: GroupSignal,
    elements: Tensor,
    group: Group,
    *,
    resampler: str = "bicubic",
    padding: str = "zeros",
    each: bool = False,
) -> Tensor:
    """Values of the signal moved by every element: ``(E, B, C, G, H, W)``.

    With ``each`` the signal's batch is ``E`` stacks of ``B`` (``values (E*B, C, G, H, W)``), and element e acts
    on stack e alone. Other arguments and errors as in :func:`transform_signal`.
    """
    matrix, _ = affine(elements, group)
    stacks = len(matrix) if each else 1
    batch, rest = signal.values.shape[0] // stacks, signal.values.shape[1:]
    folded = signal.values.reshape(stacks, -1, *rest[-2:])
    moved = act(folded, elements, group, resampler, padding).view(len(matrix), batch, *rest)
    return _move_group_axis(moved, signal, matrix)


def _move_group_axis(values: Tensor, signal: GroupSignal, matrix: Tensor) -> Tensor:
    """Values at h taken from g^-1 h along the group axis of ``(E, B, C, G, H, W)``, g in ``matrix (E, 2, 2)``."""
    source, exact = permutations(signal, matrix)
    still = source == torch.arange(source.shape[1])
    if bool((exact & still.all(1)).all()):
        return values
    moved = torch.empty_like(values)
    rest = (~exact).nonzero().flatten().to(values.device)
    if len(rest):
        weights = interpolation(signal, matrix[~exact]).to(values)
        part = values if len(rest) == len(values) else values[rest]
        mixed = (weights[:, None, None] @ part.flatten(-2)).view(part.shape)
        if part is values:
            return mixed
        moved[rest] = mixed
    for e in exact.nonzero().flatten().tolist():
        moved[e] = values[e].index_select(2, source[e].to(values.device))
    return moved


def permutations(signal: GroupSignal, matrix: Tensor) -> tuple[Tensor, Tensor]:
    """The place of g^-1 h in the list for each h, ``(E, G)``, and whether all of them are in the list, ``(E,)``."""
    angle, mirror, wanted_angle, wanted_mirror = _wanted(signal, matrix)
    gap = (torch.remainder(wanted_angle[..., None] - angle + math.pi, 2 * math.pi) - math.pi).abs()
    distance, source = torch.where(wanted_mirror[..., None] == mirror, gap, torch.inf).min(-1)
    return source, (distance < _MATCH).all(-1)


def interpolation(signal: GroupSignal, matrix: Tensor) -> Tensor:
    """Trigonometric interpolation along the rotation axis, ``(E, G, G)``: row h gives the weights of F at g^-1 h.

    Raises:
        ValueError: for elements that are no whole uniform circle.
    """
    angle, mirror, wanted_angle, wanted_mirror = _wanted(signal, matrix)
    if not _whole_circles(angle, mirror):
        raise ValueError(
            f"a signal on {len(angle)} elements of {signal.group.name} that are no whole uniform circle was given "
            "with an element that does not map them onto themselves; expected a uniform grid, because nothing is "
            "known outside a partial arc; use partial_layer_error, or only the end-to-end output."
        )
    same = wanted_mirror[..., None] == mirror
    if not bool(same.any(-1).all()) and not signal.group.isometric:
        raise ValueError(
            f"a signal on {len(angle)} elements of {signal.group.name} was given with an element that stretches; "
            "expected a rotation, because nothing is known beyond the stretches of the list; compare inner elements of "
            "signals, or only the end-to-end output."
        )
    if not bool(same.any(-1).all()):
        raise ValueError(
            f"a mirror was given for a signal without mirrored elements on {signal.group.name}; expected a rotation; "
            "measure with SO2, or only the end-to-end output."
        )
    count = int((mirror == mirror[0]).sum())
    return torch.where(same, _dirichlet(wanted_angle[..., None] - angle, count), 0.0)


def _wanted(signal: GroupSignal, matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Angle and mirror of each element h ``(G,)``, and of each g^-1 h ``(E, G)``, in float64.

    Of a group that stretches the number of the stretch stands for the mirror, -1 for one that is not in the list.
    """
    own = signal.group.matrix(signal.elements.detach().double().cpu())
    lengths = matrix.mT @ matrix
    if bool(
        (lengths - lengths[..., :1, :1] * torch.eye(2, dtype=matrix.dtype, device=matrix.device)).abs().max() > 1e-6
    ):
        raise ValueError(
            f"a stretch was given for a signal on {signal.group.name}; expected rotations, mirrors, scalings and "
            f"shifts, because a stretch does not move the elements of {signal.group.name} onto themselves; compare "
            "only the end-to-end output."
        )
    wanted = torch.linalg.inv(matrix.cpu()).unsqueeze(1) @ own
    if not signal.group.isometric:
        squares = own.mT @ own  # of h = R P the stretch P alone, which no rotation from the left changes
        return *_turn_and_stretch(own, squares), *_turn_and_stretch(wanted, squares)
    return *angle_and_mirror(own), *angle_and_mirror(wanted)


def _turn_and_stretch(matrix: Tensor, squares: Tensor) -> tuple[Tensor, Tensor]:
    """The angle of R in R P, and the first element of the list ``squares (G, 2, 2)`` of P^2 with the same P."""
    angle = torch.atan2(matrix[..., 1, 0] - matrix[..., 0, 1], matrix[..., 0, 0] + matrix[..., 1, 1])
    apart = ((matrix.mT @ matrix).unsqueeze(-3) - squares).flatten(-2).norm(dim=-1)
    close = apart < _MATCH * squares.flatten(-2).norm(dim=-1)
    return angle, torch.where(close.any(-1), close.double().argmax(-1), -1)


def _whole_circles(angle: Tensor, mirror: Tensor) -> bool:
    """Whether the elements of each component are evenly spaced around the whole circle."""
    for component in mirror.unique():
        ordered = torch.remainder(angle[mirror == component], 2 * math.pi).sort().values
        steps = torch.diff(ordered, append=ordered[:1] + 2 * math.pi)
        if bool((steps - 2 * math.pi / len(ordered)).abs().max() > _MATCH):
            return False
    return True


def _dirichlet(gap: Tensor, count: int) -> Tensor:
    """The periodic sinc of ``count`` samples: the band-limited function that is 1 at 0 and 0 at the others."""
    half = torch.remainder(gap + math.pi, 2 * math.pi) - math.pi
    bottom = torch.sin(half / 2) if count % 2 else torch.tan(half / 2)
    near = bottom.abs() < 1e-12
    ratio = torch.sin(count * half / 2) / (count * torch.where(near, torch.ones_like(bottom), bottom))
    return torch.where(near, torch.ones_like(ratio), ratio)
