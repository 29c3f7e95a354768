"""What samples are taken for, and that the reader is told so."""

import numpy as np
import pytest
import torch
import xarray as xr
from torch import nn

from workbench.audit import load_data
from workbench.audit.kinds import clue_of_network, clue_of_shape


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((5, 7, 3), "points"), ((5, 7, 2), "points"), ((5, 2, 40), "series"), ((5, 12, 1000), "series"),
     ((5, 9, 8), "image"), ((5, 1, 8, 8), "image")],
)  # fmt: skip
def test_a_shape_alone_is_read_the_usual_way_and_said(shape, kind) -> None:
    found = load_data(torch.rand(shape))
    assert found.input == kind
    assert bool(found.notes) is (len(shape) == 3), "four axes are images; anything else is told"


@pytest.mark.parametrize(
    ("net", "shape", "kind"),
    [(nn.Sequential(nn.Conv1d(9, 4, 3)), (5, 9, 12), "series"), (nn.Sequential(nn.Linear(8, 4)), (5, 9, 8), "set"),
     (nn.TransformerEncoderLayer(8, 2), (5, 9, 8), "set"), (nn.LSTM(8, 4), (5, 9, 8), "set"),
     (nn.Linear(3, 4), (5, 9, 3), "points"), (nn.Conv2d(1, 2, 3), (5, 9, 8), "image")],
)  # fmt: skip
def test_the_first_layer_says_what_it_takes(net, shape, kind) -> None:
    found = load_data(torch.rand(shape), model=net)
    assert found.input == kind
    assert type(next(m for m in net.modules() if not isinstance(m, nn.Sequential))).__name__[:4] in found.notes[0] or (
        "MultiheadAttention" in found.notes[0]
    )


def test_a_layer_that_the_samples_do_not_fit_says_nothing() -> None:
    assert clue_of_network(nn.Linear(5, 4), (5, 9, 8)) is None
    assert clue_of_network(nn.Conv1d(3, 4, 3), (5, 9, 8)) is None
    assert clue_of_network(torch.relu, (5, 9, 8)) is None
    assert clue_of_shape((5, 8)) is None


def test_a_group_says_what_it_acts_on_and_what_is_asked_for_wins() -> None:
    values = torch.rand(5, 9, 4)
    for group, kind in {"SO3": "points", "Translation1": "series", "Symmetric(9)": "set"}.items():
        found = load_data(values, group=group)
        assert found.input == kind
        assert group.split("(")[0] in found.notes[0]
    assert load_data(values, group="SO3", kind="set").input == "set"


def test_names_of_arrays_say_so_and_features_ride_along(tmp_path) -> None:
    places, charges = np.random.rand(6, 5, 3), np.random.rand(6, 5)
    np.savez(tmp_path / "m.npz", positions=places, charges=charges, labels=np.arange(6))
    found = load_data(tmp_path / "m.npz")
    assert (found.input, found.dim, found.inputs.shape) == ("points", 3, (6, 5, 4))
    assert found.labels.tolist() == list(range(6))
    assert torch.equal(found.inputs[..., 3], torch.from_numpy(charges).float())
    assert any("The first 3 of the 4 numbers" in note for note in found.notes)
    np.savez(tmp_path / "s.npz", signals=np.random.rand(6, 50))
    assert load_data(tmp_path / "s.npz").inputs.shape == (6, 1, 50)
    np.savez(tmp_path / "i.npz", inputs=np.random.rand(6, 5, 4))
    assert load_data(tmp_path / "i.npz", kind="set").input == "set"


def test_names_of_dims_say_so_and_the_places_are_brought_into_order(tmp_path) -> None:
    values = np.random.rand(6, 50, 2)
    xr.Dataset({"voltage": (("sample", "time", "lead"), values)}).to_netcdf(tmp_path / "s.nc", engine="h5netcdf")
    found = load_data(tmp_path / "s.nc")
    assert (found.input, found.inputs.shape) == ("series", (6, 2, 50))
    assert torch.equal(found.inputs, torch.from_numpy(values).float().mT)
    assert "sample, time, lead" in found.notes[0]
    xr.Dataset({"r": (("sample", "xyz", "atom"), values.swapaxes(1, 2)[:, [0, 1, 1]])}).to_netcdf(
        tmp_path / "p.nc", engine="h5netcdf"
    )
    assert load_data(tmp_path / "p.nc").inputs.shape == (6, 50, 3)


class Molecules(torch.utils.data.Dataset):
    def __len__(self):
        return 10

    def __getitem__(self, at):
        return torch.full((4, 3), float(at)), at % 2


def test_a_torch_dataset_of_points_is_told_as_well() -> None:
    found = load_data(Molecules(), samples=4)
    assert (found.input, found.dim, found.inputs.shape) == ("points", 3, (4, 4, 3))
    assert found.labels is not None


def test_whole_numbers_that_are_no_pixels_are_used_as_they_are() -> None:
    found = load_data(torch.randint(0, 200, (5, 6, 3)), kind="points")
    assert found.inputs.max() > 1
    assert any("used as they are" in note for note in found.notes)


@pytest.mark.parametrize(
    ("value", "options", "sentence"),
    [
        (torch.rand(5, 8), {}, "says nothing of what it is"),
        (torch.rand(5, 8), {"kind": "points"}, "taken for point sets, because it was asked for"),
        (torch.rand(5, 8, 1), {"kind": "points"}, "d at least 2"),
        (torch.rand(5, 3, 8, 8), {"kind": "series"}, r"expected \(N, C, L\)"),
        (torch.rand(5, 8), {"kind": "graph"}, "kind = 'graph' was given; expected 'auto' or one of"),
        ("digits", {"kind": "set"}, "holds images"),
    ],
)
def test_what_does_not_fit_gets_one_sentence(value, options, sentence) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_data(value, **options)
