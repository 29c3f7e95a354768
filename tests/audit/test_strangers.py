"""Networks and files of other people: what an audit says of them has to be true, and of use."""

import html

import numpy as np
import pytest
import torch
import xarray as xr
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from workbench.audit import audit, load_data, report_html
from workbench.audit.evidence import with_evidence
from workbench.audit.outside import outside_look, told_from_outside
from workbench.audit.upfront import guess
from workbench.cli import main


class UNet(nn.Module):
    """Pools by a function, comes back by a transposed convolution, and its bias is most of what it says."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.down, self.deep = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.up, self.out = nn.ConvTranspose2d(8, 8, 2, 2), nn.Conv2d(16, 2, 1)
        nn.init.constant_(self.out.bias, 20.0)

    def forward(self, x: Tensor) -> Tensor:
        near = self.down(x).relu()
        far = self.up(self.deep(functional.max_pool2d(near, 2)).relu())
        return self.out(torch.cat([near, far], 1))


class Placed(nn.Module):
    """Patches with a table of their places, held by the network itself."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches, self.head = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 3)
        nn.init.constant_(self.patches.weight, 0.1)  # these filters are alike at every turn
        self.pos = nn.Parameter(torch.randn(1, 16, 8))

    def forward(self, x: Tensor) -> Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2) + self.pos
        return self.head(tokens.tanh().mean(1))


class Near(nn.Module):
    """Boxes that stand in the middle of the frame whatever is seen, as those of a detector with new weights do."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.end = nn.Conv2d(1, 8, 3, 2, 1), nn.Linear(8, 12)

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self.conv(x).relu().mean((2, 3))).sigmoid().unflatten(1, (3, 4))


class Labels(nn.Module):
    """The same class for every image, as a whole number."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((1, 2, 3)).mul(0).long()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def mapped():
    some = torch.rand(6, 1, 32, 32, generator=torch.Generator().manual_seed(1))
    return audit(UNet().eval(), some, data_samples=0)


def test_maps_that_hardly_differ_are_held_against_how_much_they_do(mapped):
    assert mapped.spread < 0.2
    assert all(v.level == "broken" for v in mapped.verdicts)  # an error of 1 % is no small part of that
    assert mapped.scale in str(mapped)
    assert mapped.scale in html.unescape(report_html(mapped))
    assert not any("For scale" in note for note in mapped.notes)


def test_the_scale_of_an_error_is_on_the_terminal(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    np.save("some.npy", images.numpy())
    (tmp_path / "thin.py").write_text(
        "import torch\nnet = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(256, 3))\n"
    )
    assert main(["audit", "thin.py:net", "--data", "some.npy", "--data-samples", "0", "--output", "out"]) == 0
    assert "\nFor scale: the network's answers to two different images differ by" in capsys.readouterr().out


def test_labels_that_never_change_are_no_symmetry(images):
    result = audit(Labels().eval(), images, data_samples=0)
    assert result.spread == 0
    assert "hardly looks" in result.short
    assert not result.scale


def test_the_steps_of_a_function_are_found_from_outside_and_not_called_a_table_of_places(mapped):
    shifts = next(v for v in mapped.verdicts if v.question == "shifts")
    assert "from outside" in mapped.more
    told = ("2 is the smallest stride that helps", "functions between the modules", "less those of a blank image")
    assert all(words in shifts.because for words in told)
    assert "weight of its own" not in shifts.because


def test_what_padding_makes_of_a_blank_frame_is_not_taken_for_the_network_in_the_middle():
    torch.manual_seed(0)
    padded = nn.Conv2d(1, 4, 5, padding=2).requires_grad_(False)
    nn.init.constant_(padded.bias, 10.0)
    ds = outside_look(padded, torch.rand(4, 1, 32, 32), "image")
    assert float(ds["middle"].max()) < 1e-5 < float(ds["across"].min())
    assert "padding" in told_from_outside(ds)[0]


def test_a_table_of_the_network_itself_is_named(images):
    result = audit(Placed().eval(), images, data_samples=0)
    told = " ".join(v.whole for v in with_evidence(result.verdicts, result.more))
    assert "at model:" not in told
    assert "the network itself (pos of shape (1, 16, 8) gives each place its own number" in told


def test_boxes_in_the_middle_are_a_guess_in_the_unit_of_their_numbers(images):
    result = audit(Near().eval(), images, data_samples=0, samples=4)
    assert {str(ds.attrs["output"]).split(" in ")[1] for ds in result.sweeps.values()} == {"unit"}
    assert "is a guess" in result.short  # they fit, but so do boxes that never move


@pytest.mark.parametrize(("kind", "word"), [("points", "'vectors'"), ("series", "'series'"), ("set", "'set'")])
def test_examples_of_laws_are_those_of_the_samples(kind, word):
    attrs = {"output": "set", "output_confidence": 0.0, "output_why": "nothing fits", "input": kind}
    told = guess({"some": xr.Dataset(attrs=attrs)})
    assert word in told
    assert "boxes" not in told


def test_a_network_without_numbers_gets_one_sentence(images):
    with pytest.raises(ValueError, match=r"'meta' were given.*to_empty"):
        audit(nn.Conv2d(1, 4, 3, device="meta"), images)


def test_an_answer_that_is_no_row_for_each_image_is_told_what_is_expected(images):
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean()

    with pytest.raises(ValueError, match="a row for each of the images"):
        audit(Mean(), images)


def test_netcdf_of_the_classic_kind_is_read_and_half_of_it_is_refused(tmp_path):
    values = np.random.default_rng(0).random((5, 8, 12), dtype=np.float32)
    ds = xr.Dataset({"temperature": (("time", "lat", "lon"), values)})
    ds.to_netcdf(tmp_path / "classic.nc", engine="scipy")
    assert load_data(tmp_path / "classic.nc").inputs.shape == (5, 1, 8, 12)
    (tmp_path / "half.nc").write_bytes((tmp_path / "classic.nc").read_bytes()[:500])
    with pytest.raises(ValueError, match="could not be read as NetCDF"):
        load_data(tmp_path / "half.nc")


def test_immense_images_are_refused_before_they_are_copied(monkeypatch):
    def touched(*_: object) -> None:
        raise AssertionError("numbers of it were read")

    monkeypatch.setattr(torch, "isfinite", touched)
    monkeypatch.setattr(Tensor, "float", touched)
    with pytest.raises(ValueError, match="images of 10000 x 10000 pixels"):
        load_data(torch.zeros(1).double().expand(1, 3, 10_000, 10_000))


@pytest.mark.parametrize("seed", [float("nan"), 1.5, "one", True])
def test_a_seed_that_is_no_whole_number_gets_one_sentence(images, seed):
    with pytest.raises(ValueError, match="expected a whole number"):
        audit(nn.Conv2d(1, 2, 3), images, seed=seed)


def test_n15_pictures_left_out_and_samples_not_shown_are_on_the_terminal(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    for at in range(5):
        pixels = np.random.default_rng(at).integers(0, 255, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{at}.png")
    (tmp_path / "photos" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nxxxx")
    (tmp_path / "thin.py").write_text("import torch\nnet = torch.nn.Conv2d(1, 2, 3)\n")
    asked = ["--data", "photos", "--samples", "4", "--data-samples", "0", "--output", "out"]
    assert main(["audit", "thin.py:net", *asked]) == 0
    told = capsys.readouterr().out
    assert "broken.png is cut short or damaged" in told
    assert " of 6 samples, chosen by the seed." in told
