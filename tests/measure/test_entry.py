"""Inputs that a model cannot take are refused in one sentence: what was given, what was expected, the fix."""

import numpy as np
import pytest
import torch
from torch import nn

from workbench.measure import (
    attribute_error,
    class_probability,
    cost,
    equivariance_error,
    layer_features,
    lie_derivative,
    task_cost,
)
from workbench.measure.entry import fed

GREY, COLOUR = torch.rand(2, 1, 8, 8), torch.rand(2, 3, 8, 8)
NET = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
HEAD = nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
CHANNELS = (
    r"inputs of shape \(\d+, 3, 8, 8\) were given; the model's layer '0', a Conv2d, expects 1 channel, \(B, 1, H, W\); "
    r"give inputs of 1 channel, or build the model for 3\."
)


@pytest.mark.parametrize(
    "measure",
    [
        lambda: equivariance_error(NET, COLOUR, "SO2", n_elements=4),
        lambda: equivariance_error(NET, COLOUR, "SO2", n_elements=4, layers="all"),
        lambda: cost(NET, (1, 3, 8, 8)),
        lambda: class_probability(NET, COLOUR, n_angles=3),
        lambda: attribute_error(NET, COLOUR, "C(4)"),
        lambda: lie_derivative(NET, COLOUR),
        lambda: task_cost(NET, COLOUR, torch.zeros(2).long(), "C(4)"),
        lambda: layer_features(NET, "0")(COLOUR),
    ],
    ids=["error", "layers", "cost", "probability", "attribution", "lie", "task", "features"],
)
def test_wrong_channels_are_told_by_every_measure(measure):
    with pytest.raises(ValueError, match=CHANNELS) as refused:
        measure()
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("model", "inputs", "sentence"),
    [
        (HEAD, torch.zeros(2, 1, 9, 9), r"do not fit the model's layer '1', a Linear, \(mat1 and mat2"),
        (nn.Conv1d(2, 2, 3), torch.zeros(1, 3, 9), r"Conv1d expects 2 channels, \(B, 2, L\)"),
        (nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 2, 2), "do not fit the model's Conv2d"),
        (nn.BatchNorm2d(2).eval(), COLOUR, "do not fit the model's BatchNorm2d"),
        (nn.LSTM(3, 4), torch.zeros(2, 5, 7), "do not fit the model's LSTM"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(5, 2, 3)), GREY, "do not fit the model's layer '1', a Conv2d"),
        (lambda x: x @ torch.zeros(3, 3), GREY, r"do not fit the model's code .* built for\.$"),
    ],
)
def test_every_misfit_names_the_layer_and_what_was_given(model, inputs, sentence):
    with pytest.raises(ValueError, match=rf"inputs of shape .* were given; .*{sentence}"):
        fed(model, inputs)


def test_failures_of_another_kind_stay_as_they_are():
    def broken(x):
        raise RuntimeError("the model's own trouble")

    with pytest.raises(RuntimeError, match="^the model's own trouble$"):
        fed(broken, GREY)
    assert torch.equal(fed(HEAD, GREY), HEAD(GREY))


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (GREY.numpy(), r"type ndarray were given; .* use torch\.from_numpy\(images\)\.float\(\)"),
        (np.zeros((2, 1, 8, 8), np.complex64), r"use torch\.from_numpy\(images\.real\)\.float\(\)"),
        (GREY.to(torch.complex64), r"use images\.real or images\.abs\(\)"),
        (GREY.to("meta"), "device 'meta' were given, which holds shapes without numbers"),
        (GREY.tolist(), r"use torch\.tensor\(images\)\.float\(\)"),
        (None, "of type NoneType were given; .* give a tensor"),
    ],
    ids=["numpy", "complex numpy", "complex", "meta", "list", "None"],
)
def test_what_is_no_tensor_of_numbers_is_told_the_call_that_makes_one(images, sentence):
    with pytest.raises(ValueError, match=sentence):
        equivariance_error(NET, images, "SO2", n_elements=4)


@pytest.mark.parametrize(
    ("inputs", "group", "name"),
    [
        (np.zeros((2, 1, 9)), "Translation1", "signals"),
        (np.zeros((2, 5, 3)), "SO3", "points"),
        (np.zeros((2, 4, 3)), "Symmetric(4)", "sets"),
    ],
)
def test_arrays_of_other_kinds_are_told_it_too(inputs, group, name):
    with pytest.raises(ValueError, match=rf"use torch\.from_numpy\({name}\)"):
        equivariance_error(lambda x: x, inputs, group)


def test_layers_of_a_single_module_are_refused_without_an_empty_list():
    with pytest.raises(ValueError, match=r"\['foo'\] were asked; the model is one module; leave layers out"):
        equivariance_error(nn.Conv2d(1, 2, 3), GREY, "SO2", layers=["foo"])
