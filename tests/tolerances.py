"""The one table of tolerances: every test takes its bound from here, by name, and none is typed inline."""

import torch

# Relative error of an identity that holds exactly in real arithmetic, by dtype: what rounding alone may cost.
EXACT: dict[torch.dtype, float] = {torch.float64: 1e-12, torch.float32: 2e-6}
