"""`workbench kernel`: this environment as a Jupyter kernel whose name tells the device."""

from __future__ import annotations

import argparse

from workbench.commands.memory import KEEP_MEMORY

NAMES = {"auto": "equivariance-workbench", "gpu": "equivariance-workbench", "cpu": "equivariance-workbench-cpu"}


def run(options: argparse.Namespace) -> int:
    """Install the kernel, or remove it."""
    if options.remove:
        return remove(options.device, options.prefix)
    device = describe_device(options.device)
    folder = install(options.device, device, options.prefix)
    print(f"Installed the kernel {display_name(device)!r} in {folder}.")
    print("Choose it in JupyterLab under Kernel > Change Kernel; it appears when the page is loaded anew.")
    return 0


def describe_device(wanted: str = "auto") -> str:
    """What the kernel computes on, in words: "CPU", or the GPU's name.

    Raises ValueError where a GPU was asked for and torch sees none.

    >>> describe_device("cpu")
    'CPU'
    """
    import torch

    if wanted != "cpu" and torch.cuda.is_available():
        return f"GPU: {torch.cuda.get_device_name(0)}"
    if wanted == "gpu":
        raise ValueError(
            f"a GPU kernel was asked for, but torch {torch.__version__} sees no GPU here; "
            "`workbench doctor` says why, and --device cpu installs the CPU kernel"
        )
    return "CPU"


def display_name(device: str) -> str:
    """The name people choose from in Jupyter.

    >>> display_name("CPU")
    'Equivariance Workbench (CPU)'
    """
    return f"Equivariance Workbench ({device})"


def install(wanted: str, device: str, prefix: str | None = None) -> str:
    """Write the kernel's description where Jupyter looks for it; returns the folder."""
    from ipykernel.kernelspec import install as install_kernel

    environment = dict(KEEP_MEMORY)
    if wanted == "cpu":
        environment["CUDA_VISIBLE_DEVICES"] = ""
    return install_kernel(
        kernel_name=NAMES[wanted],
        display_name=display_name(device),
        user=prefix is None,
        prefix=prefix,
        env=environment,
    )


def remove(wanted: str, prefix: str | None = None) -> int:
    """Take the kernel away again; says so where there was none."""
    import shutil
    from pathlib import Path

    from jupyter_core.paths import jupyter_data_dir

    data = Path(prefix) / "share" / "jupyter" if prefix else Path(jupyter_data_dir())
    folder = data / "kernels" / NAMES[wanted]
    if not folder.is_dir():
        print(f"There is no kernel in {folder}; nothing to remove.")
        return 0
    shutil.rmtree(folder)
    print(f"Removed the kernel in {folder}.")
    return 0
