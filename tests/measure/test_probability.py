"""What a classifier says at every angle."""

import math

import numpy as np
import pytest
import torch

from tests.measure.toys import Nosy, c4_net
from tests.tolerances import AGAIN, EXACT
from workbench.actions import transform_image
from workbench.groups import O2, SO2
from workbench.measure import class_probability


def brightness_above(x: torch.Tensor) -> torch.Tensor:
    """Logits that weigh the upper half of the image against the lower one."""
    half = x.shape[-2] // 2
    return torch.stack([x[..., :half, :].mean((1, 2, 3)), x[..., half:, :].mean((1, 2, 3))], 1) * 20


@pytest.mark.parametrize("mirror", [False, True])
def test_agrees_with_one_angle_at_a_time(mirror: bool) -> None:
    x = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    ds = class_probability(brightness_above, x, 7, mirror=mirror)
    for place, degrees in enumerate(ds.angle_deg.values):
        g = torch.tensor([math.radians(degrees), -1.0 if mirror else 1.0], dtype=torch.float64)
        turned = transform_image(x, g, O2(), padding="border")
        expected = brightness_above(turned).softmax(-1)
        assert np.allclose(ds.probability_sample[:, place], expected, rtol=0, atol=EXACT[torch.float64])
    assert np.allclose(ds.probability, ds.probability_sample.mean("sample"), rtol=AGAIN, atol=AGAIN)
    assert np.allclose(
        ds.probability_sem, ds.probability_sample.std("sample", ddof=1) / math.sqrt(2), rtol=AGAIN, atol=AGAIN
    )


def test_an_upper_half_classifier_turns_over_at_half_a_turn() -> None:
    x = torch.zeros(1, 16, 16)
    x[:, 2:6, 6:10] = 1
    ds = class_probability(brightness_above, x, classes=("up", "down"))
    up = ds.probability.sel({"class": "up"})
    assert float(up[ds.angle_deg == 0].item()) > 0.7
    assert float(up[ds.angle_deg == 180].item()) < 0.3
    assert float(up[ds.angle_deg == 90].item()) == pytest.approx(0.5, abs=1e-6)
    assert np.allclose(ds.probability.sum("class"), 1.0, rtol=AGAIN, atol=AGAIN)
    assert bool(ds.probability_sem.isnull().all())


def test_an_invariant_network_says_the_same_at_lattice_angles() -> None:
    ds = class_probability(c4_net().double(), torch.rand(1, 9, 9), 9)
    exact = ds.probability.values[ds.lattice.values]
    assert len(exact) == 5
    assert np.ptp(exact, axis=0).max() <= EXACT[torch.float64]


def test_the_split_into_batches_and_the_state_of_the_model_do_not_matter() -> None:
    x = torch.rand(3, 1, 8, 8)
    whole, split = (class_probability(c4_net_fixed(), x, 9, batch_size=b) for b in (256, 2))
    assert np.allclose(whole.probability, split.probability, rtol=0, atol=EXACT[torch.float32])
    model = Nosy().train()
    with pytest.raises(ValueError, match="logits"):
        class_probability(model, x, 3)
    assert model.training
    assert float(model.calls) == 0


def c4_net_fixed() -> torch.nn.Module:
    torch.manual_seed(3)
    return c4_net()


def test_bad_input_gets_a_sentence() -> None:
    x = torch.rand(1, 8, 8)
    with pytest.raises(ValueError, match="n_angles"):
        class_probability(brightness_above, x, 0)
    with pytest.raises(ValueError, match="at most 4096"):
        class_probability(brightness_above, x, 10**7)
    with pytest.raises(ValueError, match="int was given as model; expected a callable"):
        class_probability(3, x, 3)
    with pytest.raises(ValueError, match="names were given"):
        class_probability(brightness_above, x, 3, classes=("one",))
    with pytest.raises(ValueError, match="NaN"):
        class_probability(brightness_above, x * math.nan, 3)
    with pytest.raises(ValueError, match="logits"):
        class_probability(lambda x: x, x, 3)


def test_one_angle_is_the_image_itself() -> None:
    ds = class_probability(brightness_above, torch.rand(1, 8, 8), 1)
    assert ds.angle_deg.values.tolist() == [0.0]
    assert SO2().element_dim == 1
