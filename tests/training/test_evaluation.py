"""Facts about scoring: right numbers, any batch split, the model left as found."""

import pytest
import torch
from torch import nn

from tests.tolerances import EXACT
from workbench.training import evaluation
from workbench.training.evaluation import evaluate, evaluation_mode


def classifier() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 3)).double()


def test_loss_and_accuracy_are_those_of_the_obvious_computation(monkeypatch: pytest.MonkeyPatch) -> None:
    model, images, labels = classifier(), torch.randn(11, 1, 2, 2).double(), torch.arange(11) % 3
    logits = model.eval()(images)
    loss = -logits.detach().log_softmax(1)[torch.arange(11), labels].mean()
    for chunk in (3, 11, 100):
        monkeypatch.setattr(evaluation, "CHUNK", chunk)
        score = evaluate(model, images, labels)
        assert score.loss == pytest.approx(float(loss), rel=EXACT[torch.float64])
        assert score.accuracy == float((logits.argmax(1) == labels).double().mean())


def test_images_are_cast_to_the_models_dtype() -> None:
    evaluate(classifier(), torch.randn(2, 1, 2, 2), torch.zeros(2, dtype=torch.long))


def test_r24_modes_statistics_and_generators_stay_also_after_an_exception() -> None:
    model = classifier().train()
    model[1].eval()
    before = {name: t.clone() for name, t in model.state_dict().items()}, torch.get_rng_state()
    evaluate(model, torch.randn(2, 1, 2, 2), torch.zeros(2, dtype=torch.long))
    with pytest.raises(ZeroDivisionError), evaluation_mode(model):
        raise ZeroDivisionError
    assert [m.training for m in model] == [True, False, True, True]
    assert all(torch.equal(t, before[0][name]) for name, t in model.state_dict().items())


def test_an_empty_set_and_an_output_without_classes_are_refused() -> None:
    with pytest.raises(ValueError, match="no images to evaluate"):
        evaluate(classifier(), torch.zeros(0, 1, 2, 2), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match=r"expected logits \(B, classes\)"):
        evaluate(nn.Identity(), torch.zeros(2, 1, 2, 2), torch.zeros(2, dtype=torch.long))
