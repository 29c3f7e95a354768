"""The slow, obvious group convolution: one kernel point at a time, explicit matrices, explicit means."""

import math

import torch
from torch import Tensor

from workbench.groups import GroupSignal


def matrix(element: Tensor) -> Tensor:
    """D_m R_r from ``(r,)`` or ``(r, m)``."""
    element = element.detach()
    r, m = float(element[0]), float(element[1]) if len(element) == 2 else 1.0
    rotation = torch.tensor([[math.cos(r), -math.sin(r)], [math.sin(r), math.cos(r)]], dtype=torch.float64)
    return torch.diag(torch.tensor([m, 1.0], dtype=torch.float64)) @ rotation


def kernel_value(layer, x: float, y: float, h: Tensor, source: Tensor | None) -> Tensor:
    """k(h^-1 (x, y), h^-1 h') as a matrix ``(C_out, C_in)``, by one evaluation of the coordinate network."""
    bank = layer.kernels
    back = matrix(h).T  # an orthogonal matrix
    half = max((bank.kernel_size - 1) / 2, 1)
    point: list[float] = []
    if source is None or bank.kernel_size > 1:
        point += (back @ torch.tensor([x, y], dtype=torch.float64) / half).tolist()
    if source is not None:
        relative = back @ matrix(source)
        angle = math.atan2(relative[1, 0], relative[1, 1])
        if bank.spec.encoding == "periodic":
            point += [math.cos(angle), math.sin(angle)]
        else:
            point += [((angle + 1e-9) % (2 * math.pi) - 1e-9) / math.pi - 1]
        if len(source) == 2:
            point += [float(torch.linalg.det(relative).round())]
    value = bank.network(torch.tensor([point], dtype=torch.float64)) * bank.gain
    return value.view(bank.out_channels, bank.in_channels)


def taps(k: int):
    """Row, column and position (x, y), y up, of every tap in the disc."""
    radius = (k - 1) / 2 if k % 2 else k / 2
    for row in range(k):
        for column in range(k):
            x, y = column - (k - 1) / 2, (k - 1) / 2 - row
            if x * x + y * y <= radius * radius:
                yield row, column, x, y


def padded(x: Tensor, p: int, mode: str) -> Tensor:
    """``x (B, C, H, W)`` with p pixels of zeros, or of the opposite side, around it."""
    height, width = x.shape[-2:]
    if mode == "circular":
        rows = [i % height for i in range(-p, height + p)]
        columns = [j % width for j in range(-p, width + p)]
        return x[..., rows, :][..., columns]
    out = x.new_zeros(*x.shape[:2], height + 2 * p, width + 2 * p)
    out[..., p : p + height, p : p + width] = x
    return out


def convolution(layer, given: Tensor | GroupSignal, outputs: Tensor, gates: Tensor | None = None) -> Tensor:
    """What ``layer`` should answer at ``outputs``, ``(B, C_out, S_out, H', W')``."""
    signal = isinstance(given, GroupSignal)
    stack = given.values if signal else given[:, :, None]
    weights = given.weights if signal and given.weights is not None else torch.ones(stack.shape[2])
    k, s, p = layer.kernel_size, layer.stride, layer.padding
    height, width = ((side + 2 * p - k) // s + 1 for side in stack.shape[-2:])
    answers = []
    for h in outputs:
        total = 0.0
        for i, weight in enumerate(weights):
            source = given.elements[i] if signal else None
            image = padded(stack[:, :, i], p, layer.padding_mode)
            for row, column, x, y in taps(k):
                seen = image[..., row : row + s * height : s, column : column + s * width : s][..., :height, :width]
                total = total + weight * torch.einsum("oc,bchw->bohw", kernel_value(layer, x, y, h, source), seen)
        answers.append(total / weights.sum())
    out = torch.stack(answers, 2)
    if layer.bias is not None:
        out = out + layer.bias[:, None, None, None]
    return out if gates is None else out * gates[:, None, None]
