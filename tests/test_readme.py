"""The README's own example runs as it stands there."""

import re
from pathlib import Path

import pytest

README = (Path(__file__).resolve().parent.parent / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_example_for_a_model_of_ones_own_runs():
    (example,) = re.findall(r"```python\n(.*?)```", README, re.S)
    names: dict = {}
    exec(compile(example, "README.md", "exec"), names)
    dataset = names["explorer"].dataset()
    assert dataset["error_mean"].sizes["transform"] > 4
    assert float(dataset["error_mean"].sel(model="the network").max()) > 1e-3  # a plain CNN is not equivariant


def test_every_file_the_readme_points_to_is_there():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    missing = [link for link in links if not (Path(__file__).resolve().parent.parent / link).exists()]
    assert missing == []
