"""Exported programs of free sizes: what torch writes is taken, and nothing that only looks like it."""

import json
import warnings
import zipfile

import pytest
import torch
from torch import nn
from torch.export import Dim

from tests.tolerances import AGAIN_SINGLE
from workbench.audit import audit, load_model
from workbench.audit.formulas import is_guard, is_name, is_operation, is_size
from workbench.audit.programs import load_program

FORMS = {
    "Dim": {0: Dim("b")},
    "Dim with bounds": {0: Dim("b", min=1, max=64)},
    "Dim from two": {0: Dim("batch", min=2)},
    "AUTO": {0: Dim.AUTO},
    "DYNAMIC": {0: Dim.DYNAMIC},
    "DYNAMIC with bounds": {0: Dim.DYNAMIC(min=1, max=99)},
    "all AUTO": {0: Dim.AUTO, 2: Dim.AUTO, 3: Dim.AUTO},
    "all DYNAMIC": {0: Dim.DYNAMIC, 2: Dim.DYNAMIC, 3: Dim.DYNAMIC},
    "multiples": {0: Dim("b"), 2: 8 * Dim("h"), 3: 8 * Dim("w")},
    "tuple": (Dim("b"), Dim.STATIC, Dim.AUTO, Dim.AUTO),
}


class Strided(nn.Module):
    """Its sizes are quotients and sums of those of the input, and one branch asks for the size of the batch."""

    def __init__(self):
        super().__init__()
        self.down, self.up = nn.Conv2d(1, 4, 3, 2, 1), nn.ConvTranspose2d(4, 1, 4, 2, 1)

    def forward(self, x):
        maps = self.up(torch.cat([self.down(x), self.down(x)], 1)[:, :4])
        pooled = nn.functional.adaptive_avg_pool2d(nn.functional.max_pool2d(maps, 2), 1)
        return pooled.reshape(x.shape[0], -1)


class Bounded(nn.Module):
    """Another way for large batches, so that torch writes a guard."""

    def __init__(self):
        super().__init__()
        self.filters = nn.Conv2d(1, 3, 3)

    def forward(self, x):
        return self.filters(x).mean((2, 3)) if x.shape[0] <= 6 else -self.filters(x).mean((2, 3))


def saved(path, model, form, batch=4):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(model.eval(), (torch.rand(batch, 1, 16, 16),), dynamic_shapes=(form,))
        torch.export.save(program, path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_every_usual_way_to_leave_sizes_free_is_taken_and_answers_as_the_network_does(form, tmp_path):
    torch.manual_seed(0)
    net = Strided().eval()
    program, kind, shape = load_program(saved(tmp_path / "net.pt2", net, FORMS[form]))
    assert kind == "exported program"
    assert shape[:2] == (0, 1)
    for count in (1, 2, 7):
        images = torch.rand(count, 1, 16, 16)
        torch.testing.assert_close(program(images), net(images), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE)


def test_batches_beyond_the_bounds_are_cut_and_filled(tmp_path):
    torch.manual_seed(0)
    net = Bounded().eval()
    program, _, _ = load_program(saved(tmp_path / "net.pt2", net, {0: Dim.AUTO}))
    assert (program.batch, program.least, program.most) == (None, 2, 6)
    images = torch.rand(13, 1, 16, 16)
    torch.testing.assert_close(
        program(images), torch.cat([net(part) for part in images.split(6)]), rtol=AGAIN_SINGLE, atol=AGAIN_SINGLE
    )


def test_a_program_of_free_batch_is_audited(tmp_path):
    found = load_model(saved(tmp_path / "net.pt2", Strided(), {0: Dim("b")}))
    assert audit(found, torch.rand(5, 1, 16, 16), "C(4)").sweeps["C(4)"].sizes["sample"] == 5


SIZES = [
    "eval(1)",
    "s0.__class__",
    "Symbol('__import__')",
    "Symbol('s0', __class__=True)",
    "Symbol(eval('s0'))",
    "Symbol(s0)",
    "Function('f')(1)",
    "Lambda(s0, s0)",
    "sympify('1')",
    "Add(Symbol('s0'), __import__('os').system('id'))",
    "Pow(Integer(9), Integer(99999999))",
    "Pow(Pow(Pow(Pow(s0, 16), 16), 16), 16)",
    "LShift(Integer(1), Integer(99999999))",
    "9**9**9",
    "Integer('0x1')",
    "'s0'",
    "Max(1, 's0')",
    "[s0]",
    "s0 if s0 else s1",
    "(lambda: 1)()",
    "s0\n+1",
    "ｅval(1)",
    "(" * 300 + "s0" + ")" * 300,
    "",
]
GUARDS = [
    "__import__('os')",
    "L['x'].__class__ == 1",
    "L['x'].data_ptr() == 1",
    "L['x'].size().__len__() == 1",
    "L['x']['__class__'].size()[0] == L.x",
    "L['x');import os;('].size()[0] == 1",
    "torch.load('x') == 1",
    "math.__loader__ == 1",
    "L['x'].size()[0] == 9**9999999",
    "L['x'].size()[0] == 1, print('x')",
    "True",
]


@pytest.mark.parametrize("text", SIZES)
def test_r1_no_other_text_is_a_size(text):
    assert not is_size(text)


@pytest.mark.parametrize("text", GUARDS)
def test_r1_no_other_text_is_a_guard(text):
    assert not is_guard(text)


@pytest.mark.parametrize(
    "text",
    ["torch.os.system", "torch.hub.load", "torch.ops.load_library", "torch.ops.aten.relu.__globals__", "os.system",
     "_operator.attrgetter", "_operator.methodcaller", "math.__loader__.load_module", "torch.ops.__class__.aten", "#x"],
)  # fmt: skip
def test_r1_no_other_text_is_an_operation(text):
    assert not is_operation(text)


def test_r1_what_torch_writes_is_taken():
    sizes = (
        "Add(Mul(Integer(4), Pow(FloorDiv(Add(Symbol('s0', positive=True, integer=True), Integer(-1)), Integer(2)), "
        "Integer(2))), Integer(4))",
        "Max(Integer(1), FloorDiv(Symbol('s53', positive=True, integer=True), Integer(2)))",
        "Float('0.5', precision=53)",
        "Pow(Symbol('s0', positive=True, integer=True), Rational(1, 2))",
        "Max(1, 2*s77 + 1)",
        "s0 // 2 >= 1",
    )
    guards = (
        "(1 + (((-1) + L['x'].size()[2]) // 2)) != 1",
        "L['x'].size()[3] == 1 or min(L['x'].size()[3], 4) == L['args'][0][1].size()[0]",
        "math.floor(L['x'].size()[0] / 2) == 2",
    )
    assert all(map(is_size, sizes))
    assert all(map(is_guard, guards))
    assert all(map(is_operation, ["torch.ops.aten.relu.default", "_operator.floordiv", "torch.sym_max"]))
    assert [is_name(name) for name in ("p_f_0_weight", "x=print(1)")] == [True, False]


def crafted(path, target, change):
    """A copy of a program with its graph changed."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name.endswith("models/model.json"):
                stored = json.loads(content)
                change(stored)
                content = json.dumps(stored).encode()
            new.writestr(name, content)
    return target


@pytest.mark.parametrize("place", ["guard", "size", "step", "argument", "spec", "names", "keys"])
def test_r1_code_in_a_program_of_free_sizes_is_refused_before_torch_reads_it(place, tmp_path):
    proof = tmp_path / "proof"
    code = f"__import__('pathlib').Path({str(proof)!r}).touch()"

    def change(stored):
        graph = stored["graph_module"]["graph"]
        if place == "guard":
            stored["guards_code"] = [f"L['x'].size()[0] >= 1 or {code}"]
        elif place == "size":
            sizes = next(value["sizes"] for name, value in graph["tensor_values"].items() if name == "x")
            sizes[0]["as_expr"]["expr_str"] = f"Add(Symbol('s77', positive=True, integer=True), {code})"
        elif place == "step":
            graph["nodes"][0]["target"] = "torch.os.system"
        elif place == "argument":
            graph["nodes"][0]["inputs"][0]["name"] = f"input={code}, x"
        signature = stored["graph_module"]["module_call_graph"][0]["signature"]
        if place == "names":
            signature["forward_arg_names"] = [f"x={code}"]
        elif place == "keys":
            keys = {"type": "builtins.dict", "context": json.dumps([f"x={code}"]), "children_spec": []}
            signature["in_spec"] = json.dumps([1, keys])
        elif place == "spec":
            signature["in_spec"] = '[1, {"__enum__": true, "fqn": "antigravity:x"}]'

    good = saved(tmp_path / "good.pt2", Strided(), {0: Dim("b")})
    with pytest.raises(ValueError, match="so reading it could run code"):
        load_model(crafted(good, tmp_path / "bad.pt2", change))
    assert not proof.exists()
