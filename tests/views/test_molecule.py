"""The picture of a molecule: arrows end where the forces say, and what is not there is not drawn."""

import numpy as np
import plotly.graph_objects as go
import pytest
import torch
import xarray as xr

from tests.tolerances import AGAIN_SINGLE, EXACT
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
        "error": labelled(("motion", "element"), np.array([[1e-6, 0.0], [1e-2, 1e-3]]), "error"),
        "floor": labelled((), 1e-7, "rounding"),
        "error_here": labelled((), 1e-6, "error here"),
        "alone": labelled((), 0, "atoms without a neighbour"),
        "force_mae": labelled((), 12.0 if reference else np.nan, "mean error", "meV/angstrom"),
        "error_mean": labelled(("model", "transform"), np.array([[0.0, 1e-6, 2e-6], [0.0, 0.1, 0.2]]), "error"),
        "error_sem": labelled(("model", "transform"), np.zeros((2, 3)), "spread"),
        "rounding_floor": labelled("transform", np.array([1e-6, 3e-6, 3e-6]), "rounding of both poses"),
        "lattice": labelled("transform", np.array([True, False, False]), "where it was"),
        "angle_deg": labelled("transform", np.array([0.0, 90.0, 180.0]), "turned by", "degrees"),
        "model": labelled("model", np.array(["the network", "<i>field</i>"]), "network"),
        "angle_shown_deg": labelled((), 30.0, "turned by", "degrees"),
    }
    given = provenance("test", seed=0, dtype="float32", resampler="none", mask="none")
    return xr.Dataset(variables, attrs={**given, "formula": "H2O"})


def with_feature(degree: int) -> xr.Dataset:
    """Water whose atoms carry a feature: arrows, or functions on six directions."""
    axes = np.concatenate([np.eye(3), -np.eye(3)])
    variables = {
        "feature": labelled(("atom", "m"), np.ones((3, 2 * degree + 1)), "feature 4 of 9 of <b>"),
        "feature_error": labelled((), 3e-7, "error"),
        "feature_floor": labelled((), 5e-7, "rounding"),
    }
    if degree == 1:
        variables["vectors"] = labelled(("atom", "xyz"), 3 * FORCES, "feature 4 of 9 of <b>")
    else:
        value = np.array([[1.0, -2.0, 0.5, 0.0, 4.0, 1.0], [0.5] * 6])  # of the first two atoms
        variables["value"] = labelled(("surface", "direction"), value, "function")
        variables["direction_xyz"] = labelled(("direction", "xyz"), axes, "direction")
        variables["triangle"] = labelled(("face", "corner"), np.array([[0, 1, 2], [3, 4, 5]]), "triangle")
    return water().assign(variables)


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
    dots = next(trace for trace in drawn["data"] if trace.get("mode") == "markers" and trace.get("yaxis") == "y2")
    assert dots["y"] == pytest.approx(np.array([1e-6, 1e-17, 1e-2, 1e-3]), rel=AGAIN_SINGLE)


def test_a_dataset_without_provenance_is_refused() -> None:
    bare = water()
    bare.attrs.pop("seed")
    with pytest.raises(ValueError, match="where its numbers come from"):
        molecule_picture(bare, 0.5)


def test_n9_the_error_at_every_angle_stands_beside_its_floor_and_a_control_as_for_images() -> None:
    drawn = molecule_picture(water(), 0.5)
    lines = {t["name"]: t for t in drawn["data"] if t["type"] == "scatter" and t.get("mode") == "lines"}
    for name, wanted in (("the network", [1e-17, 1e-6, 2e-6]), ("&lt;i&gt;field&lt;/i&gt;", [1e-17, 0.1, 0.2]),
                         ("rounding of both poses", [1e-6, 3e-6, 3e-6])):  # fmt: skip
        assert lines[name]["x"] == pytest.approx([0, 90, 180], abs=DRAWN)
        assert lines[name]["y"] == pytest.approx(wanted, rel=DRAWN, abs=0)
        assert "±" not in lines[name]["hovertemplate"]  # one molecule has no spread
    assert lines["angle shown"]["x"] == pytest.approx([30, 30], abs=DRAWN)
    spread = water().assign(error_sem=water()["error_mean"] / 2)
    curve = next(t for t in molecule_picture(spread, 0.5)["data"] if t.get("name") == "the network")
    assert "±" in curve["hovertemplate"]


def test_vector_features_are_drawn_instead_of_forces_the_largest_twice_as_long_as_the_slider_says() -> None:
    figure = go.Figure(molecule_picture(with_feature(1), 0.5))
    (heads,) = [trace for trace in figure.data if trace.type == "cone"]
    tips = np.stack([heads.x, heads.y, heads.z], 1)
    longest = np.linalg.norm(FORCES, axis=1).max()
    assert tips == pytest.approx(water()["positions"].values + FORCES / longest, abs=DRAWN)
    assert "eV" not in "".join(heads.text)
    words = [note.text for note in figure.layout.annotations]
    assert "<b>H2O: feature 4 of 9 of &lt;b&gt;; turns along up to 3.0e-07, of rounding alone 5.0e-07</b>" in words
    assert "the largest is drawn 1 Å long" in words
    assert not any("1 eV/Å" in one for one in words)


def test_features_of_higher_degrees_are_closed_surfaces_around_their_atoms() -> None:
    figure = go.Figure(molecule_picture(with_feature(2), 0.25))
    (mesh,) = [trace for trace in figure.data if trace.type == "mesh3d"]
    points = np.stack([mesh.x, mesh.y, mesh.z], 1).reshape(2, 6, 3)
    where = water()["positions"].values
    ds = with_feature(2)
    for at in range(2):
        radius = 0.5 * np.abs(ds["value"].values[at]) / 4
        assert points[at] == pytest.approx(where[at] + radius[:, None] * ds["direction_xyz"].values, abs=DRAWN)
    assert np.stack([mesh.i, mesh.j, mesh.k], 1).tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8], [9, 10, 11]]
    assert mesh.intensity == pytest.approx(ds["value"].values.ravel(), abs=DRAWN)
    assert (mesh.cmin, mesh.cmax) == (-4, 4)
    assert not [trace for trace in figure.data if trace.type == "cone"]


def test_names_of_curves_stand_apart_and_features_stay_in_sight() -> None:
    figure = go.Figure(molecule_picture(with_feature(2), 0.5))
    heights = sorted(note.y for note in figure.layout.annotations if note.yref == "y")
    low, high = figure.layout.yaxis.range
    pixels = (high - low) / ((figure.layout.height - 100) * np.ptp(figure.layout.yaxis.domain))
    assert len(heights) == 3
    assert min(np.diff(heights)) > 12 * pixels
    (mesh,) = [trace for trace in figure.data if trace.type == "mesh3d"]
    assert max(np.abs(axis).max() for axis in (mesh.x, mesh.y, mesh.z)) < figure.layout.scene.xaxis.range[1]
