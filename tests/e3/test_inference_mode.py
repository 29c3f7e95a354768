"""What was first used in inference mode can be trained with afterwards: constants that are kept serve both."""

import subprocess
import sys

import pytest

FIRST_THEN = """
import torch
from workbench.e3.gaunt import GauntProduct
from workbench.e3.product import EdgeProduct
from workbench.models.molecular_potential import build
x, vectors = torch.randn(4, 16), torch.randn(4, 3)
water = torch.tensor([[0.0, 0.0, 0.12], [0.0, 0.76, -0.48], [0.0, -0.76, -0.48]]), torch.tensor([8, 1, 1])
made = {made}
with torch.inference_mode():
    made({given})
made({given}).sum().backward()
"""
CASES = {
    "reduced product": ("EdgeProduct('4x0e+4x1o', 2, '4x0e+4x1o', engine='so2')", "x, vectors"),
    "e3nn's product": ("EdgeProduct('4x0e+4x1o', 2, '4x0e+4x1o', engine='e3nn')", "x, vectors"),
    "Gaunt grid": ("GauntProduct(1, 1, 1)", "x[:, :4], x[:, 4:8]"),
    "potential": ("build({'lmax': 1, 'engine': 'dense-so2'})", "*water"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_first_call_in_inference_mode_does_not_spoil_training(name):
    """In a process of its own, as constants are kept for the whole of it."""
    made, given = CASES[name]
    code = FIRST_THEN.format(made=made, given=given)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-800:]
