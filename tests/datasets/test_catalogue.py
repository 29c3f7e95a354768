"""Every name loads, describes itself, and refuses what it does not know."""

import json

import pytest
import torch

from workbench.datasets import describe, load, names
from workbench.datasets.image_set import SPLITS

EMBEDDED = [name for name in names() if describe()[name].fetch_command is None]


def test_the_names_are_those_promised() -> None:
    assert set(names()) == {
        "digits",
        "glyphs",
        "6-180",
        "6-mirror",
        "digits-rotated",
        "digits-upright",
        "digits-interval",
        "digits-rotated-scaled",
        "digits-affine",
        "quadrant-digits",
        "quadrant-places",
        "mnist",
        "rotmnist",
        "cifar10",
        "cifar100",
    }


@pytest.mark.parametrize("name", EMBEDDED)
def test_every_embedded_set_loads_without_a_download(name: str) -> None:
    image_set = load(name)
    assert image_set.name == name
    assert tuple(image_set.splits) == SPLITS
    for images, labels in image_set.splits.values():
        assert (images.dtype, labels.dtype) == (torch.float32, torch.int64)
        assert images.shape == (len(labels), *image_set.image_shape)
        assert torch.isfinite(images).all()
        assert set(labels.tolist()) <= set(range(len(image_set.classes)))
    assert {"source", "licence", "mean", "std", "seed", "transform"} <= set(image_set.attrs)


@pytest.mark.parametrize("name", EMBEDDED)
def test_options_survive_a_trip_through_json(name: str) -> None:
    options = {"seed": 3, "fractions": (0.5, 0.2, 0.3), "size": 20}
    direct, read = (load(name, **o) for o in (options, json.loads(json.dumps(options))))
    assert torch.equal(direct.splits["test"][0], read.splits["test"][0])


def test_descriptions_say_what_can_be_chosen() -> None:
    described = describe()
    assert set(described) == set(names())
    assert {"source", "rotate_deg", "seed", "size", "fractions"} <= set(described["6-180"].options)
    assert all(entry.summary and entry.licence for entry in described.values())


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"no data set 'imagenet'; choose one of digits, .*cifar100"):
        load("imagenet")


@pytest.mark.parametrize("name", ["digits", "6-180", "mnist", "glyphs"])
def test_an_unknown_option_lists_the_known_ones(name: str) -> None:
    with pytest.raises(TypeError, match=f"{name} has no option 'colour'; it has "):
        load(name, colour=1)


def test_options_of_another_source_are_refused() -> None:
    with pytest.raises(TypeError, match="has no option 'characters'"):
        load("6-180", characters="digits")
    assert load("6-180", source="glyphs", characters="6").image_shape == (1, 28, 28)
