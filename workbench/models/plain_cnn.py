"""The plain baseline: the demonstration network's backbone with ordinary convolutions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import Any

from torch import Tensor, nn

from workbench.models._checks import check_integers, check_stages

DEFAULTS: dict[str, Any] = {
    "in_channels": 1, "classes": 10, "widths": (16, 16, 16, 32), "kernel_size": 5, "pools": (0, 1),
}  # fmt: skip


class PlainCNN(nn.Module):
    """Convolutions, batch norm and ReLU, two max poolings, the maximum over pixels, a linear classifier.

    It shares the depth, kernel sizes, pooling and read-out of the demonstration Partial G-CNN, and is equivariant to
    translations only. Other methods on the same backbone give their own ``convolution(C_in, C_out, k, padding=)``,
    ``norm(C)`` and 2x2 ``pool()``.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        widths: tuple[int, ...],
        kernel_size: int,
        pools: tuple[int, ...],
        *,
        convolution: Callable[..., nn.Module] = nn.Conv2d,
        norm: Callable[[int], nn.Module] = nn.BatchNorm2d,
        pool: Callable[[], nn.Module] = lambda: nn.MaxPool2d(2),
    ):
        super().__init__()
        channels = (in_channels, *widths)
        last = len(widths) - 1
        body: list[nn.Module] = []
        for stage, (a, b) in enumerate(pairwise(channels)):
            k = min(3, kernel_size) if stage == last else kernel_size
            body += [convolution(a, b, k, padding=k // 2), norm(b)]
            if stage in pools:
                body.append(pool())
            body.append(nn.ReLU())
        self.body = nn.Sequential(*body)
        self.largest = nn.AdaptiveMaxPool2d(1)
        self.classifier = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.classifier(self.largest(self.body(x)).flatten(1))


def read_settings(model: str, config: Mapping[str, Any], **own: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a configuration says of the backbone, and of a method's own settings, given in ``own`` with their defaults.

    Raises:
        ValueError: for another key, or a backbone that cannot be.

    >>> read_settings("soft_cnn", {"classes": 2}, strength=1.0)[1]
    {'strength': 1.0}
    """
    known = {**DEFAULTS, **own}
    given = {key: value for key, value in config.items() if key != "name"}
    if unknown := sorted(set(given) - set(known)):
        raise ValueError(f"{model}: {', '.join(unknown)} was given; expected only {', '.join(known)}.")
    chosen = {**known, **given}
    check_integers(model, **{key: chosen[key] for key in ("in_channels", "classes", "kernel_size")})
    widths, pools = check_stages(model, chosen["widths"], chosen["pools"])
    if chosen["kernel_size"] % 2 == 0:
        raise ValueError(f"{model}: kernel_size = {chosen['kernel_size']} was given; expected an odd number.")
    backbone = {**{key: chosen[key] for key in DEFAULTS}, "widths": widths, "pools": pools}
    return backbone, {key: chosen[key] for key in own}


def build(config: Mapping[str, Any]) -> nn.Module:
    """A plain CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``in_channels``, ``classes``, ``widths``, odd ``kernel_size``, ``pools`` (stages that 2x2 pooling
            follows), each with a default.

    Raises:
        ValueError: for another key, or an even kernel size.

    >>> import torch
    >>> tuple(build({"classes": 2})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    return PlainCNN(**read_settings("plain_cnn", config)[0])
