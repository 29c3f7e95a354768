"""What the notebook on the right amount of symmetry tells its reader to do can be done."""

import re
from pathlib import Path

import nbformat
from PIL import Image

from workbench.datasets import load
from workbench.measure.families import family_points
from workbench.training import load_claims

NOTEBOOK = Path(__file__).resolve().parents[2] / "notebooks" / "06_the_right_amount.ipynb"


def test_n10_the_lines_for_pictures_of_ones_own_run_on_a_folder(tmp_path, capsys):
    images, labels = load("upright").splits["train"]
    for digit in (0, 4, 7):
        (tmp_path / str(digit)).mkdir()
        for number, image in enumerate(images[labels == digit][:24]):
            pixels = (255 * image[0].clamp(0, 1)).byte().numpy()
            Image.fromarray(pixels).save(tmp_path / str(digit) / f"{number}.png")
    (cell,) = (cell for cell in nbformat.read(NOTEBOOK, 4).cells if cell.id == "next")
    (code,) = re.findall(r"```python\n(.*?)```", cell.source, re.DOTALL)
    lines = "\n".join(line.removeprefix("  ") for line in code.splitlines())
    exec(lines.replace("FOLDER", str(tmp_path)), {})
    told = capsys.readouterr().out
    assert told.startswith("Quarter turns: absent. Try first: plain.")
    assert "72 pictures" in told


def test_n10_what_is_said_of_upright_digits_holds():
    found = family_points(load_claims("families_elsewhere"), "rendered-upright")
    right, error = found["accuracy_seed"], found["quarter_error"] / found["quarter_error"].sel(family="plain")
    assert (right.sel(family=["plain", "learned augmentation"]) == 100).all()
    kept = {name: 1 - float(error.sel(family=name)) for name in ("soft penalty", "residual pathway", "relaxed group")}
    assert kept["soft penalty"] < 0.1 < 0.2 < kept["residual pathway"] < 0.5 < kept["relaxed group"]
    mean = found["accuracy"]
    assert min(kept, key=lambda name: float(mean.sel(family=name))) == "relaxed group"
    for name in ("augmented", "test-time averaging"):
        assert float(right.sel(family=name).max()) < float(right.sel(family="plain").min())
    for name in ("strict (same backbone)", "canonical pose"):
        assert float(mean.sel(family=name)) < float(mean.sel(family="plain"))
