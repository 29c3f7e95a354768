"""Facts about training recipes: complete, checked, and refused with a sentence."""

import pytest

from workbench.training.settings import FORMAT, MOST, MOST_STEPS, Settings, read_config

GOOD = {"model": {"name": "partial_gcnn"}, "data": {"name": "6-180"}, "training": {"epochs": 3}, "seed": 7}


def test_distributions_learn_at_the_rate_of_the_weights_unless_told() -> None:
    assert Settings.read({"lr": 0.01}).rate_of_distributions == 0.01
    assert Settings.read({"lr": 0.01, "lr_probs": 0.03}).rate_of_distributions == 0.03


def test_a_recipe_survives_json() -> None:
    settings = Settings.read({"temperature": [0.4, 0.1], "early_stop": 5})
    assert Settings.read(settings.plain()) == settings


def test_reading_a_configuration_completes_it_and_reading_again_changes_nothing() -> None:
    complete, settings = read_config(GOOD)
    assert complete["training"]["batch_size"] == settings.batch_size
    assert read_config(complete) == (complete, settings)
    assert read_config({**complete, "format": FORMAT, "workbench": "0"}) == (complete, settings)


def test_an_unknown_key_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="training has an unknown key 'epoch'; did you mean 'epochs'"):
        Settings.read({"epoch": 3})
    with pytest.raises(ValueError, match="unknown key 'modle'; did you mean 'model'"):
        read_config({**GOOD, "modle": {}})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 0), ("epochs", 1.5), ("epochs", True), ("batch_size", -1), ("lr", 0), ("lr", float("nan")),
        ("lr", float("inf")), ("lr", "fast"), ("schedule", "linear"), ("precision", "16"), ("device", "tpu"),
        ("temperature", [0.1, 0.5]), ("temperature", 0.5), ("early_stop", 0), ("drop_last", 1), ("optimiser", "sgd"),
        ("epochs", None), ("monotone", -1.0), ("epochs", 10**12), ("max_steps", 10**12), ("batch_size", 10**12),
        ("early_stop", 10**12), ("error_points", 10**12), ("snapshots", 10**12), ("checkpoint_steps", 10**12),
        ("warm_up", 1e12), ("lr", 10**400), ("monotone", 10**400), ("temperature", [10**400, 1]),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_with_what_was_expected(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"training\.{key} is .*; expected"):
        Settings.read({key: value})


def test_the_largest_numbers_are_said_and_are_taken_themselves() -> None:
    with pytest.raises(ValueError, match="epochs is 1000000000000; expected a whole number from 1 to 1,000,000"):
        Settings.read({"epochs": 10**12})
    largest = {"epochs": MOST, "max_steps": MOST_STEPS, "batch_size": MOST, "warm_up": MOST, "lr": 1e300}
    assert Settings.read(largest).epochs == MOST


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0, True, "0"])
def test_a_seed_is_a_whole_number_that_every_generator_takes(seed: object) -> None:
    with pytest.raises(ValueError, match="seed is"):
        read_config({**GOOD, "seed": seed})


def test_a_missing_part_a_non_mapping_and_a_non_json_value_are_refused() -> None:
    with pytest.raises(ValueError, match="'data' is None"):
        read_config({"model": {"name": "x"}})
    with pytest.raises(TypeError, match="is a mapping"):
        read_config([])  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="plain JSON"):
        read_config({**GOOD, "model": {"name": "x", "group": object()}})


def test_a_later_format_is_refused_with_the_remedy() -> None:
    with pytest.raises(ValueError, match=f"format {FORMAT + 1}.*install a newer"):
        read_config({**GOOD, "format": FORMAT + 1})
