"""Where a number comes from: the attributes that every measured Dataset carries."""

import torch

from workbench import __version__

Attribute = str | int | float
EXPECTED = ("seed", "dtype", "resampler", "padding", "mask", "reduction", "input_kind")
"""What every Dataset states; a measure that has no such choice says ``"none"``."""


def provenance(created_by: str, **given: object) -> dict[str, Attribute]:
    """Attributes for a Dataset: who made it, with which choices, on which versions.

    Args:
        created_by: the public function that returns the Dataset.
        given: every option that changes the numbers; ``seed``, ``dtype``, ``resampler``, ``padding``, ``mask``,
            ``reduction`` and ``input_kind`` are always there, ``"none"`` where the measure has no such choice.

    Returns:
        Numbers and strings only, so that NetCDF keeps them unchanged. No clock is read: the same call gives
        the same attributes.

    >>> attrs = provenance("example", seed=3, dtype=torch.float64, layers=("a", "b"), floors=True)
    >>> attrs["seed"], attrs["dtype"], attrs["layers"], attrs["floors"], attrs["mask"]
    (3, 'float64', 'a, b', 'true', 'none')
    """
    import xarray

    stated = {name: given.get(name) for name in EXPECTED} | given
    return {
        "created_by": created_by,
        **{name: _plain(value) for name, value in stated.items()},
        "workbench_version": __version__,
        "torch_version": str(torch.__version__),
        "xarray_version": str(xarray.__version__),
    }


def _plain(value: object) -> Attribute:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | str):
        return value
    if isinstance(value, torch.dtype):
        return str(value).removeprefix("torch.")
    if isinstance(value, list | tuple):
        return ", ".join(str(_plain(v)) for v in value)
    return str(value)
