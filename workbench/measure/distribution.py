"""What a partially equivariant network has learned: arcs and gates, read from its layers."""

from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import nn

from workbench.groups import O2, Group
from workbench.measure.dataset import labelled
from workbench.measure.probe import first_tensor
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed


def group_modules(model: nn.Module) -> dict[str, Any]:
    """The group layers of a model by module name: whatever can be asked for its elements.

    Raises:
        ValueError: for a model without any.
    """
    modules = model.named_modules() if isinstance(model, nn.Module) else ()
    found = {name: m for name, m in modules if hasattr(m, "requested") and hasattr(m, "draw")}
    if not found:
        raise ValueError(
            f"a {type(model).__name__} without group layers was given; expected a model built of layers such as "
            "workbench.layers.GroupConv."
        )
    return found


def learned_distribution(model: nn.Module) -> xr.Dataset:
    """The distribution that every group layer draws its output elements from.

    Returns:
        Dims ``layer``, ``gate`` and ``element``. ``arc(layer)`` is the share of the circle and
        ``arc_half_width_deg(layer)`` its half width; ``gate_probability(layer, gate)`` the keep probability of each
        learned gate. What a layer does not learn is 1 (kept whole), and ``arc_learned(layer)``,
        ``gate_learned(layer, gate)`` and ``learned(layer)`` say so: no number here is NaN.
        ``mirror_probability(layer)`` is that of the mirror image. ``element_angle_deg(layer, element)``,
        ``element_mirror`` and ``element_used`` are the elements that evaluation uses.

    Raises:
        ValueError: for a model without group layers.

    >>> from workbench.layers import GroupConv, LiftingConv
    >>> ds = learned_distribution(nn.Sequential(LiftingConv(1, 2, 3), GroupConv(2, 2, 3, partial=True)))
    >>> ds.arc.values.tolist(), ds.arc_learned.values.tolist()
    ([1.0, 1.0], [False, True])

    Source: Romero & Lohit 2022 (arXiv 2110.10211), the learned subsets of its analysis.
    """
    layers = group_modules(model)
    with undisturbed(model):
        rows = [_read(layer) for layer in layers.values()]
    count, gates = len(rows), max(1, *(len(row["gates"]) for row in rows))
    elements = max(len(row["elements"]) for row in rows)
    probability, learned_gate = np.ones((count, gates)), np.zeros((count, gates), dtype=bool)
    angle, mirror = np.zeros((count, elements)), np.ones((count, elements), dtype=np.int64)
    used = np.zeros((count, elements), dtype=bool)
    for at, row in enumerate(rows):
        probability[at, : len(row["gates"])] = row["gates"]
        learned_gate[at, : len(row["gates"])] = True
        angle[at, : len(row["elements"])] = np.rad2deg(row["elements"][:, 0])
        mirror[at, : len(row["elements"])] = row["elements"][:, 1].round()
        used[at, : len(row["elements"])] = True
    arc = np.array([row["arc"] for row in rows])
    arc_learned = np.array([row["arc_learned"] for row in rows])
    reference = first_tensor(model)
    return xr.Dataset(
        {
            "arc": labelled("layer", arc, "share of the circle that the layer keeps"),
            "arc_half_width_deg": labelled("layer", 180 * arc, "half width of the arc", "degrees"),
            "arc_learned": labelled("layer", arc_learned, "the layer learns an arc"),
            "gate_probability": labelled(("layer", "gate"), probability, "keep probability of the gate"),
            "gate_learned": labelled(("layer", "gate"), learned_gate, "the layer has this gate"),
            "mirror_probability": labelled(
                "layer", [row["mirror"] for row in rows], "keep probability of the mirror image"
            ),
            "learned": labelled("layer", arc_learned | learned_gate.any(1), "the layer learns its symmetry"),
            "element_angle_deg": labelled(("layer", "element"), angle, "rotation of the element", "degrees"),
            "element_mirror": labelled(("layer", "element"), mirror, "mirror of the element"),
            "element_used": labelled(("layer", "element"), used, "evaluation uses this element"),
            "relative_depth": labelled("layer", np.linspace(0, 1, count), "relative depth"),
        },
        coords={
            "layer": labelled("layer", list(layers), "layer"),
            "gate": labelled("gate", np.arange(gates), "number of the gate"),
            "element": labelled("element", np.arange(elements), "number of the element"),
            "group": labelled("layer", [layer.group.name for layer in layers.values()], "group"),
        },
        attrs=provenance(
            "learned_distribution",
            seed="not used",
            dtype="none" if reference is None else reference.dtype,
            reduction="none: every layer",
            model=type(model).__name__,
        ),
    )


def _read(layer: Any) -> dict[str, Any]:
    distribution, group = layer.distribution, layer.group
    arc = None if distribution is None else distribution.arc_fraction()
    keep = torch.ones(0) if distribution is None else distribution.keep_probabilities().detach().cpu()
    mirror = float(keep[-1]) if isinstance(group, O2) and len(keep) else 1.0
    return {
        "arc": 1.0 if arc is None else float(arc),
        "arc_learned": arc is not None,
        "gates": keep.double().numpy(),
        "mirror": mirror,
        "elements": _angles_and_mirrors(layer.draw().elements.detach().cpu().double(), group),
    }


def _angles_and_mirrors(elements: torch.Tensor, group: Group) -> np.ndarray:
    if group.element_dim == 1:
        elements = torch.cat([elements, torch.ones_like(elements)], -1)
    return elements.numpy()
