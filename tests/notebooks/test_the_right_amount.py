"""What the notebook on the right amount of symmetry tells its reader to do can be done."""

import re
from pathlib import Path

import nbformat
from PIL import Image

from workbench.datasets import load

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
