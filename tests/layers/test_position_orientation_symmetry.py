"""Networks over positions and orientations: symmetric under what moves their grid, beside broken twins."""

import pytest
import torch
from torch import Tensor

from tests.layers.orientations import ICOSAHEDRAL, TOL, answers, cloud, network
from tests.layers.symmetry import relative as relative_error
from tests.tolerances import BROKEN, EXACT, SPACE
from workbench.groups import O3, SO2, SO3
from workbench.groups.orientations import icosahedral_rotations
from workbench.layers.position_orientation import PositionOrientationNet


def error(net: PositionOrientationNet, matrix: Tensor, seed: int = 1) -> float:
    """Relative error of the vectors of a turned cloud, and of its scalars, the larger one; turned in float64."""
    dtype = next(net.parameters()).dtype
    x, scalars, vectors = cloud(net.dim, seed=seed)
    plain, turned = (
        [part.double() for part in answers(net, *(part.to(dtype) for part in given))]
        for given in ((x, scalars, vectors), (x @ matrix.T, scalars, vectors @ matrix.T))
    )
    return max(relative_error(turned[0], plain[0]), relative_error(turned[1], plain[1] @ matrix.T))


def sixty() -> Tensor:
    return SO3().matrix(icosahedral_rotations(torch.float64))


def turns(dim: int, count: int) -> Tensor:
    group = SO3() if dim == 3 else SO2()
    return group.matrix(group.sample(count, torch.Generator().manual_seed(3), dtype=torch.float64))


@pytest.mark.parametrize("grid", ICOSAHEDRAL)
def test_rotations_that_permute_the_grid_are_symmetries_to_rounding(grid):
    net = network(grid)
    assert max(error(net, matrix) for matrix in sixty()[1::6]) <= TOL
    assert error(network("fibonacci(12)"), sixty()[7]) > BROKEN, "the twin: a grid that they do not permute"
    net.points[0] = -net.points[0]
    assert error(net, sixty()[7]) > BROKEN, "the twin: one orientation the wrong way"


@pytest.mark.parametrize("grid", [*ICOSAHEDRAL, "edges"])
def test_networks_of_single_precision_are_as_symmetric_as_it_allows(grid):
    net = network(grid, dtype=torch.float32)
    assert max(error(net, matrix) for matrix in sixty()[1::12]) <= SPACE[torch.float32]
    twin = network("fibonacci(12)", dtype=torch.float32)
    assert error(twin, sixty()[7]) > BROKEN, "the twin: a grid that they do not permute"


def test_weights_that_belong_to_other_orientations_are_the_twin_of_the_union():
    net = network("icosahedral(32)")
    net.weights[:] = net.weights.roll(3)
    assert error(net, sixty()[7]) > EXACT[torch.float32]


@pytest.mark.parametrize(
    ("count", "invariants", "separable"),
    [(8, "plane4", True), (5, "plane4", True), (8, "plane3", True), (8, "plane4", False)],
)
def test_turns_of_the_circle_are_symmetries_to_rounding(count, invariants, separable):
    net = network(f"circle({count})", invariants=invariants, separable=separable)
    angles = SO2().grid(count, dtype=torch.float64)
    assert max(error(net, SO2().matrix(angle)) for angle in angles) <= TOL
    assert error(net, SO2().matrix(angles[1] / 2)) > 1e3 * TOL


@pytest.mark.parametrize(("invariants", "exact"), [("ponita3", True), ("universal4", True), ("chiral5", False)])
def test_full_kernels_are_as_symmetric_and_only_the_determinant_sees_mirror_images(invariants, exact):
    net = network("icosahedron", invariants=invariants, separable=False, basis=4)
    assert max(error(net, matrix) for matrix in sixty()[1::20]) <= TOL
    mirror = -sixty()[5]
    assert (error(net, mirror) <= TOL) == exact


@pytest.mark.parametrize("invariants", ["ponita3", "universal4", "chiral5"])
def test_orientations_along_edges_are_exact_for_any_rotation_and_mirror_image(invariants):
    """The determinant of chiral5 is 0 here: the way between two edges that meet lies along one of them."""
    net = network("edges", invariants=invariants)
    group = O3()
    for element in group.sample(6, torch.Generator().manual_seed(3), dtype=torch.float64):
        assert error(net, group.matrix(element)) <= TOL
    assert error(network("icosahedron"), turns(3, 1)[0]) > 1e3 * TOL, "the twin: a grid"


def test_distances_are_exact_for_any_motion_and_have_no_vectors():
    net = network("distances", vectors_in=0, vectors_out=0)
    x, scalars, _ = cloud()
    plain = answers(net, x, scalars, None)[0]
    for matrix in turns(3, 3):
        assert relative_error(answers(net, x @ matrix.T + 5, scalars, None)[0], plain) <= TOL
    with pytest.raises(ValueError, match="vectors were asked"):
        network("distances")


def test_random_rotations_cost_what_the_grid_is_worth():
    """Designs beat a spiral of the same size, as in the table of the released code's study."""

    x, scalars, _ = cloud()

    def error_of_vectors(grid: str, seed: int, matrix: Tensor) -> Tensor:
        net = network(grid, seed, vectors_in=0, radius=None)
        plain, turned = (answers(net, 0.3 * each, scalars, None)[1].detach() for each in (x, x @ matrix.T))
        return torch.linalg.vector_norm(turned - plain @ matrix.T) / torch.linalg.vector_norm(plain)

    def median(grid: str) -> float:
        return float(torch.stack([error_of_vectors(grid, seed, m) for seed in range(4) for m in turns(3, 5)]).median())

    errors = {grid: median(grid) for grid in (*ICOSAHEDRAL, "fibonacci(32)")}
    assert errors["icosahedral(32)"] < errors["dodecahedron"] < errors["icosahedron"] < errors["fibonacci(32)"]


def test_points_may_come_in_any_order():
    net, (x, scalars, vectors) = network("icosahedron"), cloud()
    order = torch.tensor([3, 1, 0, 5, 4, 2])
    plain, other = answers(net, x, scalars, vectors), answers(net, x[order], scalars[order], vectors[order])
    for one, two in zip(plain, other, strict=True):
        assert relative_error(two, one[order]) <= TOL
