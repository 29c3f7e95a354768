"""A plain network that is drawn towards quarter-turn equivariance by a penalty, not built for it.

H. Kim, H. Lee, H. Yang, J. Lee, "Regularizing Towards Soft Equivariance Under Mixed Symmetries", ICML 2023, arXiv
2306.00356: loss + sum over g of lambda_g |W - P_g W|^2, P_g the projection onto the weights that commute with symmetry
g; here quarter turns, half turns and a mirror on regular fields of convolutions
(:mod:`workbench.layers.quarter_turns`). Their automatic strengths: from some updates before update a the smallest
price r_g of each symmetry is kept, and at a each lambda_g is divided by (r_g / min_h r_h)^p, so that a symmetry that
the data lack, whose price stays large, loses its strength. Checked against the released code, which counts epochs
where this file counts updates; the paper's own settings on images are unverified. One symmetry alone keeps its strength
and has to be given one. The price pulls single weights, so that under Adam a large strength slows learning down.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workbench.layers.quarter_turns import SYMMETRIES, FieldBatchNorm2d, FieldConv2d, field_mean
from workbench.models._checks import check_amount, check_integers
from workbench.models.plain_cnn import PlainCNN, read_settings

WATCHED = 100  # updates before the automatic choice, over which the smallest prices are kept


class SoftCNN(PlainCNN):
    """The plain network with channels in fields of four and a price for what does not commute with its symmetries.

    With all weights at their projections (an infinite price) its logits are exactly invariant; with strength 0 it is
    the plain network but for its batch norm, whose statistics are those of whole fields.

    Attributes:
        symmetries: names of :data:`workbench.layers.quarter_turns.SYMMETRIES`.
        strengths: lambda of each, those of the present.
    """

    strengths: Tensor
    smallest: Tensor
    updates: Tensor

    def __init__(
        self, strength: float, symmetries: tuple[str, ...], automatic: int | None, power: float, **backbone: Any
    ):
        image = iter((True,))  # the first convolution reads it
        super().__init__(
            **backbone,
            convolution=lambda a, b, k, padding: FieldConv2d(a, b, k, padding, first=next(image, False)),
            norm=FieldBatchNorm2d,
        )
        self.symmetries, self.automatic, self.power = symmetries, automatic, power
        self.register_buffer("strengths", torch.full((len(symmetries),), float(strength)))
        self.register_buffer("smallest", torch.full((len(symmetries),), float("inf")))
        self.register_buffer("updates", torch.zeros((), dtype=torch.int64))

    def distances(self, symmetry: str = "C(4)") -> dict[str, Tensor]:
        """|W - P W|^2 of every layer by name, biases and the classifier included."""
        layers = {name: layer for name, layer in self.named_modules() if isinstance(layer, FieldConv2d)}
        found = {name: layer.distance(symmetry) for name, layer in layers.items()}
        seen = self.classifier.weight
        return {**found, "classifier": (seen - field_mean(seen, symmetry)).square().sum()}

    def prices(self) -> Tensor:
        """r_g ``(symmetries,)``, the sums of distances."""
        return torch.stack([torch.stack(list(self.distances(g).values())).sum() for g in self.symmetries])

    def penalty(self) -> Tensor:
        """What training adds to the loss: the sum over symmetries of strength times price.

        Called once an update; with automatic strengths it counts them while training.
        """
        prices = self.prices()
        if self.training and self.automatic is not None:
            self._adapt(prices.detach(), self.automatic)
        return (self.strengths * prices).sum()

    @torch.no_grad()
    def _adapt(self, prices: Tensor, automatic: int) -> None:
        """Keep the smallest prices for some updates, then rescale the strengths, once."""
        self.updates += 1
        if automatic - WATCHED < self.updates <= automatic:
            torch.minimum(self.smallest, prices, out=self.smallest)
        if self.updates == automatic:
            self.strengths.copy_(rescaled(self.strengths, self.smallest, self.power))

    @torch.no_grad()
    def project_weights(self, symmetry: str = "C(4)") -> None:
        """Make the network exactly invariant to a symmetry, by the smallest change of its weights."""
        for layer in self.modules():
            if isinstance(layer, FieldConv2d):
                layer.project_weights(symmetry)
        self.classifier.weight.copy_(field_mean(self.classifier.weight, symmetry))


def rescaled(strengths: Tensor, prices: Tensor, power: float) -> Tensor:
    """lambda_g / (r_g / min_h r_h)^p; a symmetry without any price keeps its strength.

    >>> rescaled(torch.ones(2), torch.tensor([1.0, 4.0]), 1.0).tolist()
    [1.0, 0.25]
    """
    share = torch.where(prices > 0, prices.min() / prices, torch.ones_like(prices))
    return strengths * share**power


def build(config: Mapping[str, Any]) -> nn.Module:
    """A softly equivariant CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``strength``, the factor lambda of the penalty (0.1); ``symmetries`` (("C(4)",); also "C(2)", "D(1)");
            ``automatic``, the update at which the strengths of several are rescaled (None: never), with the exponent
            ``power`` (1.0); and what :func:`workbench.models.plain_cnn.build` takes, with widths that are multiples of
            4.

    Raises:
        ValueError: for a negative number, symmetries that are unknown, named twice or none, one symmetry alone with
            automatic strengths, widths that do not divide into fields, or another key.

    >>> net = build({"classes": 2})
    >>> float(net.penalty().detach()) > 0
    True
    """
    own: dict[str, Any]
    defaults = {"strength": 0.1, "symmetries": ("C(4)",), "automatic": None, "power": 1.0}
    backbone, own = read_settings("soft_cnn", config, **defaults)
    names = tuple(own["symmetries"]) if isinstance(own["symmetries"], tuple | list) else ()
    if not names or len(set(names)) < len(names) or not set(names) <= set(SYMMETRIES):
        raise ValueError(
            f"soft_cnn: symmetries = {own['symmetries']!r} was given; expected some of {', '.join(SYMMETRIES)}, each "
            "once, such as ('C(4)',)."
        )
    check_amount("soft_cnn", strength=own["strength"], power=own["power"])
    if own["automatic"] is not None:
        check_integers("soft_cnn", automatic=own["automatic"])
        if len(names) == 1:
            raise ValueError(
                f"soft_cnn: automatic = {own['automatic']} was given with the symmetry {names[0]} alone, whose "
                "strength it would not change; expected several symmetries, or None."
            )
    return SoftCNN(own["strength"], names, own["automatic"], own["power"], **backbone)
