"""The picture of a molecule: arrows end where the forces say, and what is not there is not drawn."""

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import xarray as xr

from tests.tolerances import EXACT
from workbench.measure.dataset import labelled
from workbench.measure.provenance import provenance
from workbench.views.molecule import molecule_picture

DRAWN = EXACT[torch.float32]
FORCES = np.array([[0.0, 0.0, 2.0], [0.0, -1.0, 0.0], [0.0, 1.0, -2.0]])


def water(reference: bool = True) -> xr.Dataset:
    each = ("atom", "xyz")
    where = np.array([[0, 0, 0.12], [0, 0.76, -0.48], [0, -0.76, -0.48]])
    variables = {
        "positions": labelled(each, where, "position", "angstrom"),
        "forces": labelled(each, FORCES, "force of the network", "eV/angstrom"),
        "reference": labelled(each, 2 * FORCES if reference else FORCES * np.nan, "force given", "eV/angstrom"),
        "bonded": labelled(("bond", "end"), np.array([[0, 1], [0, 2]]), "bonded atoms"),
        "symbol": labelled("atom", np.array(["O", "H", "<b>"]), "element"),
        "motion": labelled("motion", np.array(["rotation", "shift"]), "motion"),
        "error": labelled(("motion", "transform"), np.array([[1e-6, 0.0], [1e-2, 1e-3]]), "error"),
        "floor": labelled((), 1e-7, "rounding"),
        "error_here": labelled((), 1e-6, "error here"),
        "alone": labelled((), 0, "atoms without a neighbour"),
        "force_mae": labelled((), 12.0 if reference else np.nan, "mean error", "meV/angstrom"),
    }
    return xr.Dataset(variables, attrs={**provenance("test", seed=0, dtype="float32"), "formula": "H2O"})


def test_shafts_run_from_the_atom_to_the_end_of_its_force() -> None:
    figure = go.Figure(molecule_picture(water(), 0.5))
    where = water()["positions"].values
    for name, forces in (("force of the network", FORCES), ("force given", 2 * FORCES)):
        shaft = next(trace for trace in figure.data if trace.name == name and trace.type == "scatter3d")
        ends = np.stack([shaft.x, shaft.y, shaft.z], 1).reshape(-1, 3, 3)
        assert ends[:, 0] == pytest.approx(where, abs=DRAWN), name
        assert ends[:, 1] == pytest.approx(where + 0.5 * forces, abs=DRAWN), name
        assert np.isnan(ends[:, 2]).all()
    heads = [trace for trace in figure.data if trace.type == "cone"]
    assert len(heads) == 2
    for trace, forces in zip(heads, (2 * FORCES, FORCES), strict=True):
        tips = np.stack([trace.x, trace.y, trace.z], 1)
        assert tips == pytest.approx(where + 0.5 * forces, abs=DRAWN)
        drawn = np.stack([trace.u, trace.v, trace.w], 1)
        assert drawn == pytest.approx(0.2 * forces / np.linalg.norm(forces, axis=1, keepdims=True), abs=DRAWN)


def test_without_a_reference_nothing_is_said_of_it() -> None:
    figure = go.Figure(molecule_picture(water(reference=False), 0.5))
    assert sum(trace.type == "cone" for trace in figure.data) == 1
    assert "forces off by" not in figure.layout.annotations[0].text


def test_r17_names_are_shown_as_text_and_every_error_has_its_dot() -> None:
    drawn = molecule_picture(water(), 0.5)
    atoms = next(trace for trace in drawn["data"] if trace.get("mode") == "markers" and trace["type"] == "scatter3d")
    assert atoms["text"] == ["O 1", "H 2", "&lt;b&gt; 3"]
    dots = next(trace for trace in drawn["data"] if trace.get("mode") == "markers" and trace["type"] == "scatter")
    assert dots["y"] == pytest.approx(np.array([1e-6, 1e-17, 1e-2, 1e-3]))


def test_a_dataset_without_provenance_is_refused() -> None:
    bare = water()
    bare.attrs.pop("seed")
    with pytest.raises(ValueError, match="where its numbers come from"):
        molecule_picture(bare, 0.5)
