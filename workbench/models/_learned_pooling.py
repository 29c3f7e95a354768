"""A read-out that weighs every element and every pixel by itself: a released switch that gives invariance up."""

from __future__ import annotations

from torch import Tensor, nn

from workbench.groups import GroupSignal


class LearnedPooling(nn.Module):
    """One learned weight for each of G * H * W positions, the same for every channel: ``(B, C, G, H, W) -> (B, C)``.

    Romero & Lohit 2022 (arXiv 2110.10211), released switch ``learnable_final_pooling``. Unless the weights become
    equal, the answer depends on where and at which orientation something was seen: equivariance ends here.

    Args:
        elements: G, fixed for good; a learned arc would change it.
        size: H and W.

    >>> import torch
    >>> from workbench.groups import SO2
    >>> signal = GroupSignal(torch.ones(2, 3, 4, 5, 5), SO2().grid(4), SO2())
    >>> tuple(LearnedPooling(4, (5, 5))(signal).shape)
    (2, 3)
    """

    exact = False  # it never is; the geometry report sets it to hear why

    def __init__(self, elements: int, size: tuple[int, int]):
        super().__init__()
        self.elements, self.size = elements, size
        self.weigh = nn.Linear(elements * size[0] * size[1], 1)

    def check_size(self, size: tuple[int, int]) -> None:
        """Say what breaks quarter turns, when asked for exactness."""
        if self.exact:
            raise ValueError(
                f"{self.elements} elements and {size[0]} x {size[1]} pixels have a learned weight each, so the answer "
                "depends on position and orientation; use learned_pooling=False"
            )

    def forward(self, signal: GroupSignal) -> Tensor:
        given, expected = tuple(signal.values.shape[2:]), (self.elements, *self.size)
        if given != expected:
            raise ValueError(
                f"LearnedPooling: a signal of {given[0]} elements on {given[1]} x {given[2]} pixels was given; "
                f"expected {expected[0]} on {expected[1]} x {expected[2]}, because each has its own weight; set n and "
                "the input size back, or build the network with learned_pooling=False."
            )
        return self.weigh(signal.values.flatten(2)).squeeze(-1)
