"""Tensor networks: the classical counts of invariants, that each turns as it should, learned functions, twins."""

import pytest
import torch

from tests.e3.test_diagrams import element, moved
from tests.tolerances import BROKEN, EXACT, SPACE
from workbench.e3.networks import TensorFunction, independent, networks, random_tensors

TIGHT = EXACT[torch.float64]
STRAIN = {"E": 2, "a": 1}


def turned(tensors, g):
    return {name: moved(x, g, x.ndim - 1) for name, x in tensors.items()}


def test_a_symmetric_matrix_has_six_invariants_up_to_degree_three():
    """tr E, tr E^2, (tr E)^2, tr E^3, tr E tr E^2, (tr E)^3; three of them are connected."""
    given = {"E": 2}
    assert len(independent(networks(given, 3, connected=False), given)) == 6
    connected = independent(networks(given, 3), given)
    assert len(connected) == 3
    E = random_tensors(given, 7)["E"]
    powers = [torch.linalg.matrix_power(E, n).diagonal(dim1=-2, dim2=-1).sum(-1) for n in (1, 2, 3)]
    for network, trace in zip(connected, powers, strict=True):
        assert float((network({"E": E}) - trace).abs().max()) <= TIGHT


def test_there_are_four_connected_traces_but_only_three_independent():
    """Cayley and Hamilton: the trace of the fourth power is a polynomial of the lower ones."""
    given = {"E": 2}
    four = networks(given, 4)
    assert [len(network.nodes) for network in four] == [1, 2, 3, 4]
    whole = networks(given, 4, connected=False)
    fourth = [network for network in whole if len(network.nodes) == 4]
    assert len(fourth) == 5
    assert len(independent(whole, given)) == 6 + 4


def test_two_vectors_have_three_invariants_and_a_third_adds_a_product_with_a_sign():
    two, three = {"a": 1, "b": 1}, {"a": 1, "b": 1, "c": 1}
    assert len(independent(networks(two, 2), two)) == 3
    assert len(independent(networks(two, 3, chiral=True), two)) == 3
    plain = independent(networks(three, 3), three)
    chiral = independent(networks(three, 3, chiral=True), three)
    assert (len(plain), len(chiral)) == (6, 7)
    at = random_tensors(three, 5)
    volume = torch.linalg.det(torch.stack([at["a"], at["b"], at["c"]], -1))
    assert float((chiral[-1](at).abs() - volume.abs()).abs().max()) <= TIGHT


def test_the_basis_of_a_stress_with_a_fibre_is_the_known_one():
    """I, E, a a^T, E^2, and the two halves of a (E a)^T, which are one where the result is symmetric."""
    basis = independent(networks(STRAIN, 2, output=2), STRAIN)
    assert [network.nodes for network in basis] == [(), ("E",), ("E", "E"), ("a", "a")]
    at = random_tensors(STRAIN, 5)
    E, a = at["E"], at["a"]
    expected = [torch.eye(3).double().expand(5, 3, 3), E, E @ E, a.unsqueeze(2) * a.unsqueeze(1)]
    for network, value in zip(basis, expected, strict=True):
        found = network(at).expand(5, 3, 3)
        assert float((found - value).abs().max()) <= TIGHT
    more = independent(networks(STRAIN, 3, output=2), STRAIN)
    assert sum(sorted(network.nodes) == ["E", "a", "a"] for network in more) == 2


@pytest.mark.parametrize("output", [0, 1, 2])
@pytest.mark.parametrize("chiral", [False, True])
def test_each_network_turns_as_a_tensor(output, chiral):
    given = {"E": 2, "a": 1, "b": 1}
    at, mirror = random_tensors(given, 4), element("O", 3, mirror=True)
    found = networks(given, 2, output=output, chiral=chiral)
    assert found
    for network in found:
        if not network.nodes:
            continue
        for g in (element("SO", 3), mirror):
            sign = -1.0 if network.diagram.determinant and g is mirror else 1.0
            first, after = network(turned(at, g)), moved(network(at), g, output)
            assert float((first - sign * after).abs().max()) <= SPACE[torch.float64]
            if sign < 0 and float(after.norm()) > BROKEN:
                assert float((first - after).abs().max()) > BROKEN


def test_the_text_of_a_network_is_the_contraction_that_it_does():
    at = random_tensors(STRAIN, 5)
    for network in networks(STRAIN, 3, output=1):
        text = network.einsum().replace("*", "...")
        value = torch.einsum(text, *[at[name] for name in network.nodes])
        assert float((value - network(at)).abs().max()) <= TIGHT


@pytest.mark.parametrize("dtype", list(EXACT), ids=str)
def test_a_learned_function_commutes_with_rotations_and_mirrors(dtype):
    torch.manual_seed(0)
    model = TensorFunction(STRAIN, output=2, degree=3).to(dtype)
    at = {name: x.to(dtype) for name, x in random_tensors(STRAIN, 6).items()}
    g = element("O", 3, mirror=True).to(dtype)
    first, after = model(turned(at, g)), moved(model(at), g, 2)
    assert float((first - after).detach().norm() / after.detach().norm()) <= SPACE[dtype]
    free = torch.nn.Linear(12, 9).to(dtype)
    both = [free(torch.cat([x["E"].flatten(1), x["a"]], 1)).unflatten(1, (3, 3)) for x in (turned(at, g), at)]
    assert float((both[0] - moved(both[1], g, 2)).detach().norm()) > BROKEN, "the twin: a layer of the components"
    first.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize(
    ("given", "options", "sentence"),
    [
        ({"E": 3}, {}, "expected names with orders 1 or 2"),
        ({}, {}, "expected names with orders 1 or 2"),
        ({"E": 2}, {"output": 3}, "a result of order 0, 1 or 2"),
        ({"E": 2}, {"degree": 0}, "degree = 0 was given; expected a whole number of nodes"),
        ({"E": 2}, {"degree": 6}, "use degree = 4"),
    ],
)
def test_bad_input_gets_a_sentence(given, options, sentence):
    with pytest.raises(ValueError, match=sentence):
        networks(given, **{"degree": 2, **options})


def test_a_result_that_nothing_gives_is_refused():
    with pytest.raises(ValueError, match="no network of 2 nodes of E gives a result of order 1"):
        TensorFunction({"E": 2}, output=1)


def test_a_function_without_invariants_or_with_a_tensor_missing_is_refused():
    with pytest.raises(ValueError, match="no invariant has at most 1 nodes of a"):
        TensorFunction({"a": 1}, output=1, degree=1)
    with pytest.raises(ValueError, match="a was not given; expected E, a"):
        TensorFunction(STRAIN, output=2)({"E": torch.eye(3)[None]})
