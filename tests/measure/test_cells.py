"""How a long sweep is cut: at whole forward passes, into pieces that hold no more than they may."""

import tracemalloc
import weakref
from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from workbench.measure import cells as cells_module
from workbench.measure import equivariance_error, equivariance_error_streamed
from workbench.measure.cells import cells

pytestmark = pytest.mark.slow


def images(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 1, size, size, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("samples", "at_once"), [(8, 4), (6, 4), (5, 4), (1, 16), (3, 16), (16, 16), (40, 16)])
@pytest.mark.parametrize("elements", [1, 7, 100])
def test_cells_end_where_a_forward_pass_of_the_whole_ends(samples: int, at_once: int, elements: int) -> None:
    found = list(cells(0, samples, elements, 3, at_once))
    together = max(1, at_once // (samples % at_once or at_once))
    assert [cell.first for cell in found] == [0, *(cell.last for cell in found[:-1])]
    assert found[-1].last == elements
    assert all(cell.first % together == 0 for cell in found)


class Live(TorchDispatchMode):
    """The largest sum of bytes of the tensors that were made inside and lived at one time."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, torch.Tensor):
                self._meet(value.untyped_storage())
        return result

    def _meet(self, storage: torch.UntypedStorage) -> None:
        key, size = storage.data_ptr(), storage.nbytes()
        if key in self.known or not size:
            return
        self.known.add(key)
        self.bytes += size
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self.known.discard(key)
        self.bytes -= size


class Wide(nn.Module):
    """A model with large layers between small ends."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(1, 64, 3, padding=1), nn.Conv2d(64, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(x).relu()).mean((2, 3))


def peak(run) -> int:
    """Bytes of tensors and of what Python and numpy hold, the largest sum of both peaks."""
    tracemalloc.start()
    with Live() as live:
        run()
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return live.peak + held


def batches(count: int, size: int = 8) -> Iterator[torch.Tensor]:
    for seed in range(count // 16):
        yield images(16, size, seed)


def test_memory_stays_below_the_stated_bound_however_many_samples_and_elements_there_are(tmp_path) -> None:
    torch.manual_seed(0)
    model, options = Wide().eval(), {"group": "SO2", "layers": "all", "batch_size": 16, "interval": "t"}
    n, b, s, layers, width = 64, 16, 16, 3, 64 * 72 + 8
    one_pass = [peak(lambda: equivariance_error(model, images(16, 8), n_elements=1, **options)) for _ in range(2)]
    alone = one_pass[1]  # the first one imports

    def run(count: int, elements: int) -> int:
        folder = tmp_path / f"{count}-{elements}"
        return peak(lambda: equivariance_error_streamed(
            model, batches(count), folder=folder, n_elements=elements, **options
        ))  # fmt: skip

    def bound(elements: int) -> float:
        return (
            4 * (s * n + 2 * b * width) + alone + 160 * layers * min(elements + 4, 32) * s + 8 * 7 * layers * elements
        )

    run(16, 4)  # imports what reads and writes files
    small, long, wide = run(32, 12), run(96, 12), run(32, 72)
    for found, elements in ((small, 12), (long, 12), (wide, 72)):
        assert found <= bound(elements) + 2**21  # files and attributes, a few hundred kB each
    assert long <= small + 2**20

    def at_once(count: int) -> int:
        x = torch.cat(list(batches(count)))
        return peak(lambda: equivariance_error(model, x, n_elements=12, **(options | {"batch_size": 256})))

    whole_peak = at_once(32), at_once(320)
    assert whole_peak[1] > 2 * whole_peak[0]  # the broken twin: everything in one pass
    assert whole_peak[1] > bound(12) + 2**21


def test_pieces_of_many_layers_hold_no_more_numbers_than_they_may() -> None:
    for layers, samples, elements in ((1, 256, 36), (60, 256, 360), (200, 4096, 720), (3, 256 * 4000, 4), (9, 3, 720)):
        for cell in cells(0, samples, elements, layers, 256):
            assert cell.last - cell.first <= cells_module.MOST_ELEMENTS + 256 // samples
            assert 5 * layers * cell.size <= max(cells_module.CELL_NUMBERS, 5 * layers * max(samples, 32 * 4 + 256))
