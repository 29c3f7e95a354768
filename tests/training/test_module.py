"""Facts about one optimiser step and the schedules that move with it."""

import itertools
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from tests.tolerances import AGAIN
from tests.training.tiny import tiny
from workbench.groups.distributions import SMALLEST_ARC
from workbench.models import build_model
from workbench.training import fit
from workbench.training.batches import Batches
from workbench.training.module import TrainingModule, cosine
from workbench.training.objective import arcs, distributions
from workbench.training.settings import Settings

pytestmark = pytest.mark.slow


def module(**training: Any) -> TrainingModule:
    settings = Settings.read({**tiny()["training"], **training})
    batches = Batches(torch.randn(6, 1, 16, 16), torch.arange(6) % 2, batch_size=2, seed=0)
    return TrainingModule(build_model(tiny()["model"]), settings, batches, total_steps=6)


def rates(made: Any) -> dict[str, float]:
    optimiser = made["optimizer"] if isinstance(made, dict) else made
    return {group["name"]: group["lr"] for group in optimiser.param_groups}


def test_weights_and_distributions_have_rates_of_their_own() -> None:
    given = module(schedule="none", lr=0.01, lr_probs=0.3)
    assert rates(given.configure_optimizers()) == {"weights": 0.01, "probs": 0.3}
    assert rates(module(schedule="none", lr=0.01, lr_probs=None).configure_optimizers())["probs"] == 0.01


@pytest.mark.parametrize("schedule", ["one-cycle", "cosine"])
def test_a_schedule_reaches_its_top_and_falls_for_both_groups_alike(schedule: str) -> None:
    made = module(schedule=schedule, warm_up=1, lr=0.01, lr_probs=0.3).configure_optimizers()
    optimiser, moved = made["optimizer"], made["lr_scheduler"]["scheduler"]
    course = []
    for _ in range(6):
        course.append([group["lr"] for group in optimiser.param_groups])
        optimiser.step()
        moved.step()
    tops = [max(column) for column in zip(*course, strict=True)]
    assert max(tops[0] / 0.01, tops[1] / 0.3) <= 1 + 1e-9
    assert tops[0] > 0.006
    assert course[-1][0] < tops[0] / 2
    assert all(row[1] / row[0] == pytest.approx(30, rel=AGAIN) for row in course if row[0])


def test_the_cosine_starts_at_zero_and_ends_at_the_lowest_rate() -> None:
    assert cosine(0, 10, 100, 1e-3) == 0
    assert cosine(10, 10, 100, 1e-3) == 1
    assert cosine(100, 10, 100, 1e-3) == pytest.approx(1e-3, rel=AGAIN)


def test_gates_cool_linearly_over_the_steps_and_only_training_moves_them() -> None:
    given = module(temperature=[0.5, 1e-4])
    seen = []
    for step in range(6):
        given.step = step
        given.on_train_batch_start(None, step)
        seen.append({d.temperature for d in distributions(given.model)})
    assert [len(s) for s in seen] == [1] * 6
    values = [s.pop() for s in seen]
    assert values[0] == 0.5
    assert values[-1] == pytest.approx(1e-4, rel=AGAIN)
    steps = [a - b for a, b in itertools.pairwise(values)]
    assert steps == pytest.approx([steps[0]] * 5, rel=AGAIN)
    before = values[-1]
    given.model.eval()(torch.zeros(1, 1, 16, 16))
    assert {d.temperature for d in distributions(given.model)} == {before}


class Watch(pl.Callback):
    """Notes every arc as the next forward pass will find it."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: Any, given: Any, batch: Any, batch_idx: int) -> None:
        self.seen += [theta.item() for theta in arcs(given.model)]


def test_arcs_are_projected_after_every_step_and_do_move(tmp_path: Path) -> None:
    watch = Watch()
    fit(tiny(lr_probs=2.0, schedule="none"), tmp_path / "run", progress=False, callbacks=[watch])
    low, high = SMALLEST_ARC * (1 - 1e-6), 1.0
    assert all(low <= value <= high for value in watch.seen)
    assert min(watch.seen) < 0.1 < 1.0 == max(watch.seen), "the projection had work to do on both sides"


@pytest.mark.parametrize("extra", [{"weight_decay": 0.1}, {"monotone": 0.1}])
def test_an_extra_term_enters_the_loss(extra: dict[str, float]) -> None:
    torch.manual_seed(0)
    with_term = module(**extra)
    batch = (torch.randn(2, 1, 16, 16), torch.tensor([0, 1]))
    with torch.no_grad():
        arcs(with_term.model)[0].fill_(0.5)
    with_term.eval()
    plain = nn.functional.cross_entropy(with_term.model(batch[0]), batch[1])
    assert with_term.training_step(batch, 0).item() > plain.item()


def test_the_step_of_a_bad_loss_is_remembered_until_it_is_looked_at() -> None:
    given = module()
    logits, labels = torch.zeros(2, 2), torch.tensor([0, 1])
    given._first_bad = torch.tensor(4)
    given._trainer = type("T", (), {"optimizers": [given.configure_optimizers()["optimizer"]]})()  # type: ignore
    with pytest.raises(FloatingPointError, match=r"step 5 \(epoch 2\) with lr .*, lr_probs"):
        given._watch(torch.tensor(1.0), torch.tensor(1.0), logits, labels)
