"""Neighbour lists against a slow loop: batches, cells of any shape, atoms outside the cell, trees, and no neighbour."""

import itertools

import pytest
import torch
from torch import Tensor

from tests.tolerances import SPACE
from workbench.e3 import graphs
from workbench.e3.graphs import neighbours, split_points
from workbench.groups import O3

TRICLINIC = torch.tensor([[4.0, 0.0, 0.0], [1.5, 3.5, 0.0], [-1.0, 0.7, 5.0]], dtype=torch.float64)


def points(count: int, spread: float = 2.0) -> Tensor:
    return spread * torch.randn(count, 3, generator=torch.Generator().manual_seed(count), dtype=torch.float64)


def slow(positions: Tensor, cutoff: float, batch: Tensor, cell: Tensor | None = None, reach: int = 6) -> set:
    """Every pair, one by one, and every image of a wide block of cells."""
    found = set()
    steps = torch.arange(-reach, reach + 1, dtype=positions.dtype)
    images = torch.cartesian_prod(steps, steps, steps) if cell is not None else torch.zeros(1, 3, dtype=positions.dtype)
    for i, j in itertools.product(range(len(positions)), repeat=2):
        if batch[i] != batch[j]:
            continue
        vectors = positions[j] - positions[i] + (images @ cell[batch[i]] if cell is not None else images)
        near = (vectors.norm(dim=-1) < cutoff) & ((images != 0).any(-1) | (i != j))
        found |= {(j, i, *row) for row in vectors[near].mul(1e6).round().long().tolist()}
    return found


def as_set(edges: graphs.Edges) -> set:
    rows = edges.vector.detach().mul(1e6).round().long().tolist()
    pairs = zip(edges.sender.tolist(), edges.receiver.tolist(), rows, strict=True)
    return {(j, i, *row) for j, i, row in pairs}


@pytest.mark.parametrize("cutoff", [0.5, 2.0, 6.0])
@pytest.mark.parametrize("dense", [0, 2000], ids=["tree", "dense"])
def test_a_batch_of_point_sets(cutoff: float, dense: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphs, "DENSE", dense)
    batch = torch.tensor([0, 0, 1, 2, 0, 1, 1, 1, 2, 0, 0, 0])
    edges = neighbours(points(12), cutoff, batch)
    assert as_set(edges) == slow(points(12), cutoff, batch)
    assert len(as_set(edges)) == len(edges.sender)
    assert edges.receiver.dtype == torch.int64


@pytest.mark.parametrize("cutoff", [1.0, 3.0, 7.0])
@pytest.mark.parametrize("dense", [0, 2000], ids=["tree", "dense"])
def test_images_of_a_crooked_cell_also_of_points_outside_it(cutoff: float, dense: int, monkeypatch) -> None:
    monkeypatch.setattr(graphs, "DENSE", dense)
    x = points(3, 6.0)
    edges = neighbours(x, cutoff, cell=TRICLINIC.unsqueeze(0))
    batch = torch.zeros(3, dtype=torch.int64)
    expected = slow(x, cutoff, batch, TRICLINIC.unsqueeze(0))
    assert as_set(edges) == expected
    if cutoff > 5:
        assert any(j == i for j, i, *_ in expected)
        assert as_set(edges) != slow(x, cutoff, batch, TRICLINIC.mT.unsqueeze(0))  # columns read as lattice vectors


def test_sets_with_and_without_a_cell_in_one_batch() -> None:
    batch = torch.tensor([0, 0, 0, 1, 1])
    cell = torch.stack([torch.zeros(3, 3, dtype=torch.float64), TRICLINIC])
    edges = neighbours(points(5), 3.0, batch, cell)
    first = {edge for edge in as_set(edges) if edge[1] < 3}
    assert first == slow(points(5)[:3], 3.0, batch[:3])
    assert {edge for edge in as_set(edges) if edge[1] > 2} == {
        (j + 3, i + 3, *row) for j, i, *row in slow(points(5)[3:], 3.0, batch[:2], TRICLINIC.unsqueeze(0))
    }
    none = torch.zeros(2, 3, 3, dtype=torch.float64)
    assert as_set(neighbours(points(5), 3.0, batch, none)) == slow(points(5), 3.0, batch)


def test_a_cell_turned_with_its_points_has_the_turned_vectors() -> None:
    turn = O3().matrix(O3().sample(1, torch.Generator().manual_seed(0), torch.float64))[0]
    still = neighbours(points(4), 4.0, cell=TRICLINIC.unsqueeze(0))
    moved = neighbours(points(4) @ turn.T, 4.0, cell=(TRICLINIC @ turn.T).unsqueeze(0))
    ordered = [set(map(tuple, (e @ t).mul(1e6).round().long().tolist())) for e, t in (
        (still.vector, turn.T), (moved.vector, torch.eye(3, dtype=torch.float64)))]  # fmt: skip
    assert ordered[0] == ordered[1]
    unturned = neighbours(points(4) @ turn.T, 4.0, cell=TRICLINIC.unsqueeze(0))
    assert len(unturned.sender) != len(still.sender) or as_set(unturned) != as_set(moved)


def test_vectors_lead_from_receiver_to_sender_and_are_differentiable() -> None:
    x = points(4).requires_grad_()
    cell = TRICLINIC.unsqueeze(0).clone().requires_grad_()
    edges = neighbours(x, 3.0, cell=cell)
    away = edges.vector.detach() - (x[edges.sender] - x[edges.receiver]).detach()
    whole = away @ torch.linalg.inv(TRICLINIC)
    assert (whole - whole.round()).abs().max() <= SPACE[torch.float64]
    edges.vector.square().sum().backward()
    assert torch.isfinite(x.grad).all()
    assert float(cell.grad.abs().max()) > 0
    assert (x.grad.sum(0)).abs().max() <= SPACE[torch.float64] * float(x.grad.abs().max())


@pytest.mark.parametrize("count", [1, 2])
def test_no_neighbour_is_legitimate(count: int) -> None:
    edges = neighbours(100 * points(count), 1.0)
    assert [tuple(part.shape) for part in edges] == [(0,), (0,), (0, 3)]


def test_a_point_is_never_its_own_neighbour_without_a_cell() -> None:
    twice = torch.zeros(3, 3)
    edges = neighbours(twice, 1.0)
    assert len(edges.sender) == 6
    assert not (edges.sender == edges.receiver).any()


def test_single_precision_and_many_points() -> None:
    x = points(2500, 12.0).float()
    edges = neighbours(x, 2.0)
    assert edges.vector.dtype == torch.float32
    near = torch.cdist(x.double(), x.double()) < 2.0
    assert len(edges.sender) == int(near.sum()) - 2500


BAD = [
    ({"positions": torch.zeros(0, 3)}, "N at least 1"), ({"positions": torch.zeros(4, 2)}, r"\(N, 3\)"),
    ({"positions": torch.zeros(4, 3, dtype=torch.int64)}, "float"),
    ({"positions": torch.tensor([[0.0, 0, 0], [0, float("nan"), 0]])}, "point 1 is the first"),
    ({"cutoff": -1}, "positive number"), ({"cutoff": "5"}, "positive number"), ({"cutoff": float("inf")}, "positive"),
    ({"batch": torch.zeros(3, dtype=torch.int64)}, r"\(4,\)"), ({"batch": [0, 0, 0, 0]}, "int64"),
    ({"batch": torch.tensor([0, 0, 0, -1])}, "from 0"), ({"batch": torch.tensor([0, 0, 0, 10**9])}, "below the number"),
    ({"cell": torch.eye(3)}, "unsqueeze"), ({"cell": torch.tensor([[[1.0, 0, 0], [0, 1, 0], [0, 0, 0]]])}, "no volume"),
    ({"cell": torch.eye(3)[None] / 0}, "finite"), ({"cell": 1e-3 * torch.eye(3)[None]}, "images"),
]  # fmt: skip


@pytest.mark.parametrize(("given", "sentence"), BAD, ids=[sentence for _, sentence in BAD])
def test_what_cannot_be_gets_a_sentence(given: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        neighbours(**{"positions": torch.rand(4, 3), "cutoff": 5.0} | given)


def test_half_precision_has_the_same_neighbours_and_absurd_cutoffs_are_refused() -> None:
    points = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0], [5.0, 0.0, 0.0]])
    assert neighbours(points.half(), 2.0).sender.tolist() == neighbours(points, 2.0).sender.tolist() == [1, 0]
    with pytest.raises(ValueError, match=r"cutoff = 1e\+200 was given; expected a positive number, at most 1e\+06"):
        neighbours(points, 1e200)


def test_molecules_in_one_tensor_are_split_and_numbers_that_are_not_whole_are_refused() -> None:
    given = torch.cat([points(6).view(2, 3, 3), torch.tensor([[6.0, 1, 8], [1, 1, 16.0004]])[..., None]], -1)
    positions, numbers, batch = split_points(given)
    assert torch.equal(positions, points(6))
    assert numbers.tolist() == [6, 1, 8, 1, 1, 16]
    assert batch.tolist() == [0, 0, 0, 1, 1, 1]
    for wrong, said in ((6.4, "6.4"), (6.002, "6.002"), (float("nan"), "NaN"), (-float("inf"), "-inf")):
        given[1, 0, 3] = wrong
        with pytest.raises(ValueError, match=f"^{said} was given as the atomic number of atom 0 of point set 1"):
            split_points(given)
    for shape in ((2, 3), (2, 3, 3), (2, 0, 4)):
        with pytest.raises(ValueError, match=r"expected \(B, N, 4\)"):
            split_points(torch.ones(shape))
    with pytest.raises(ValueError, match="points of type list"):
        split_points([[0.0] * 4])  # type: ignore[arg-type]
