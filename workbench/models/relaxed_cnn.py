"""Relaxed CNNs: T. F. A. van der Ouderaa, D. W. Romero, M. van der Wilk, "Relaxing Equivariance Constraints with
Non-stationary Continuous Filters", NeurIPS 2022, arXiv 2204.07178.

After the abstract, which is all that could be read: the parameterisation of the layers is a reconstruction (see
:mod:`workbench.kernels.relaxed`), and so are network and recipe, sized for two CPU cores. The data follow the toy
problem of code released with a later paper of the same first author (van der Ouderaa, Immer & van der Wilk 2023, arXiv
2310.06131), whose abstract also states the limitation measured here: a symmetry is a constraint, and the training loss
gives no reward for keeping one. The dial of the rotation is tried on sixes, upright or upside down.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from workbench.kernels import KernelSpec
from workbench.layers import (
    GroupBatchNorm,
    GroupPool,
    GroupProjection,
    GroupReLU,
    LiftingConv,
    RelaxedConv2d,
    RelaxedGroupConv,
    set_sums,
)
from workbench.models._checks import check_integers, check_stages, check_switches
from workbench.models.method import Claim, Experiment, Method

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr

DEFAULTS: dict[str, Any] = {
    "in_channels": 1, "classes": 10, "widths": (12, 12, 24), "kernel_size": 5, "pools": (0,), "absolute": 0.1,
    "learned": True, "features": 32, "rank": None, "padding_mode": "circular", "of": "place",
}  # fmt: skip
OF_TURNS: dict[str, Any] = {"widths": (8, 8, 8, 16), "pools": (0, 1), "absolute": 0.05, "padding_mode": "zeros"}
"""Defaults of a network whose dials are of the rotation."""


class RelaxedCNN(nn.Module):
    """Relaxed convolutions, batch norm and ReLU, a max pooling, the mean over pixels, a linear classifier.

    With all dials at 0 and circular padding its logits ignore cyclic shifts by whole pooling windows, exactly.
    """

    def __init__(self, chosen: dict[str, Any]):
        super().__init__()
        options = {key: chosen[key] for key in ("absolute", "features", "rank", "padding_mode")}
        options["learned"] = ("absolute",) if chosen["learned"] else ()
        body: list[nn.Module] = []
        for stage, (a, b) in enumerate(pairwise((chosen["in_channels"], *chosen["widths"]))):
            k = chosen["kernel_size"] if stage == 0 else min(3, chosen["kernel_size"])
            body += [RelaxedConv2d(a, b, k, bias=False, **options), nn.BatchNorm2d(b), nn.ReLU()]
            if stage in chosen["pools"]:
                body.append(nn.MaxPool2d(2))
        self.body = nn.Sequential(*body)
        self.mean = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(chosen["widths"][-1], chosen["classes"])

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.classifier(self.mean(self.body(x)).flatten(1))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The dials learn with a rate of their own: with that of the weights they would hardly move in so few steps."""
        return _dials_apart(self)


class RelaxedTurningCNN(nn.Module):
    """A group network over C8 whose kernels may change with the absolute rotation of what they answer, and no place.

    A lifting, then relaxed group convolutions, batch norm and ReLU, max poolings, the maximum over pixels and
    orientations, a linear classifier. With all dials at 0 its logits are the same at quarter turns, up to rounding; for
    two classes, whose logits may nearly cancel, it adds up in float64 in evaluation mode.
    """

    def __init__(self, chosen: dict[str, Any]):
        super().__init__()
        common: dict[str, Any] = {
            "group": "C(8)", "kernel": KernelSpec(hidden=16), "padding_mode": chosen["padding_mode"],
        }  # fmt: skip
        own = {"absolute": chosen["absolute"], "learned": chosen["learned"]}
        body: list[nn.Module] = []
        last = len(chosen["widths"]) - 1
        for stage, (a, b) in enumerate(pairwise((chosen["in_channels"], *chosen["widths"]))):
            k = min(3, chosen["kernel_size"]) if stage == last else chosen["kernel_size"]
            body.append(RelaxedGroupConv(a, b, k, **own, **common) if stage else LiftingConv(a, b, k, **common))
            body.append(GroupBatchNorm(b))
            body += [GroupPool(2)] if stage in chosen["pools"] else []
            body.append(GroupReLU())
        self.body = nn.Sequential(*body)
        self.projection = GroupProjection("max")
        self.classifier = nn.Linear(chosen["widths"][-1], chosen["classes"])
        if chosen["classes"] == 2:
            set_sums(self, torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        """Images ``(B, C, H, W)`` to logits ``(B, classes)``."""
        return self.classifier(self.projection(self.body(x)))

    def parameter_groups(self) -> dict[str, list[nn.Parameter]]:
        """The dials apart."""
        return _dials_apart(self)


def _dials_apart(net: nn.Module) -> dict[str, list[nn.Parameter]]:
    dials = [m.kernels.absolute for m in net.modules() if isinstance(m, RelaxedConv2d | RelaxedGroupConv)]
    known = {id(p) for p in dials}
    return {"weights": [p for p in net.parameters() if id(p) not in known], "probs": dials}


def build(config: Mapping[str, Any]) -> nn.Module:
    """A relaxed CNN from images ``(B, C, H, W)`` to logits ``(B, classes)``.

    Args:
        config: ``in_channels``, ``classes``, ``widths``, ``kernel_size`` of the first layer (at most 3 afterwards),
            ``pools`` (stages that 2x2 pooling follows), ``absolute`` (where every dial starts), ``learned``,
            ``features``, ``rank``, ``padding_mode``, and ``of``, what the dials are of: the "place", or the "rotation",
            in a group network over C8 with kernels of its own, to which features and rank mean nothing. Each with a
            default.

    Raises:
        ValueError: for another key, or values that the layers refuse.

    >>> import torch
    >>> tuple(build({"classes": 2})(torch.zeros(3, 1, 16, 16)).shape)
    (3, 2)
    """
    given = {key: value for key, value in config.items() if key != "name"}
    if unknown := sorted(set(given) - set(DEFAULTS)):
        raise ValueError(f"relaxed_cnn: {', '.join(unknown)} was given; expected only {', '.join(DEFAULTS)}.")
    of = given.get("of", DEFAULTS["of"])
    if of not in ("place", "rotation"):
        raise ValueError(f"relaxed_cnn: of = {of!r} was given; expected 'place' or 'rotation'.")
    chosen = {**DEFAULTS, **(OF_TURNS if of == "rotation" else {}), **given}
    check_integers("relaxed_cnn", **{key: chosen[key] for key in ("in_channels", "classes", "kernel_size")})
    check_switches("relaxed_cnn", learned=chosen["learned"])
    widths, pools = check_stages("relaxed_cnn", chosen["widths"], chosen["pools"])
    kind = RelaxedTurningCNN if of == "rotation" else RelaxedCNN
    return kind({**chosen, "widths": widths, "pools": pools})


STARTS: dict[str, dict[str, Any]] = {
    "strict": {"absolute": 0.0, "learned": False},
    "fixed1": {"absolute": 1.0, "learned": False},
    "learned": {"absolute": 0.1, "learned": True},
    "free": {"absolute": 1.0, "learned": True},
}
"""Where the dials stand or start. "learned" starts near strict, "free" far from it, where only a return would tell."""
FIXED = tuple(name for name, start in STARTS.items() if not start["learned"])
TURNS: dict[str, dict[str, Any]] = {
    "closed": {"absolute": 0.0, "learned": False},
    "open": {"absolute": 0.1, "learned": False},
    "learned": {"absolute": 0.05, "learned": True},
}
"""Where the dials of the rotation stand or start, on sixes that are upright or upside down."""
_TASKS = {"digit": ("quadrant-digits", 10), "place": ("quadrant-places", 40)}
_RECIPE: dict[str, Any] = {
    "epochs": 48, "batch_size": 64, "lr": 5e-3, "lr_probs": 3e-2, "schedule": "one-cycle", "error_points": 0,
    "snapshots": 0,
}  # fmt: skip
_TURN_RECIPE = {**_RECIPE, "epochs": 40, "batch_size": 32}


def _percent(d: xr.Dataset, experiment: str) -> np.ndarray:
    return 100 * d["test_accuracy"].sel(experiment=experiment).values


def _gap(d: xr.Dataset, better: str, worse: str) -> np.ndarray:
    return _percent(d, better) - _percent(d, worse)


def _largest_dial(d: xr.Dataset, experiment: str) -> np.ndarray:
    return d["dial"].sel(experiment=experiment).max("layer", skipna=True).values


def _held_out(d: xr.Dataset, task: str) -> xr.DataArray:
    """The fixed dial that the validation loss prefers, seed by seed, as the name of its experiment."""
    tried = d["validation_loss"].sel(experiment=[f"{task}_{kind}" for kind in FIXED])
    return tried.idxmin("experiment")


def held_out_dial(d: xr.Dataset, task: str) -> np.ndarray:
    """The fixed dial with the lowest validation loss on the task "digit" or "place", ``(seed,)``."""
    return d["dial"].max("layer", skipna=True).sel(experiment=_held_out(d, task)).values


def _held_out_gap(d: xr.Dataset, task: str) -> np.ndarray:
    chosen = 100 * d["test_accuracy"].sel(experiment=_held_out(d, task)).values
    return _percent(d, f"{task}_learned") - chosen


def _of_starts(d: xr.Dataset, variable: str) -> np.ndarray:
    """How much more a start at 1.0 has than a start at 0.1, on the task where places should not matter."""
    return (d[variable].sel(experiment="digit_free") - d[variable].sel(experiment="digit_learned")).values


_ABSTRACT = "abstract"
_HERE = "measured here on quadrant digits; no number of the paper is known"
_ON_SIXES = "measured here on sixes, upright or upside down; no number of the paper is known"
_LATER = "abstract of arXiv 2310.06131, a later paper"

METHOD = Method(
    name="relaxed_cnn",
    title="Relaxing Equivariance Constraints with Non-stationary Continuous Filters",
    authors="T. F. A. van der Ouderaa, D. W. Romero, M. van der Wilk",
    year=2022,
    arxiv="2204.07178",
    summary="Filters may drift over the image, by as much as a learned dial says; 0 is an ordinary convolution.",
    notebook="04_relaxed_equivariance.ipynb",
    experiments=tuple(
        Experiment(
            f"{task}_{kind}", {"name": "relaxed_cnn", "classes": classes, **start}, {"name": data}, _RECIPE,
            fast={"epochs": 24},
        )
        for task, (data, classes) in _TASKS.items()
        for kind, start in STARTS.items()
        if (task, kind) != ("place", "free")
    )
    + tuple(
        Experiment(
            f"turn_{kind}", {"name": "relaxed_cnn", "of": "rotation", "classes": 2, **start}, {"name": "6-180"},
            _TURN_RECIPE, fast={"epochs": 10},
        )
        for kind, start in TURNS.items()
    ),
    claims=(
        Claim(
            "place-strict", "A strictly equivariant network cannot tell in which quadrant a digit is.",
            "at most a quarter by invariance", None, "%", lambda d: _percent(d, "place_strict"), (18.0, 27.0),
            lambda d: bool((_percent(d, "place_strict") <= 30).all()),
        ),
        Claim(
            "place-learned-strict", "Where the place matters, a learned dial beats a strict network.", _ABSTRACT,
            "better", "points", lambda d: _gap(d, "place_learned", "place_strict"), (50.0, 80.0),
            lambda d: bool((_gap(d, "place_learned", "place_strict") > 0).all()),
        ),
        Claim(
            "digit-learned-strict", "Where it does not, a learned dial does no worse than a strict network.", _HERE,
            None, "points", lambda d: _gap(d, "digit_learned", "digit_strict"), (-3.0, 3.0),
            lambda d: bool(_gap(d, "digit_learned", "digit_strict").mean() >= 0),
        ),
        Claim(
            "place-dial", "The dial opens where the place matters.", _ABSTRACT, "learned", "largest of three dials",
            lambda d: _largest_dial(d, "place_learned"), (0.2, 1.0),
            lambda d: bool((_largest_dial(d, "place_learned") > 0.1).all()),
        ),
        Claim(
            "digit-dial", "The dial closes where the place does not matter.", _ABSTRACT, "learned",
            "largest of three dials", lambda d: _largest_dial(d, "digit_learned"), (0.0, 0.1),
            lambda d: bool((_largest_dial(d, "digit_learned") < 0.1).all()),
        ),
        Claim(
            "digit-shift", "What was learned where the place does not matter is nearly invariant to shifts.", _HERE,
            None, "relative change of the logits", lambda d: d["shift_error"].sel(experiment="digit_learned").values,
            (0.0, 0.3), lambda d: bool(
                d["shift_error"].sel(experiment="digit_learned").max()
                < 0.5 * d["shift_error"].sel(experiment="place_learned").min()
            ),
        ),
        Claim(
            "place-cross-validation", "A learned dial equals or beats the best fixed one by held-out data: places.",
            _ABSTRACT, "equal or better", "points", lambda d: _held_out_gap(d, "place"), (-6.0, 3.0),
            lambda d: bool(_held_out_gap(d, "place").mean() >= 0),
        ),
        Claim(
            "digit-cross-validation", "A learned dial equals or beats the best fixed one by held-out data: digits.",
            _ABSTRACT, "equal or better", "points", lambda d: _held_out_gap(d, "digit"), (-3.0, 3.0),
            lambda d: bool(_held_out_gap(d, "digit").mean() >= 0),
        ),
        Claim(
            "no-reward", "The training loss does not bring a dial back that starts far from 0.", _LATER,
            "stated", "largest of three dials", lambda d: _largest_dial(d, "digit_free"), (0.8, 1.4),
            lambda d: bool((_largest_dial(d, "digit_free") > 0.5).all()),
        ),
        Claim(
            "no-reward-accuracy", "That costs accuracy on unseen images, seed by seed, and none in training.", _HERE,
            None, "points, start at 1.0 less start at 0.1", lambda d: 100 * _of_starts(d, "test_accuracy"),
            (-12.0, -1.0), lambda d: bool(
                (_of_starts(d, "test_accuracy") < 0).all() and abs(_of_starts(d, "train_accuracy").mean()) < 0.005
            ),
        ),
        Claim(
            "held-out-start", "The loss on held-out images tells the two starts apart.", _HERE, None, "nat",
            lambda d: _of_starts(d, "validation_loss"), (0.02, 0.5),
            lambda d: bool((_of_starts(d, "validation_loss") > 0).all()),
        ),
        Claim(
            "held-out-digit", "It prefers the strict network where the place does not matter.", _HERE, None,
            "chosen dial", lambda d: held_out_dial(d, "digit"), (0.0, 0.1),
            lambda d: bool((held_out_dial(d, "digit") == 0).all()),
        ),
        Claim(
            "held-out-place", "It prefers an open dial where the place matters.", _HERE, None, "chosen dial",
            lambda d: held_out_dial(d, "place"), (0.1, 1.0), lambda d: bool((held_out_dial(d, "place") > 0).all()),
        ),
        Claim(
            "turn-closed", "With the dial of the rotation at 0, a six and the same six upside down are one to it.",
            "half by invariance", None, "%", lambda d: _percent(d, "turn_closed"), (49.9, 50.1),
            lambda d: bool((_percent(d, "turn_closed") == 50).all()),
        ),
        Claim(
            "turn-closed-exact", "Its logits are the same at quarter turns, up to rounding.", "by construction",
            None, "relative change of the logits",
            lambda d: d["quarter_turn_error"].sel(experiment="turn_closed").values, (0.0, 1e-6),
            lambda d: bool((d["quarter_turn_error"].sel(experiment="turn_closed") < 2e-6).all()),
        ),
        Claim(
            "turn-open", "With that dial a little open it tells them apart.", _ON_SIXES, None, "points",
            lambda d: _gap(d, "turn_open", "turn_closed"), (45.0, 50.0),
            lambda d: bool((_gap(d, "turn_open", "turn_closed") > 0).all()),
        ),
        Claim(
            "turn-learned", "So it does with a dial that is learned.", _ON_SIXES, None, "points",
            lambda d: _gap(d, "turn_learned", "turn_closed"), (45.0, 50.0),
            lambda d: bool((_gap(d, "turn_learned", "turn_closed") > 0).all()),
        ),
        Claim(
            "turn-dial", "The dial of the rotation opens where the orientation matters.", _ABSTRACT, "learned",
            "largest of three dials", lambda d: _largest_dial(d, "turn_learned"), (0.1, 0.6),
            lambda d: bool((_largest_dial(d, "turn_learned") > TURNS["learned"]["absolute"]).all()),
        ),
        Claim(
            "turn-half", "What was learned answers an upside-down picture by other logits altogether.", _ON_SIXES, None,
            "relative change of the logits", lambda d: d["half_turn_error"].sel(experiment="turn_learned").values,
            (1.0, 2.5), lambda d: bool((d["half_turn_error"].sel(experiment="turn_learned") > 1).all()),
        ),
    ),
    studies={
        "shifts": "workbench.training.kept:shifts_and_dials", "turns": "workbench.training.kept:turn_changes",
    },
)  # fmt: skip
