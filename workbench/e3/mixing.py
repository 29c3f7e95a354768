"""From the weights of an edge product's paths to what its frame needs: a mixing matrix, or numbers, for each |m|."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from workbench.e3.product import EdgeProduct, Path


class Mixer:
    """From the weights of paths to the mixing matrices of each |m|: one product with P, then a change of order."""

    def __init__(self, layer: EdgeProduct, like: Tensor):
        crossed = not layer.reflections
        inputs, outputs, top = layer._inputs, layer._outputs, layer._top
        self.shapes = [(inputs.width - inputs.starts[m], outputs.width - outputs.starts[m]) for m in range(top + 1)]
        if crossed:
            self.shapes += self.shapes[1:]
        self.groups: list[tuple[Tensor | None, Tensor, tuple[int, int]]] = []
        places = [torch.full(shape, -1, dtype=torch.long) for shape in self.shapes]
        offset = 0
        for shape in sorted({path.shape for path in layer.paths}):
            paths = [path for path in layer.paths if path.shape == shape]
            rows: dict[tuple[int, int, int], dict[int, float]] = {}
            for at, path in enumerate(paths):
                for number, value in enumerate(layer._column(path).tolist()):
                    where = _matrix(layer, path, number, crossed)
                    if where is not None and abs(value) > 1e-14:
                        matrix, sign = where
                        rows.setdefault((path.source, path.target, matrix), {})[at] = sign * value
            table = torch.zeros(len(rows), len(paths), dtype=torch.float64)
            size = math.prod(shape)
            for row, ((source, target, matrix), values) in enumerate(rows.items()):
                for at, value in values.items():
                    table[row, at] = value
                m = matrix if matrix <= top else matrix - top
                first = inputs.slots[source].column - inputs.starts[m]
                second = outputs.slots[target].column - outputs.starts[m]
                numbers = torch.arange(offset + row * size, offset + (row + 1) * size).view(shape)
                places[matrix][first : first + shape[0], second : second + shape[1]] = numbers
            index = torch.cat([torch.arange(path.start, path.start + size) for path in paths])
            whole = len(paths) == len(layer.paths)
            self.groups.append((None if whole else index.to(like.device), table.to(like), (len(paths), size)))
            offset += len(rows) * size
        order = torch.cat([place.flatten() for place in places])
        self.order = torch.where(order < 0, offset, order).to(like.device)

    def __call__(self, weight: Tensor) -> list[Tensor]:
        parts = [
            (table @ (weight if index is None else weight[index]).view(shape)).flatten()
            for index, table, shape in self.groups
        ]
        pool = torch.cat([*parts, weight.new_zeros(1)])
        pieces = pool.index_select(0, self.order).split([math.prod(shape) for shape in self.shapes])
        return [piece.view(shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


class EdgeMixer:
    """The same where each edge has weights of its own, channel by channel: ``(E, P C)`` for P paths.

    Numbers of one |m| come out as ``(E, blocks in, blocks out, C)``, 0 between blocks that no path joins.
    """

    def __init__(self, layer: EdgeProduct, like: Tensor):
        crossed = not layer.reflections
        inputs, outputs, top = layer._inputs, layer._outputs, layer._top
        self.channels = layer.irreps_in[0].mul
        shapes = [(inputs.width - inputs.starts[m], outputs.width - outputs.starts[m]) for m in range(top + 1)]
        self.shapes = [(rows // self.channels, columns // self.channels) for rows, columns in shapes]
        if crossed:
            self.shapes += self.shapes[1:]
        self.sizes = [math.prod(shape) for shape in self.shapes]
        table = torch.zeros(sum(self.sizes), len(layer.paths), dtype=torch.float64)
        for at, path in enumerate(layer.paths):
            for number, value in enumerate(layer._column(path).tolist()):
                where = _matrix(layer, path, number, crossed)
                if where is None:
                    continue
                matrix, sign = where
                m = matrix if matrix <= top else matrix - top
                row = (inputs.slots[path.source].column - inputs.starts[m]) // self.channels
                column = (outputs.slots[path.target].column - outputs.starts[m]) // self.channels
                table[sum(self.sizes[:matrix]) + row * self.shapes[matrix][1] + column, at] += sign * value
        self.table = table.to(like)

    def __call__(self, weight: Tensor) -> list[Tensor]:
        pool = self.table @ weight.unflatten(1, (-1, self.channels))
        pieces = pool.split(self.sizes, 1)
        return [piece.unflatten(1, shape) for piece, shape in zip(pieces, self.shapes, strict=True)]


def _matrix(layer: EdgeProduct, path: Path, number: int, crossed: bool) -> tuple[int, int] | None:
    """In which mixing matrix the SO(2) number of a pair of blocks stands, and with which sign."""
    smaller = min(layer.irreps_in[path.source].ir.l, layer.irreps_out[path.target].ir.l)
    second = number > smaller
    m = number - smaller if second else number
    if m > layer._top:
        return None
    if crossed:
        return (layer._top + m if second else m), 1
    return m, -1 if second and layer._outputs.slots[path.target].exchanged else 1
