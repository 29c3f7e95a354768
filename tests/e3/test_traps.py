"""Traps of e3nn 0.6 and what closes each: our guard gives a sentence or the right number, e3nn's own way is the twin.

A twin that starts to pass means that e3nn mended it; then the guard may go.
"""

import ast
import io
import logging
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from e3nn import nn as e3nn_nn
from e3nn import o3
from e3nn.io import SphericalTensor
from e3nn.util.jit import script
from torch import Tensor

from tests.test_repository import ROOT
from tests.tolerances import EXACT, SPACE
from workbench.e3.convolution import depthwise_product, gate
from workbench.e3.harmonics import spherical_harmonics
from workbench.e3.irreps import default_dtype, drop, keep, parse_irreps
from workbench.e3.product import EdgeProduct
from workbench.models.molecular_potential import build


def turn(dtype: torch.dtype = torch.float64) -> Tensor:
    torch.manual_seed(0)
    return o3.rand_matrix(dtype=dtype)


def test_filter_of_a_text_finds_nothing_and_keep_finds_it() -> None:
    given = o3.Irreps("2x1o+1x0e")
    assert given.filter(keep="1o") == given.filter(keep=o3.Irreps("1o")) == o3.Irreps("")
    assert given.filter(drop="1o") == given
    assert keep(given, "1o") == given.filter(keep=["1o"]) == o3.Irreps("2x1o")
    assert drop(given, "1o") == o3.Irreps("1x0e")


def test_matrices_of_the_wrong_default_type_lose_half_of_their_digits() -> None:
    irreps, g = o3.Irreps("1x2e+1x3o"), turn()

    def error(d: Tensor) -> float:
        x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        y = [o3.spherical_harmonics(irreps, part, normalize=True) for part in (x, x @ g.T)]
        return float((y[1] - y[0] @ d.T).abs().max())

    with default_dtype(torch.float64):
        assert error(irreps.D_from_matrix(g)) <= SPACE[torch.float64]
    twin = irreps.D_from_matrix(g)
    assert twin.dtype == torch.float64
    assert error(twin) > 1e3 * SPACE[torch.float64]


def test_a_product_made_in_single_precision_stays_single_when_it_is_cast() -> None:
    given = o3.Irreps("1x2e"), o3.Irreps("0e+1o+2e"), o3.Irreps("0e+1o+2e+3o")
    x, y, w = (torch.ones(1, n, dtype=torch.float64) for n in (5, 9, 8))

    def made(dtype: torch.dtype) -> Tensor:
        with default_dtype(dtype):
            product = depthwise_product(*given[:2], o3.Irreps("0e+1o+2e")).double()
        return product(x, y, w[:, : product.weight_numel])

    exact, cast = made(torch.float64), made(torch.float32)
    assert exact.dtype == cast.dtype == torch.float64
    difference = float((exact - cast).abs().max())
    assert SPACE[torch.float64] < difference < SPACE[torch.float32]


def test_harmonics_at_zero_have_a_huge_slope_and_ours_none() -> None:
    for ours, bound in ((False, 1e9), (True, 0.0)):
        x = torch.zeros(1, 3, requires_grad=True)
        if ours:
            spherical_harmonics(2, x).sum().backward()
            assert float(x.grad.abs().max()) <= bound
        else:
            o3.spherical_harmonics([0, 1, 2], x, normalize=True).sum().backward()
            assert not float(x.grad.abs().max()) < bound


def test_activations_of_the_norm_have_a_huge_slope_at_zero_and_the_gate_a_small_one() -> None:
    slopes = []
    for step in (e3nn_nn.NormActivation(o3.Irreps("3x1o"), torch.sigmoid, normalize=True), gate("3x1o")):
        x = torch.zeros(1, step.irreps_in.dim, requires_grad=True)
        step(x).sum().backward()
        slopes.append(float(x.grad.abs().max()))
    assert slopes[0] > 1e6
    assert slopes[1] < 10


def test_activations_of_the_norm_cannot_read_a_text() -> None:
    with pytest.raises(AttributeError):
        e3nn_nn.NormActivation("3x1o", torch.sigmoid, bias=True)
    assert gate("3x1o").irreps_out == e3nn_nn.NormActivation(parse_irreps("3x1o"), torch.sigmoid, bias=True).irreps_out


def test_an_activation_without_parity_is_refused_for_pseudoscalars_and_the_gate_takes_an_odd_one() -> None:
    with pytest.raises(ValueError, match="parity"):
        e3nn_nn.Activation("2x0o", [torch.nn.functional.silu])
    x = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(gate("2x0o")(-x), -gate("2x0o")(x))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: spherical_harmonics(13, torch.ones(1, 3)), "end at l = 12"),
        (lambda: parse_irreps("1x13o"), "end at l = 12"),
        (lambda: parse_irreps("3x1"), "e for even or o for odd"),
        (lambda: parse_irreps(""), "at least one number"),
        (lambda: keep("1x1o", "vectors"), "e for even or o for odd"),
    ],
)
def test_beyond_what_e3nn_holds_there_is_a_sentence(call, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        call()


def test_e3nn_stops_at_degree_twelve() -> None:
    assert spherical_harmonics(12, torch.ones(1, 3)).shape == (1, 169)
    with pytest.raises(NotImplementedError):
        o3.spherical_harmonics([13], torch.ones(1, 3), normalize=True)


def test_irreps_are_neither_sorted_nor_joined_for_you() -> None:
    assert o3.Linear("1x1o+1x0e", "1x0e+1x0e").irreps_out == o3.Irreps("1x0e+1x0e")
    product = depthwise_product(o3.Irreps("2x1o+3x0e"), o3.Irreps("0e+1o"), o3.Irreps("1o+0e"))
    assert product.irreps_out == o3.Irreps("2x0e+3x0e+2x1o+3x1o")
    assert product.irreps_out.simplify() == o3.Irreps("5x0e+5x1o")


def test_only_even_scalars_have_a_bias() -> None:
    layer = o3.Linear("2x0e+2x0o+2x1o", "3x0e+3x0o+3x1o", biases=True)
    assert sum(p.numel() for name, p in layer.named_parameters() if "bias" in name) == 3


def test_autocast_breaks_a_product_and_a_potential_leaves_it() -> None:
    product = o3.FullyConnectedTensorProduct("4x0e+4x1o", "0e+1o+2e", "4x0e+4x1o")
    x, y = torch.ones(1, 16), torch.ones(1, 9)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(RuntimeError, match="dtype"):
        product(x, y)
    assert product.bfloat16()(x.bfloat16(), y.bfloat16()).dtype == torch.bfloat16
    potential = build({"lmax": 2, "channels": 4}).eval()
    given = torch.tensor([[0.0, 0.0, 0.0], [0.8, 0.5, -0.2]]), torch.tensor([8, 1])
    plain = potential.energy_and_forces(*given)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(map(torch.equal, potential.energy_and_forces(*given), plain))


def test_weights_travel_as_a_state_and_a_pickled_module_is_refused() -> None:
    layer = o3.Linear("2x0e+2x1o", "2x0e+2x1o")
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    with pytest.raises(Exception, match="Weights only"):
        torch.load(file)
    again = o3.Linear("2x0e+2x1o", "2x0e+2x1o")
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(torch.ones(1, 8)), layer(torch.ones(1, 8)))


def test_a_sampled_activation_is_equivariant_only_on_a_fine_sphere() -> None:
    irreps, g = o3.Irreps("0e+1o+2e"), turn(torch.float32)
    d = irreps.D_from_matrix(g)
    x = torch.randn(50, 9, generator=torch.Generator().manual_seed(0))
    errors = []
    for resolution in (6, 10, 40):
        step = e3nn_nn.S2Activation(irreps, torch.tanh, resolution)
        errors.append(float((step(x @ d.T) - step(x) @ d.T).abs().max()))
    assert errors[0] > 3 * errors[1] > 3e3 * errors[2]
    assert errors[2] < SPACE[torch.float32]


def test_an_activation_sampled_on_rotations_is_equivariant_only_on_a_fine_grid() -> None:
    irreps = o3.Irreps([(2 * degree + 1, (degree, 1)) for degree in range(3)])
    d = irreps.D_from_matrix(turn(torch.float32))
    x = torch.randn(50, irreps.dim, generator=torch.Generator().manual_seed(0))
    errors = []
    for resolution in (3, 6):
        step = e3nn_nn.SO3Activation(2, 2, torch.tanh, resolution)
        errors.append(float((step(x @ d.T) - step(x) @ d.T).abs().max()))
    assert errors[0] > 1e-2 > 1e-3 > errors[1]


@pytest.mark.parametrize("engine", ["e3nn", "so2"])
def test_dynamo_cannot_guard_irreps_and_a_model_compiles_around_our_product(engine: str) -> None:
    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.product = EdgeProduct("2x0e+2x1o", 1, "2x0e+2x1o", engine=engine)

        def forward(self, x: Tensor, edges: Tensor) -> Tensor:
            return torch.tanh(self.product(x, edges))

    x, edges, model = torch.randn(4, 8), torch.randn(4, 3), Model().requires_grad_(False)
    assert torch.equal(torch.compile(model, backend="eager")(x, edges), model(x, edges))
    irreps = model.product.irreps_in
    logging.disable(logging.CRITICAL)  # Dynamo tells its whole story
    try:
        with pytest.raises(Exception, match="NotImplementedError"):
            torch.compile(lambda x: x * irreps.dim, backend="eager")(x)
    finally:
        logging.disable(logging.NOTSET)


def test_e3nns_own_surface_cannot_draw_what_has_a_gradient() -> None:
    values = torch.randn(9, requires_grad=True)
    with pytest.raises(RuntimeError, match="requires grad"):
        SphericalTensor(2, 1, -1).plotly_surface(values)


def test_e3nns_scripts_warn() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        script(o3.Linear("2x0e", "2x0e"))
    assert any(issubclass(one.category, DeprecationWarning) for one in caught)


DECLINED = {
    "visualize": "draw paths with workbench.views.products; e3nn's needs matplotlib",
    "plotly_surface": "draw with workbench.views.harmonics; e3nn's fails on what has a gradient",
    "SO3Activation": "use a gate; its memory grows with the cube of the resolution",
    "NormActivation": "use a gate; its slope at zero is huge",
    "v2103": "use workbench.models.molecular_potential; it needs torch_cluster",
    "jit_mode": "leave modules as they are; TorchScript is deprecated",
    "script": "leave modules as they are; TorchScript is deprecated",
    "compile": "leave modules as they are; compiling takes minutes, and forces cannot be trained",
}


def declined(source: str) -> list[str]:
    """Calls of e3nn or torch that the workbench does without."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            where, _, name = ast.unparse(node.func).rpartition(".")
            found += [name] if (where or name != "compile") and where != "re" else []  # Python's own compile is another
        elif isinstance(node, ast.ImportFrom | ast.Import):
            found += [part for alias in node.names for part in f"{getattr(node, 'module', '')}.{alias.name}".split(".")]
        elif isinstance(node, ast.keyword):
            found.append(str(node.arg))
    return [name for name in found if name in DECLINED]


def test_the_workbench_calls_nothing_of_e3nn_that_is_known_to_fail() -> None:
    sources = {path: path.read_text(encoding="utf-8") for path in (ROOT / "workbench").rglob("*.py")}
    found = {str(path.relative_to(ROOT)): declined(source) for path, source in sources.items()}
    assert len(found) == len(sources)
    assert {name: [DECLINED[call] for call in calls] for name, calls in found.items() if calls} == {}
    assert declined("product.visualize()\ntorch.compile(net)") == ["visualize", "compile"]
    assert declined("re.compile('a')\ncompile('a')") == []
    assert declined("from e3nn.nn import SO3Activation as A\nimport e3nn.nn.models.v2103") == ["SO3Activation", "v2103"]
    assert declined("make(irreps, jit_mode='script')") == ["jit_mode"]


def test_the_polar_axis_is_y_and_a_vector_needs_no_new_order() -> None:
    x = torch.tensor([[0.3, -0.4, 1.2]], dtype=torch.float64)
    ours = spherical_harmonics(1, x, "norm")[0, 1:]
    assert (ours - x[0] / x.norm()).abs().max() <= EXACT[torch.float64]
    pole = spherical_harmonics(3, torch.tensor([0.0, 1.0, 0.0], dtype=torch.float64), "norm")
    expected = torch.zeros(16, dtype=torch.float64)
    expected[[0, 2, 6, 12]] = 1
    assert (pole - expected).abs().max() <= EXACT[torch.float64]


def test_within_e3nns_own_folder_its_math_hides_pythons() -> None:
    """There Python runs with -P, which leaves the folder out of what it searches."""
    folder = Path(o3.__file__).parents[1]
    for options, answers in (["-P"], 0), ([], 1):
        run = [sys.executable, *options, "-c", "from math import pi"]
        assert subprocess.run(run, cwd=folder, capture_output=True).returncode == answers
