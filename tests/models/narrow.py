"""Narrow versions of the three architectures, for tests."""

from torch import nn

from workbench.models.partial_gcnn import build

NARROW = {
    "ckresnet": {"architecture": "ckresnet", "widths": (4, 4, 6), "kernel_size": 3, "hidden": 8},
    "gcnn": {"architecture": "gcnn", "widths": (4, 4, 6, 6), "kernel_size": 3, "hidden": 8, "pools": (2,)},
    "demo": {"hidden": 8, "widths": (4, 4, 4, 6)},
}
GROUPS = {"SO2": {"group": "SO2", "n": 8}, "O2": {"group": "O2", "n": 8}, "C(4)": {"group": "C(4)", "n": 4}}


def network(architecture: str, symmetry: str = "SO2", **changes: object) -> nn.Module:
    return build({**NARROW[architecture], **GROUPS[symmetry], "classes": 3, **changes})
