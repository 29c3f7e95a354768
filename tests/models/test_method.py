"""Facts about methods as data and about finding models by name."""

import sys

import pytest
from torch import nn

from workbench.models import Claim, Experiment, Method, build_model, find_method, methods
from workbench.models import method as method_module


def a_method(**changes: object) -> Method:
    given = {"name": "toy", "title": "Toy", "authors": "A. Author", "year": 2020, "arxiv": "0000.00000"}
    return Method(**{**given, "summary": "", "notebook": "", **changes})


def a_claim(identifier: str) -> Claim:
    return Claim(identifier, "", "", None, "1", lambda ds: ds.accuracy.values, (0.0, 1.0), lambda ds: True)


def test_every_module_with_a_METHOD_is_found_under_its_own_name() -> None:
    assert all(found.name == name for name, found in methods().items())


def test_an_experiment_gives_the_configuration_of_one_seed_and_fast_replaces_entries() -> None:
    experiment = Experiment("six", {"name": "m"}, {"name": "d"}, {"epochs": 40, "lr": 0.1}, {"epochs": 1})
    assert experiment.config(3)["training"] == {"epochs": 40, "lr": 0.1}
    assert experiment.config(3, fast=True) == {
        "model": {"name": "m"}, "data": {"name": "d"}, "training": {"epochs": 1, "lr": 0.1}, "seed": 3,
    }  # fmt: skip


def test_two_experiments_or_claims_of_one_name_are_refused() -> None:
    twice = (Experiment("a", {}, {}), Experiment("a", {}, {}))
    with pytest.raises(ValueError, match="two experiments named"):
        a_method(experiments=twice)
    with pytest.raises(ValueError, match="two claims named"):
        a_method(claims=(a_claim("c"), a_claim("c")))


def test_what_is_no_paper_has_no_number_in_its_citation() -> None:
    assert a_method().cited == "A. Author, 2020, arXiv 0000.00000"
    assert a_method(arxiv="").cited == "A. Author, 2020"


def test_an_unknown_method_model_or_experiment_names_the_nearest_one() -> None:
    with pytest.raises(ValueError, match="there is no method 'partial_gcn_'"):
        find_method("partial_gcn_")
    with pytest.raises(ValueError, match="names 'no_such_model'"):
        build_model({"name": "no_such_model"})
    with pytest.raises(ValueError, match="did you mean 'six'"):
        a_method(experiments=(Experiment("six", {}, {}),)).experiment("sex")


@pytest.mark.parametrize("name", ["method", "../x", "os", "_private", "", None, 3])
def test_only_public_model_modules_can_be_built(name: object) -> None:
    with pytest.raises(ValueError, match="model configuration names"):
        build_model({"name": name})


def test_a_configuration_that_is_no_mapping_is_refused() -> None:
    with pytest.raises(TypeError, match="is a mapping"):
        build_model("partial_gcnn")  # type: ignore[arg-type]


def test_a_builder_receives_the_whole_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    stub = type(sys)("workbench.models.stub")
    stub.build = lambda config: nn.Linear(config["inputs"], 1)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "workbench.models.stub", stub)
    monkeypatch.setattr(method_module, "_module_names", lambda: ["stub", "method"])
    assert build_model({"name": "stub", "inputs": 7}).in_features == 7
