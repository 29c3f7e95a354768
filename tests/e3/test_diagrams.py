"""Diagrams: how many, how many independent ones, that each commutes with its group, products, layers, twins."""

import math

import pytest
import torch
from e3nn import o3
from e3nn.io import CartesianTensor

from tests.tolerances import BROKEN, EXACT, SPACE
from workbench.e3.diagrams import (
    Diagram,
    DiagramLinear,
    apply_diagram,
    diagrams,
    dimension,
    matchings,
    matrices,
    members,
    multiply_adds,
    partitions,
    sign_tensor,
    symplectic_form,
)
from workbench.e3.irreps import default_dtype

TIGHT = EXACT[torch.float64]


def element(group: str, n: int, seed: int = 0, mirror: bool = False) -> torch.Tensor:
    """A random member of the group as a matrix."""
    torch.manual_seed(seed)
    if group == "S":
        return torch.eye(n, dtype=torch.float64)[torch.randperm(n)]
    random = torch.randn(n, n, dtype=torch.float64)
    if group == "Sp":  # the exponential of J times a symmetric matrix
        return torch.linalg.matrix_exp(0.3 * symplectic_form(n) @ (random + random.T))
    turn = torch.linalg.qr(random)[0]
    turn[:, 0] *= torch.linalg.det(turn).sign()
    return turn * torch.tensor([-1.0 if mirror else 1.0] + [1.0] * (n - 1), dtype=torch.float64)


def moved(x: torch.Tensor, g: torch.Tensor, order: int) -> torch.Tensor:
    """g on each of the last ``order`` axes."""
    for axis in range(x.ndim - order, x.ndim):
        x = torch.tensordot(x, g, dims=([axis], [1])).movedim(-1, axis)
    return x


def null_space_dimension(group: str, n: int, lower: int, upper: int) -> int:
    """The referee: maps M with g M = M g for a few random members, by linear algebra alone."""
    rows = []
    for seed in range(3):
        members = [element(group, n, seed)]
        if group == "O":
            members.append(element(group, n, seed, mirror=True))
        for g in members:
            above, below = torch.ones(1, 1, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
            for _ in range(upper):
                above = torch.kron(above, g.contiguous())
            for _ in range(lower):
                below = torch.kron(below, g.contiguous())
            one, other = (torch.eye(len(side), dtype=torch.float64) for side in (below, above))
            rows.append(torch.kron(above, one) - torch.kron(other, below.T.contiguous()))
    values = torch.linalg.svdvals(torch.cat(rows))
    return int((values < 1e-9 * values.max().clamp(min=1)).sum())


@pytest.mark.parametrize(
    ("group", "n", "lower", "upper", "expected"),
    [
        ("O", 3, 1, 1, 1), ("O", 3, 2, 2, 3), ("O", 3, 3, 1, 3), ("O", 3, 1, 2, 0), ("O", 2, 2, 2, 3),
        ("O", 2, 3, 1, 3), ("SO", 3, 1, 2, 1), ("SO", 3, 0, 3, 1), ("SO", 3, 2, 1, 1), ("SO", 2, 1, 1, 2),
        ("SO", 2, 2, 2, 6), ("SO", 2, 3, 1, 6), ("S", 4, 2, 2, 15), ("S", 3, 1, 1, 2), ("Sp", 4, 2, 2, 3),
        ("Sp", 2, 2, 2, 2), ("SO", 3, 2, 2, 3), ("O", 1, 2, 2, 1), ("S", 2, 2, 1, 4),
    ],
)  # fmt: skip
def test_the_dimensions_are_those_of_the_null_space(group, n, lower, upper, expected):
    assert dimension(group, n, lower, upper) == expected
    assert null_space_dimension(group, n, lower, upper) == expected


def test_how_many_diagrams_there_are_and_that_some_depend_on_others():
    assert [len(list(matchings(points))) for points in (0, 2, 4, 6, 8)] == [1, 1, 3, 15, 105]
    assert [len(list(partitions(points))) for points in range(6)] == [1, 1, 2, 5, 15, 52]
    assert len(diagrams("O", 2, 3, 3)) == 15
    assert dimension("O", 2, 3, 3) == 10 == null_space_dimension("O", 2, 3, 3)
    assert dimension("O", 3, 3, 3) == 15


@pytest.mark.parametrize(
    ("group", "n", "lower", "upper"),
    [("O", 3, 2, 2), ("O", 3, 1, 3), ("SO", 3, 2, 1), ("SO", 3, 3, 2), ("SO", 2, 2, 2), ("Sp", 4, 2, 2), ("S", 4, 2, 2),
     ("S", 3, 1, 3), ("Sp", 2, 3, 1)],
)  # fmt: skip
def test_each_diagram_commutes_with_its_group(group, n, lower, upper):
    x = torch.randn(2, *(n,) * lower, dtype=torch.float64)
    for diagram in diagrams(group, n, lower, upper):
        for seed in range(2):
            g = element(group, n, seed)
            first = apply_diagram(moved(x, g, lower), diagram, group, n, lower, upper)
            after = moved(apply_diagram(x, diagram, group, n, lower, upper), g, upper)
            assert float((first - after).abs().max()) <= SPACE[torch.float64] * max(1.0, float(after.abs().max()))


def test_the_twins_do_not_commute():
    """A determinant under a mirror, the symplectic form under turns that are not symplectic, groups under turns."""
    x = torch.randn(3, 3, dtype=torch.float64)
    cross = diagrams("SO", 3, 2, 1)[0]
    assert cross.determinant == (0, 1, 2)
    for group, n, diagram, lower, upper, g in (
        ("SO", 3, cross, 2, 1, element("O", 3, mirror=True)),
        ("Sp", 4, Diagram(((0, 1),)), 2, 0, element("O", 4)),
        ("S", 3, Diagram(((0, 1, 2),)), 2, 1, element("O", 3)),
        ("O", 4, Diagram(((0, 1),)), 2, 0, element("Sp", 4)),
    ):
        x = torch.randn(*(n,) * lower, dtype=torch.float64)
        first = apply_diagram(moved(x, g, lower), diagram, group, n, lower, upper)
        after = moved(apply_diagram(x, diagram, group, n, lower, upper), g, upper)
        assert float((first - after).abs().max()) > BROKEN


@pytest.mark.parametrize(("group", "n"), [("O", 3), ("SO", 3), ("SO", 2), ("S", 3), ("Sp", 4)])
def test_one_contraction_is_the_matrix_and_that_the_product_over_blocks_at_every_index(group, n):
    lower, upper = 2, 2
    x = torch.randn(3, n, n, dtype=torch.float64)
    for diagram, matrix in zip(diagrams(group, n, lower, upper), matrices(group, n, lower, upper), strict=True):
        found = apply_diagram(x, diagram, group, n, lower, upper)
        assert float((found.flatten(1) - x.flatten(1) @ matrix.T).abs().max()) <= TIGHT
        assert float((found.flatten(1) - x.mT.flatten(1) @ matrix.T).abs().max()) > BROKEN or symmetric(diagram)
        if group == "Sp":
            continue
        for flat in range(n ** (lower + upper)):
            index = [flat // n ** (lower + upper - 1 - axis) % n for axis in range(lower + upper)]
            value = float(all(len({index[point] for point in block}) == 1 for block in diagram.blocks))
            if diagram.determinant:
                value *= float(sign_tensor(n)[tuple(index[point] for point in diagram.determinant)])
            assert float(matrix.flatten()[flat]) == value


def symmetric(diagram: Diagram) -> bool:
    """Whether the two lower points may be exchanged."""
    swap = {0: 0, 1: 1, 2: 3, 3: 2}
    return {tuple(sorted(swap[p] for p in block)) for block in diagram.blocks} == set(diagram.blocks)


def test_the_determinant_of_two_vectors_is_their_cross_product():
    a, b = torch.randn(2, 5, 3, dtype=torch.float64)
    both = torch.einsum("bi,bj->bij", a, b)
    found = apply_diagram(both, diagrams("SO", 3, 2, 1)[0], "SO", 3, 2, 1)
    assert float((found - torch.linalg.cross(a, b)).abs().max()) <= TIGHT


@pytest.mark.parametrize(("group", "n"), [("O", 3), ("O", 4), ("SO", 2), ("SO", 3), ("Sp", 2), ("Sp", 4), ("S", 4)])
def test_members_keep_what_their_group_keeps_and_are_all_different(group, n):
    drawn = members(group, n, 6, seed=1)
    kept = symplectic_form(n) if group == "Sp" else torch.eye(n, dtype=torch.float64)
    assert (drawn.mT @ kept @ drawn - kept).abs().max() <= SPACE[torch.float64]
    signs = torch.linalg.det(drawn).round().tolist()
    expected = {"O": [1, -1] * 3, "SO": [1] * 6, "Sp": [1] * 6, "S": signs}[group]
    assert signs == expected
    if group == "S":
        assert drawn.unique().tolist() == [0, 1]
        assert not drawn[0].diagonal().any(), "the first moves everything"
    else:
        assert (drawn[:, None] - drawn)[~torch.eye(6, dtype=torch.bool)].abs().amax((1, 2)).min() > BROKEN
    assert torch.equal(drawn, members(group, n, 6, seed=1))
    twin = members("SO" if group == "Sp" else "Sp", 4, 6)
    other = torch.eye(4, dtype=torch.float64) if group != "Sp" else symplectic_form(4)
    assert (twin.mT @ other @ twin - other).abs().max() > BROKEN, "the twin: members of another group"


def test_members_of_no_or_an_unknown_group_get_a_sentence():
    with pytest.raises(ValueError, match="members: the number of elements was 0"):
        members("O", 3, 0)
    with pytest.raises(ValueError, match="expected one of O, SO, Sp, S"):
        members("U", 3, 2)


def test_products_that_a_diagram_takes_are_far_fewer_than_those_of_its_matrix():
    straight = Diagram(((0, 3), (1, 4), (2, 5)))
    assert multiply_adds(straight, 3, 3, 3) == 27 < 3**6
    assert multiply_adds(diagrams("SO", 3, 2, 1)[0], 3, 2, 1) == math.factorial(3)


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
@pytest.mark.parametrize(("group", "n"), [("O", 3), ("SO", 3), ("Sp", 4), ("S", 4)])
def test_a_layer_commutes_with_its_group_and_learns_all_it_can(group, n, dtype):
    torch.manual_seed(0)
    layer = DiagramLinear(group, n, 2, 2, in_channels=2, out_channels=3).to(dtype)
    assert layer.weight.shape[0] == len(diagrams(group, n, 2, 2))
    with torch.no_grad():
        layer.bias.copy_(torch.randn_like(layer.bias))
    x, g = torch.randn(4, 2, n, n, dtype=dtype), element(group, n).to(dtype)
    first, after = layer(moved(x, g, 2)), moved(layer(x), g, 2)
    assert float((first - after).detach().norm() / after.detach().norm()) <= SPACE[dtype]
    free = torch.nn.Linear(n * n, n * n).to(dtype)
    first, after = (free(y.flatten(2)).unflatten(2, (n, n)) for y in (moved(x, g, 2), x))
    assert float((first - moved(after, g, 2)).detach().norm()) > BROKEN, "the twin: a dense layer"
    first.sum().backward()


def test_maps_of_rank_two_are_those_between_its_parts_of_degree_0_1_and_2():
    """By the change of basis that e3nn finds: three diagrams of O(3), one number for each degree (Schur)."""
    with default_dtype(torch.float64):
        parts, given = CartesianTensor("ij"), o3.ReducedTensorProducts("ij", i="1o", j="1o")
        change = parts.reduced_tensor_products().change_of_basis.flatten(1)
    assert [(block.mul, str(block.ir)) for block in parts] == [(1, "0e"), (1, "1e"), (1, "2e")]
    assert given.irreps_out == parts
    assert (change @ change.T - torch.eye(9, dtype=torch.float64)).abs().max() <= SPACE[torch.float64]
    found = matrices("O", 3, 2, 2)
    assert len(found) == dimension("O", 3, 2, 2) == len(parts)
    shares = torch.zeros(3, 3, dtype=torch.float64)
    for at, diagram in enumerate(diagrams("O", 3, 2, 2)):
        there = change @ apply_diagram(change.unflatten(1, (3, 3)), diagram, "O", 3, 2, 2).flatten(1).T
        assert (there - change @ found[at] @ change.T).abs().max() <= SPACE[torch.float64]
        for g in (element("SO", 3), element("O", 3, mirror=True)):
            d = o3_matrix(parts, g)
            assert (d - change @ torch.kron(g, g) @ change.T).abs().max() <= SPACE[torch.float64]
            assert (there @ d - d @ there).abs().max() <= SPACE[torch.float64]
        for degree, piece in enumerate(parts.slices()):
            shares[at, degree] = there[piece, piece].diagonal().mean()
            there[piece, piece] -= shares[at, degree] * torch.eye(2 * degree + 1, dtype=torch.float64)
        assert there.abs().max() <= SPACE[torch.float64], "nothing leads from one degree to another"
    assert torch.linalg.matrix_rank(shares) == 3
    turned = o3_matrix(parts, element("SO", 3))
    twin = torch.diag(torch.arange(9.0, dtype=torch.float64))
    assert (twin @ turned - turned @ twin).abs().max() > BROKEN, "the twin: a number for each component"


def o3_matrix(irreps, g):
    with default_dtype(torch.float64):
        return o3.Irreps(irreps).D_from_matrix(g)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (("U", 3, 1, 1), "group = 'U' was given; expected one of O, SO, Sp, S"),
        (("Sp", 3, 1, 1), r"Sp\(3\) was given; expected an even n; use 4"),
        (("O", 3, 5, 5), "whose sum is at most 8"),
        (("O", 0, 1, 1), "expected n of at least 1"),
        (("O", True, 1, 1), "n = True"),
    ],
)
def test_bad_input_gets_a_sentence(given, sentence):
    with pytest.raises(ValueError, match=sentence):
        diagrams(*given)


def test_a_tensor_of_another_shape_gets_a_sentence():
    with pytest.raises(ValueError, match=r"expected 2 last axes of length 3, \(\.\.\., 3, 3\)"):
        apply_diagram(torch.zeros(4, 3), Diagram(((0, 1),)), "O", 3, 2, 0)


def test_what_was_first_made_in_inference_mode_can_be_trained_with():
    with torch.inference_mode():
        first = DiagramLinear("SO", 3, 2, 1, in_channels=5)
        first(torch.zeros(1, 5, 3, 3, dtype=torch.float32))
    layer = DiagramLinear("SO", 3, 2, 1, in_channels=5)
    layer(torch.randn(2, 5, 3, 3, requires_grad=True)).sum().backward()
    assert torch.isfinite(layer.weight.grad).all()


def test_a_layer_refuses_other_channels_with_a_sentence():
    layer = DiagramLinear("O", 3, 2, 2, in_channels=1)
    with pytest.raises(ValueError, match=r"\(2, 2, 3, 3\) was given; expected \(B, 1, 3, 3\)"):
        layer(torch.zeros(2, 2, 3, 3))
    with pytest.raises(ValueError, match="in_channels = 0 was given; expected a whole number of at least 1"):
        DiagramLinear("O", 3, 2, 2, in_channels=0)
