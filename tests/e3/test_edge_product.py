"""The edge product: both engines against e3nn and a slow loop, its symmetries, its poles, and what would break them."""

import json
import math
from pathlib import Path
from unittest import mock

import pytest
import torch
from e3nn import o3

from tests.tolerances import AGAIN, BROKEN, EXACT, SPACE
from workbench.actions.irreps import irreps_matrices
from workbench.e3 import so2, wigner
from workbench.e3.irreps import default_dtype, harmonic_irreps
from workbench.e3.product import ENGINES, REDUCED_FROM, EdgeProduct
from workbench.e3.so2 import path_matrix
from workbench.e3.wigner import EdgeFrames
from workbench.groups import O3

NATURAL = [
    ("3x0e+2x1o", 2, "2x0e+4x1o+1x2e"),
    ("3x0e+2x1o+1x1e+2x2o+1x0o", 3, "2x0e+4x1o+1x2e+2x2o+3x1e"),
    ("2x0e+2x1o", None, "2x3o+1x2e+1x0e+1x3e"),
    ("2x1o+3x0e+1x1o", None, "1x4e+2x1o+1x0e+1x2e"),
    ("1x2e", 12, "1x2e"),
]
EVEN = [("3x0e+2x1e+1x2e", None, "2x0e+4x1e+1x2e+2x3e"), ("2x1e+1x3e", 3, "2x2e+1x0e")]
CASES = [(*case, True) for case in NATURAL] + [(*case, False) for case in EVEN]


def edges(count=12, dtype=torch.float64, seed=3):
    vectors = torch.randn(count, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    vectors[0], vectors[1], vectors[2] = torch.tensor([[0.0, 1, 0], [0, -1, 0], [2, 0, 0]])
    return vectors.to(dtype)


def layer(irreps_in, lmax_edge, irreps_out, reflections=True, engine="so2", dtype=torch.float64, **more):
    torch.manual_seed(0)
    with default_dtype(dtype):
        return EdgeProduct(irreps_in, lmax_edge, irreps_out, engine, reflections=reflections, **more)


def features(product, count=12, seed=4):
    numbers = torch.randn(
        count, product.irreps_in.dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64
    )
    return numbers.to(product.weight.dtype)


def apart(a, b):
    return float((a - b).detach().abs().max() / b.detach().abs().max())


def answers(product, orders=2):
    """The output, and gradients of features, vectors and weights, once and twice."""
    v, f = edges(dtype=product.weight.dtype).requires_grad_(), features(product).requires_grad_()
    out = product(f, v)
    to = (f, v, product.weight)
    ramp = [torch.linspace(-1, 1, n, dtype=out.dtype) for n in (out.numel(), *(x.numel() for x in to))]
    first = torch.autograd.grad((out.sin().flatten() * ramp[0]).sum(), to, create_graph=orders > 1)
    if orders == 1:
        return [out, *first]
    second = sum((g.cos().flatten() * r).sum() for g, r in zip(first, ramp[1:], strict=True))
    return [out, *first, *torch.autograd.grad(second, to)]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_both_engines_are_e3nns_product_with_the_same_weights_and_gradients_of_two_orders(case):
    ours, theirs = layer(*case), layer(*case, engine="e3nn")
    ours.load_state_dict(theirs.state_dict())
    for a, b in zip(answers(ours), answers(theirs), strict=True):
        assert apart(a, b) < EXACT[torch.float64]
    for a, b in zip(answers(ours, 1), answers(theirs, 1), strict=True):  # the pass that is not differentiated again
        assert apart(a, b) < EXACT[torch.float64]


@pytest.mark.parametrize("lmax", [5, 6])
def test_they_agree_up_to_the_last_degree_of_e3nns_harmonics(lmax):
    irreps = harmonic_irreps(lmax) if lmax == 5 else "+".join(f"1x{degree}e" for degree in range(lmax + 1))
    ours = layer(irreps, None, irreps, lmax == 5)
    theirs = layer(irreps, None, irreps, lmax == 5, engine="e3nn")
    assert ours.lmax_edge == 2 * lmax
    ours.load_state_dict(theirs.state_dict())
    for a, b in zip(answers(ours, 1), answers(theirs, 1), strict=True):
        assert apart(a, b) < EXACT[torch.float64]


@pytest.mark.parametrize("case", CASES[1:3], ids=str)
def test_single_precision_rounds_as_e3nn_does(case):
    ours, theirs = layer(*case, dtype=torch.float32), layer(*case)
    theirs.load_state_dict(ours.state_dict())
    for a, b in zip(answers(ours, 1), answers(theirs, 1), strict=True):
        assert apart(a.double(), b) < SPACE[torch.float32]


def test_weights_and_order_are_those_of_fully_connected_tensor_product_itself():
    product = layer("3x0e+2x1o", 2, "2x0e+4x1o", engine="so2")
    with default_dtype(torch.float64):
        theirs = o3.FullyConnectedTensorProduct("3x0e+2x1o", "0e+1o+2e", "2x0e+4x1o")
    assert theirs.weight_numel == product.weight.numel()
    theirs.weight.data.copy_(product.weight)
    f, v = features(product), edges()
    right = theirs(f, o3.spherical_harmonics([0, 1, 2], v, True, normalization="component"))
    assert apart(product(f, v), right) < EXACT[torch.float64]
    assert [p.factor for p in product.paths] == pytest.approx([i.path_weight for i in theirs.instructions], rel=AGAIN)


def twins():
    turned_back = mock.patch.object(so2, "_turns", lambda frames, slot, reach: frames.wigner[slot.degree].mT)
    kept = {"path_matrix": path_matrix}

    def other_order(l_in, l_out):  # rows +m and -m of the input exchanged: h2 changes its sign
        matrix = kept["path_matrix"](l_in, l_out).clone()
        matrix[min(l_in, l_out) + 1 :] *= -1
        return matrix

    swapped = mock.patch("workbench.e3.product.path_matrix", other_order)
    return {"Wigner matrices transposed": turned_back, "sign of h2": swapped}


@pytest.mark.parametrize("name", twins())
def test_transposed_matrices_and_exchanged_rows_are_caught(name):
    case = ("2x0e+2x1e+1x2e", None, "2x0e+2x1e+1x2e", False)
    right = layer(*case, engine="e3nn")
    f, v = features(right), edges()
    with twins()[name]:
        assert apart(layer(*case)(f, v), right(f, v)) > BROKEN
    assert apart(layer(*case)(f, v), right(f, v)) < EXACT[torch.float64]


@pytest.mark.parametrize("l_in", range(7))
@pytest.mark.parametrize("l_out", range(7))
def test_the_map_from_paths_to_so2_numbers_is_orthogonal_and_parity_separates_h1_from_h2(l_in, l_out):
    matrix, smaller = path_matrix(l_in, l_out), min(l_in, l_out)
    weighed = matrix.clone()
    weighed[[m for m in range(1, 2 * smaller + 1)]] *= math.sqrt(2)
    assert (weighed @ weighed.T - torch.eye(2 * smaller + 1)).abs().max() < SPACE[torch.float64]
    assert matrix[smaller + 1 :, ::2].abs().max() < EXACT[torch.float64] if smaller else True
    assert matrix[: smaller + 1, 1::2].abs().max() < EXACT[torch.float64] if smaller else True
    assert matrix.shape[1] == smaller * 2 + 1


@pytest.mark.parametrize("case", CASES[:2] + CASES[-1:], ids=str)
def test_so2_numbers_lead_back_to_the_weights(case):
    product, other = layer(*case), layer(*case)
    torch.nn.init.zeros_(other.weight)
    other.from_reduced(product.to_reduced())
    assert apart(other.weight, product.weight) < SPACE[torch.float64]


def test_so2_numbers_that_parity_forbids_are_refused():
    product = layer("2x1o", None, "2x1o")
    numbers = product.to_reduced()
    assert numbers[0, 0][2].abs().max() == 0  # h2 of vectors to vectors
    numbers[0, 0][2] = 1.0
    with pytest.raises(ValueError, match="that no weights have"):
        product.from_reduced(numbers)


def by_hand(product, f, v, top):
    """The SO(2) form by loops over blocks, channels together, with |m| <= top."""
    frames = EdgeFrames(v, product.lmax)
    numbers, out = product.to_reduced(), torch.zeros(len(f), product.irreps_out.dim, dtype=f.dtype)
    for (source, target), h in numbers.items():
        left, right = product.irreps_in[source].ir.l, product.irreps_out[target].ir.l
        own, there = product.irreps_in.slices()[source], product.irreps_out.slices()[target]
        x = torch.einsum("eij,ecj->eic", frames.wigner[left], f[:, own].unflatten(1, (-1, 2 * left + 1)))
        z, smaller = x.new_zeros(len(f), 2 * right + 1, h.shape[2]), min(left, right)
        z[:, right] += x[:, left] @ h[0]
        for m in range(1, min(smaller, top) + 1):
            h1, h2 = h[m], h[smaller + m]
            z[:, right + m] += x[:, left + m] @ h1 - x[:, left - m] @ h2
            z[:, right - m] += x[:, left + m] @ h2 + x[:, left - m] @ h1
        out[:, there] += torch.einsum("eij,eic->ecj", frames.wigner[right], z).flatten(1)
    return out


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("mmax", [0, 1, None])
def test_truncation_is_the_full_layer_without_the_rows_of_larger_m(case, mmax):
    product = layer(*case, mmax=mmax)
    f, v = features(product), edges()
    assert apart(product(f, v), by_hand(product, f, v, 99 if mmax is None else mmax)) < EXACT[torch.float64]


def test_truncated_products_have_right_gradients_too():
    product = layer("1x0e+1x2e+1x3o", None, "1x1o+1x3o+1x2o", mmax=1)
    f, v = features(product, 3).requires_grad_(), edges(3).requires_grad_()
    assert torch.autograd.gradcheck(lambda a, b: product(a, b), (f, v))
    assert torch.autograd.gradgradcheck(lambda a, b: product(a, b), (f, v))


def symmetry_error(product, parity=1.0):
    """How far the product is from commuting with random elements of O(3) of that parity; turned in float64."""
    dtype = product.weight.dtype
    element = O3().sample(1, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    element[:, 4] = parity
    f, v = features(product), edges(dtype=dtype)
    left, right = (irreps_matrices(str(i), element, O3())[0] for i in (product.irreps_in, product.irreps_out))
    turned = v.double() @ O3().matrix(element)[0].T
    moved = product((f.double() @ left.T).to(dtype), turned.to(dtype)).double()
    return apart(moved, product(f, v).double() @ right.T)


@pytest.mark.parametrize("engine", ["e3nn", "so2"])
def test_products_of_single_precision_are_as_symmetric_as_it_allows(engine):
    product = layer(*NATURAL[1], engine=engine, dtype=torch.float32)
    assert max(symmetry_error(product, parity) for parity in (1.0, -1.0)) < SPACE[torch.float32]
    with mock.patch.object(product, "forward", lambda f, v: EdgeProduct.forward(product, f, v.roll(1, 1))):
        assert symmetry_error(product) > BROKEN, "the twin: axes in another order"


@pytest.mark.parametrize("mmax", [None, 1])
def test_every_product_commutes_with_rotations_and_only_without_h2_with_inversion(mmax):
    strict = layer(*NATURAL[1], mmax=mmax)
    rotations = layer(*EVEN[0], reflections=False, mmax=mmax)
    assert symmetry_error(strict) < SPACE[torch.float64]
    assert symmetry_error(strict, parity=-1.0) < SPACE[torch.float64]
    assert symmetry_error(rotations) < SPACE[torch.float64]
    natural = layer("3x0e+2x1e+1x2e", None, "2x0e+2x1e+1x2e", reflections=False, mmax=mmax)
    with torch.no_grad():
        f, v = features(natural), edges()
        signs = torch.cat([torch.full((block.dim,), (-1.0) ** block.ir.l) for block in natural.irreps_in]).double()
        back = torch.cat([torch.full((block.dim,), (-1.0) ** block.ir.l) for block in natural.irreps_out]).double()
        assert apart(natural(f * signs, -v), natural(f, v) * back) > BROKEN
        numbers = natural.to_reduced()
        for (source, target), h in numbers.items():
            h[min(natural.irreps_in[source].ir.l, natural.irreps_out[target].ir.l) + 1 :] = 0
        natural.from_reduced(numbers)
        assert apart(natural(f * signs, -v), natural(f, v) * back) < SPACE[torch.float64]


def test_no_product_depends_on_the_gauge_of_its_frames():
    product = layer(*EVEN[0], reflections=False)
    f, v = features(product), edges()
    gauge = torch.linspace(0, 6, len(v), dtype=torch.float64)
    one, other = EdgeFrames(v, product.lmax), EdgeFrames(v, product.lmax, gauge)
    assert (one.rotations - other.rotations).abs().max() > BROKEN
    assert apart(product(f, other), product(f, one)) < EXACT[torch.float64]
    broken = EdgeFrames(v, product.lmax)
    broken.wigner = (*broken.wigner[:2], *other.wigner[2:])  # two gauges at once
    assert apart(product(f, broken), product(f, one)) > BROKEN


def test_the_output_is_continuous_where_the_frame_jumps():
    product = layer(*EVEN[0], reflections=False)
    f = features(product, 1).expand(2, -1)
    v = torch.tensor([[0.6, 1e-13, 0.8], [0.6, -1e-13, 0.8]], dtype=torch.float64)
    frames = EdgeFrames(v, product.lmax)
    assert (frames.rotations[0] - frames.rotations[1]).abs().max() > 0.5
    out = product(f, frames)
    assert apart(out[0], out[1]) < SPACE[torch.float64]


def pole_gradients(product, distance, dtype, blocks=None):
    """Relative error of the gradient of an edge near the pole against that of the same edge turned elsewhere."""
    turn = o3.angles_to_matrix(*torch.tensor([0.3, 1.1, 0.7], dtype=torch.float64))
    near = torch.tensor([[math.sin(distance) * 0.6, math.cos(distance), math.sin(distance) * 0.8]], dtype=torch.float64)
    f = features(product.double(), 1)
    d = irreps_matrices(str(product.irreps_out), torch.tensor([[1.0, 0, 0, 0, 1.0]]), O3())[0]
    weigh = torch.linspace(-1, 1, len(d), dtype=torch.float64)
    to_in, to_out = (o3_matrix(irreps, turn) for irreps in (product.irreps_in, product.irreps_out))
    v = (near @ turn.T).requires_grad_()
    right = torch.autograd.grad((product(f @ to_in.T, v) @ (to_out @ weigh)).sum(), v)[0] @ turn
    v = near.to(dtype).requires_grad_()
    product = product.to(dtype)
    found = torch.autograd.grad((product(f.to(dtype), v if blocks is None else blocks(v)) @ weigh.to(dtype)).sum(), v)[
        0
    ]
    return apart(found.double(), right)


def o3_matrix(irreps, turn):
    with default_dtype(torch.float64):
        return irreps.D_from_matrix(turn)


@pytest.mark.parametrize("distance", [0.0, 1e-12, 1e-6, 1e-4, 1e-3])
@pytest.mark.parametrize("dtype", EXACT)
def test_gradients_are_right_at_the_poles_and_next_to_them(distance, dtype):
    product = layer("2x0e+2x1o+1x2e", None, "2x0e+1x1o+1x3o")
    assert pole_gradients(product, distance, dtype) < SPACE[dtype]


def test_frames_made_of_angles_are_caught_at_the_pole():
    """The usual frame by two angles, differentiated through them, as released code would without its detach."""
    product = layer("2x0e+2x1o+1x2e", None, "2x0e+1x1o+1x3o", engine="so2")

    def by_angles(v):
        frames = EdgeFrames(v, product.lmax)
        n = frames.directions
        beta, alpha = torch.acos(n[:, 1]), torch.atan2(n[:, 0], n[:, 2])
        frames.rotations = o3.angles_to_matrix(alpha, beta, torch.zeros_like(alpha)).mT
        frames.wigner = wigner.wigner_matrices(frames.rotations, product.lmax)
        return frames

    product = product.double()

    def plain(f, frames):  # the same function through the matrices' own gradients
        out = []
        for (source, target), h in product.to_reduced().items():
            left, right = product.irreps_in[source].ir.l, product.irreps_out[target].ir.l
            x = torch.einsum(
                "eij,ecj->eic",
                frames.wigner[left],
                f[:, product.irreps_in.slices()[source]].unflatten(1, (-1, 2 * left + 1)),
            )
            rows = [x[:, left + m] @ h[abs(m)].to(x) for m in range(-min(left, right), min(left, right) + 1)]
            z = torch.nn.functional.pad(torch.stack(rows, 1), (0, 0) + (right - min(left, right),) * 2)
            out.append(torch.einsum("eij,eic->ecj", frames.wigner[right], z).flatten(1).sum(1))
        return torch.stack(out).sum()

    f = features(product, 1)
    errors = {}
    for dtype in (torch.float64, torch.float32):
        for name, make in {"angles": by_angles, "frame": lambda v: EdgeFrames(v, product.lmax)}.items():
            v = torch.tensor([[6e-5, 1.0, 8e-5]], dtype=dtype, requires_grad=True)
            errors[name, dtype] = torch.autograd.grad(plain(f.to(dtype), make(v)), v)[0].double()
    right = errors["frame", torch.float64]
    assert apart(errors["frame", torch.float32], right) < SPACE[torch.float32]
    wrong = errors["angles", torch.float32]
    assert not bool(torch.isfinite(wrong).all()) or apart(wrong, right) > 1e-2


@pytest.mark.parametrize("engine", ["e3nn", "so2"])
def test_autocast_is_left_so_that_angles_keep_their_digits(engine):
    product = layer("2x0e+2x1o", 2, "2x0e+2x1o", dtype=torch.float32, engine=engine)
    f, v = features(product), edges(dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(product(f, EdgeFrames(v, 1)), product(f, v))
        cast = product(f, v)
    assert torch.equal(cast, product(f, v))


def test_output_has_unit_variance_at_the_start():
    product = layer("16x0e+16x1o+16x2e", 2, "16x0e+16x1o+16x2e", dtype=torch.float32)
    f = torch.randn(2000, product.irreps_in.dim)
    out = product(f, torch.randn(2000, 3)).detach()
    assert all(0.5 < float(out[:, s].var()) < 2 for s in product.irreps_out.slices())


def test_no_edges_one_edge_and_layers_that_share_frames():
    product = layer("2x0e+2x1o", 2, "2x0e+2x1o", dtype=torch.float32)
    assert product(torch.zeros(0, 8), torch.zeros(0, 3)).shape == (0, 8)
    frames = EdgeFrames(edges(12, torch.float32), 3)
    f = features(product)
    assert torch.equal(product(f, frames), product(f, edges(12, torch.float32)))
    reference = layer("2x0e+2x1o", 2, "2x0e+2x1o", dtype=torch.float32, engine="e3nn")
    assert apart(reference(f, frames), product(f, frames)) < EXACT[torch.float32]


def test_the_engine_is_picked_by_what_was_measured_and_a_cut_in_m_needs_so2():
    assert ENGINES == ("auto", "e3nn", "so2"), "the Gaunt grid, another space, is never picked"
    assert EdgeProduct("32x0e+32x1o", 1, "32x0e+32x1o").engine == "e3nn"
    irreps = harmonic_irreps(4, 32)
    assert EdgeProduct(irreps, 4, irreps).engine == "so2"
    assert EdgeProduct("1x0e+1x1o", 1, "1x0e+1x1o", mmax=0).engine == "so2"


@pytest.mark.parametrize(("given", "words"), [
    ((("2x0e", 1, "2x1e"), {}), "no path leads"),
    ((("2x0e", 1, "2x1o", "fast"), {}), "expected one of auto"),
    ((("2x0e+1x1o", 1, "2x1o", "e3nn"), {"mmax": 0}), "which alone can cut"),
    ((("2x0e", 25, "2x1o"), {}), "from 0 to 24"),
    ((("2x7e", 14, "2x7e", "e3nn"), {}), "harmonics end at l = 12"),
    ((("2z", 1, "2x1o"), {}), "expected a text"),
    ((("1x13o", 1, "2x1o"), {}), "13"),
])  # fmt: skip
def test_layers_that_cannot_be_are_refused_in_a_sentence(given, words):
    with pytest.raises(ValueError, match=words):
        EdgeProduct(*given[0], **given[1])


def test_inputs_that_do_not_fit_are_refused_in_a_sentence():
    product = layer("2x0e+2x1o", 2, "2x0e+2x2e", dtype=torch.float32)
    f, v = torch.zeros(2, 8), torch.ones(2, 3)
    for wrong in ((f[:, :7], v), (f[:1], v), (f.double(), v), (f, v.double())):
        with pytest.raises(ValueError, match="given.*expected"):
            product(*wrong)
    with pytest.raises(ValueError, match="features of type list were given"):
        product(f.tolist(), v)
    with pytest.raises(ValueError, match="weight of type list was given|weight of type list were given"):
        product(f, v, [1.0])
    with pytest.raises(ValueError, match="expected (at least 2|2 or more)"):
        product(f, EdgeFrames(v, 1))


def test_the_stored_times_keep_what_was_promised_of_them():
    stored = json.loads(
        (Path(__file__).parents[1] / "benchmarks" / "results" / "edge_product_1.json").read_text("utf-8")
    )
    bounded = [row for row in stored["rows"] if row["musts"]]
    assert [(row["lmax"], row["channels"], row["edges"]) for row in bounded] == [(4, 32, 1000), (6, 32, 1000)]
    for row in bounded:
        assert all(row[name]["ratio"] >= bound for name, bound in row["musts"].items())
        assert row["kept_megabytes"]["own"] < row["kept_megabytes"]["e3nn"]
    for row in stored["rows"]:
        both = row["own"]["ratio"] * row.get("forces", row["own"])["ratio"]  # a plain step, and one that learns forces
        assert both > 1 or row["lmax"] < REDUCED_FROM[row["channels"]], "the table of engines"
