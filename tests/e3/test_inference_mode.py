"""What was first used in inference mode can be trained with afterwards: constants that are kept serve both."""

import subprocess
import sys

CASES = {
    "reduced product": ("EdgeProduct('4x0e+4x1o', 2, '4x0e+4x1o', engine='so2')", "x, vectors"),
    "e3nn's product": ("EdgeProduct('4x0e+4x1o', 2, '4x0e+4x1o', engine='e3nn')", "x, vectors"),
    "Gaunt grid": ("GauntProduct(1, 1, 1)", "x[:, :4], x[:, 4:8]"),
    "potential": ("build({'lmax': 1, 'engine': 'dense-so2'})", "*water"),
}
IMPORTED_ONCE = """
import os, sys, torch
torch.set_num_threads(1)
from workbench.e3.gaunt import GauntProduct
from workbench.e3.product import EdgeProduct
from workbench.models.molecular_potential import build
x, vectors = torch.randn(4, 16), torch.randn(4, 3)
water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]), torch.tensor([8, 1, 1])
failed = []
for name, (made, given) in {cases!r}.items():
    child = os.fork()
    if not child:
        product = eval(made)
        with torch.inference_mode():
            eval("product(" + given + ")")
        eval("product(" + given + ")").sum().backward()
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        failed.append(name)
sys.exit(", ".join(failed) or 0)
"""


def test_a_first_call_in_inference_mode_does_not_spoil_training_and_one_that_fails_is_named():
    """Each in a process of its own, as constants are kept for the whole of it; all have the imports in common."""
    wrong = {"none such": ("EdgeProduct('nothing', 1, '1x0e', engine='so2')", "x, vectors")}
    code = IMPORTED_ONCE.format(cases={**wrong, **CASES})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "none such", done.stderr[-800:]
