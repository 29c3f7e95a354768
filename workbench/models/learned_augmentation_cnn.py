"""Learned augmentation: a plain network averaged over moved copies, and how far they are moved is learned.

G. Benton, M. Finzi, P. Izmailov, A. G. Wilson, "Learning Invariances in Neural Networks", NeurIPS
2020, arXiv 2010.11882 (Augerino): the mean over k of f(exp(sum_i w_i e_ki G_i) x), e uniform on [-1, 1], with
loss - lambda |w|. Checked against the abstract and released code: six generators of affine motions, shifts a tenth of
the others, a uniform law on a box, the norm of all widths as the reward, which ends above a largest width; an example
draws its own motions, one copy of it in training and several in evaluation. Differences: there log-probabilities are
averaged, here logits, in training over as many copies as asked; there widths pass a softplus and span [-w/2, w/2], here
they are used as |w|; in evaluation the K draws are fixed and even. With widths that are not learned and one copy it is
plain augmentation: pictures move in training, and not in evaluation. Unverified: the paper's numbers and its factor
lambda on images (the code's default is 0.01). :mod:`workbench.models.augmented_cnn` is the same mean with the law of a
partial layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.models._checks import check_amount, check_integers, check_switches
from workbench.models.plain_cnn import PlainCNN, read_settings

GENERATORS: dict[str, tuple[tuple[float, float, float], tuple[float, float, float]]] = {
    "shift_x": ((0.0, 0.0, 0.1), (0.0, 0.0, 0.0)),
    "shift_y": ((0.0, 0.0, 0.0), (0.0, 0.0, 0.1)),
    "turn": ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0)),
    "scale": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "stretch": ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    "shear": ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
}
"""Rows of each generator in (x to the right, y up, 1); the half image is 1, so a shift by w = 1 is a 20th of it."""

MOST = {"shift_x": 10.0, "shift_y": 10.0, "turn": math.pi}
"""Widths above which nothing more is gained: the image is gone, or the circle is whole; 1 for the others."""


class LearnedAugmentation(nn.Module):
    """A network averaged over K copies of each image, each moved by exp(sum_i w_i e_i G_i) with learned widths w.

    With "turn" alone, w = pi and K = 4 m copies its mean is exactly invariant to quarter turns in evaluation.
    """

    generators: Tensor
    most: Tensor

    def __init__(
        self,
        network: nn.Module,
        names: tuple[str, ...],
        copies: int,
        start: float,
        reward: float,
        training_copies: int | None = None,
        learned: bool = True,
    ):
        super().__init__()
        self.network, self.names, self.n, self.reward = network, names, copies, reward
        self.drawn = training_copies or copies
        rows = torch.tensor([[*GENERATORS[name], (0.0, 0.0, 0.0)] for name in names])
        self.register_buffer("generators", rows, persistent=False)
        self.register_buffer("most", torch.tensor([MOST.get(name, 1.0) for name in names]), persistent=False)
        self.width = nn.Parameter(torch.full((len(names),), float(start)), requires_grad=learned)

    def forward(self, x: Tensor) -> Tensor:
        """Square images ``(B, C, H, H)`` to logits ``(B, classes)``, the mean over copies."""
        if x.ndim != 4 or x.shape[-1] != x.shape[-2]:
            raise ValueError(
                f"LearnedAugmentation: images of shape {tuple(x.shape)} were given; expected (B, C, H, H)."
            )
        if self.training:
            drawn = torch.rand(self.drawn, len(x), len(self.names), dtype=x.dtype, device=x.device) * 2 - 1
        else:
            drawn = even(self.n, len(self.names)).to(x)[:, None].expand(-1, len(x), -1)
        copies = moved(x, self.motions(drawn))
        return self.network(copies.flatten(0, 1)).unflatten(0, (len(copies), len(x))).mean(0)

    def motions(self, drawn: Tensor) -> Tensor:
        """exp(sum_i |w_i| e_i G_i) ``(..., 3, 3)`` of draws e ``(..., generators)`` in [-1, 1]."""
        algebra = torch.einsum("...i,ijk->...jk", drawn * self.width.abs(), self.generators.to(drawn))
        return torch.linalg.matrix_exp(algebra)

    def widths(self) -> dict[str, float]:
        """How far each generator moves at most: radians for "turn", half images / 10 for shifts, e-folds for others."""
        return dict(zip(self.names, self.width.detach().abs().tolist(), strict=True))

    def penalty(self) -> Tensor:
        """What training adds to the loss: minus reward times the norm of the widths, each up to its largest."""
        return -self.reward * torch.minimum(self.width.abs(), self.most).norm()

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The widths learn with a rate of their own."""
        return {"weights": list(self.network.parameters()), "probs": [self.width]}

    def extra_repr(self) -> str:
        """Generators and number of copies."""
        return f"{', '.join(self.names)}, copies={self.n}"


def even(copies: int, generators: int) -> Tensor:
    """Draws ``(copies, generators)`` spread evenly over [-1, 1]: midpoints, then multiples of golden-ratio roots.

    >>> even(4, 1).flatten().tolist()
    [-0.75, -0.25, 0.25, 0.75]
    """
    at = torch.arange(copies, dtype=torch.float64)
    root = 1.0
    for _ in range(50):  # of r^generators = 1 + r, for which multiples of 1 / r, 1 / r^2, ... spread evenly
        root = (1 + root) ** (1 / max(generators, 2))
    columns = [(at + 0.5) / copies, *((0.5 + (at + 1) * root**-i) % 1 for i in range(1, generators))]
    return torch.stack(columns, 1) * 2 - 1


def moved(x: Tensor, motions: Tensor) -> Tensor:
    """Square images ``(B, C, H, H)`` moved by affine ``motions (S, B, 3, 3)``, bilinear: ``(S, B, C, H, H)``."""
    if not len(x):
        return x.new_empty(len(motions), *x.shape)
    flip = motions.new_tensor([1.0, -1.0, 1.0])  # rows of the sampling grid grow downwards
    back = flip[:, None] * torch.linalg.inv(motions) * flip  # each pixel looks back along the motion
    copies = x.expand(len(motions), *x.shape).flatten(0, 1)
    grid = nn.functional.affine_grid(back.flatten(0, 1)[:, :2], list(copies.shape), align_corners=False)
    sampled = nn.functional.grid_sample(copies, grid, mode="bilinear", align_corners=False)
    return sampled.unflatten(0, (len(motions), len(x)))


def build(config: Mapping[str, Any]) -> nn.Module:
    """A plain CNN with learned augmentation, from square images ``(B, C, H, H)`` to logits ``(B, classes)``.

    Args:
        config: ``generators`` (("turn",), names of :data:`GENERATORS`), ``copies`` K (8), in training
            ``training_copies`` (None: also K), ``start`` (0.3, every width), ``reward`` lambda (0.05), ``learned``
            (True), and what :func:`workbench.models.plain_cnn.build` takes.

    Raises:
        ValueError: for generators that are unknown, named twice or none, negative numbers, or another key.

    >>> build({"classes": 2, "generators": ("turn", "scale")}).widths().keys()
    dict_keys(['turn', 'scale'])
    """
    own: dict[str, Any]
    defaults = {"generators": ("turn",), "copies": 8, "start": 0.3, "reward": 0.05}
    defaults |= {"training_copies": None, "learned": True}
    backbone, own = read_settings("learned_augmentation_cnn", config, **defaults)
    names = tuple(own["generators"]) if isinstance(own["generators"], tuple | list) else ()
    if not names or len(set(names)) < len(names) or not set(names) <= set(GENERATORS):
        raise ValueError(
            f"learned_augmentation_cnn: generators = {own['generators']!r} was given; expected some of "
            f"{', '.join(GENERATORS)}, each once, such as ('turn',)."
        )
    check_integers("learned_augmentation_cnn", copies=own["copies"])
    if own["training_copies"] is not None:
        check_integers("learned_augmentation_cnn", training_copies=own["training_copies"])
    check_switches("learned_augmentation_cnn", learned=own["learned"])
    check_amount("learned_augmentation_cnn", start=own["start"], reward=own["reward"])
    own["names"] = names
    del own["generators"]
    return LearnedAugmentation(PlainCNN(**backbone), **own)
