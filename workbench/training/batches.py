"""Batches whose order is a pure function of the seed and the step, so that any step can be the first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


class Batches:
    """Shuffled batches of one epoch, from the batch that belongs to optimiser step `step` to the epoch's end.

    Epoch e visits the images in the order permutation(seed, e); step s belongs to epoch s // len. The owner moves
    `step` on, so nothing has to be replayed or remembered to resume in the middle of an epoch.

    images (N, C, H, W), labels (N,); yields pairs (images (B, C, H, W), labels (B,)).

    >>> batches = Batches(torch.arange(5.0).view(5, 1, 1, 1), torch.arange(5), batch_size=2, seed=0)
    >>> len(batches), [len(labels) for _, labels in batches]
    (3, [2, 2, 1])
    """

    def __init__(self, images: Tensor, labels: Tensor, *, batch_size: int, seed: int, drop_last: bool = False) -> None:
        if len(images) == 0:
            raise ValueError("the training split is empty; expected at least one image")
        if drop_last and len(images) < batch_size:
            raise ValueError(
                f"the training split has {len(images)} images, fewer than one batch of {batch_size}, and drop_last "
                "leaves out smaller batches; lower training.batch_size or set training.drop_last to false"
            )
        self.images, self.labels = images, labels
        self.batch_size, self.seed, self.drop_last = batch_size, seed, drop_last
        self.step = 0

    def __len__(self) -> int:
        whole, rest = divmod(len(self.images), self.batch_size)
        return whole if self.drop_last or not rest else whole + 1

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        epoch, first = divmod(self.step, len(self))
        order = torch.from_numpy(np.random.default_rng([self.seed, epoch]).permutation(len(self.images)))
        order = order.to(self.images.device)
        for batch in range(first, len(self)):
            chosen = order[batch * self.batch_size : (batch + 1) * self.batch_size]
            yield self.images[chosen], self.labels[chosen]

    def to(self, device: torch.device | str) -> Batches:
        """Keep the images on `device`, so that no step copies any."""
        self.images, self.labels = self.images.to(device), self.labels.to(device)
        return self
