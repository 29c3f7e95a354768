"""Where frames fail: counts, jumps and slopes, against clouds whose answer is known."""

import numpy as np
import pytest
import torch

from workbench.layers.frames import FrameAveraged, eigenvalue_gap
from workbench.training.frame_faults import frame_faults, pose_left, random_network, slope

CORNERS = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])


@pytest.fixture(scope="module")
def found():
    return frame_faults(fast=True)


def test_half_of_the_species_have_no_principal_frames_and_a_quarter_show_it(found):
    assert found.sizes["species"] == 148
    assert int((found["gap"] < 1e-3).sum()) == 72
    shows = (found["pose_left"] > 1e-3).sum("species")
    assert 30 <= int(shows.min()) <= int(shows.max()) <= 38
    sound = found["pose_left"].where(found["gap"] > 1e-3, drop=True)
    assert float(sound.max()) < 1e-3, "with a gap nothing is left of the pose"


def test_answers_jump_where_axes_are_equally_long_and_nowhere_else(found):
    steps = np.abs(np.diff(found["answer"].transpose("draw", "stretch").values))
    for one in steps:
        assert one.argmax() in (19, 20)
        assert one.max() > 10 * np.median(one)
    smooth = np.abs(np.diff(np.linspace(0, 1, 41) ** 2))
    assert smooth.max() < 10 * np.median(smooth), "the twin: a smooth answer"


def test_slopes_grow_as_one_over_the_gap(found):
    slopes = found["slope"].transpose("draw", "made").values
    assert np.allclose(slopes[:, 3] / slopes[:, 2], 100, atol=0, rtol=0.02)
    assert slopes[:, 0].max() < 2


def test_a_slope_is_that_of_differences():
    gap, step = 0.1, 1e-6
    from workbench.training import frame_faults as here

    clouds, _, names = here._species()
    upright, spread = here._upright(clouds[names.index("CH3CH2OH")])
    wanted = (spread[0] + gap * (spread[0] + spread[2])) / (1 - gap)
    cloud = here._stretched(upright, float((wanted / spread[1]).sqrt()))
    assert float(eigenvalue_gap(cloud[None])) == pytest.approx(gap, rel=1e-9)
    net, shifts = FrameAveraged(random_network(9, 0)), step * torch.eye(27, dtype=torch.float64).view(27, 9, 3)
    differences = (net(cloud + shifts) - net(cloud - shifts)) / (2 * step)
    assert slope(gap, 0) == pytest.approx(float(differences.norm()), rel=1e-6)


def test_a_tetrahedron_keeps_its_pose_and_a_generic_cloud_does_not():
    assert pose_left(CORNERS, 0) > 1e-3
    assert pose_left(CORNERS * torch.tensor([1.0, 2.0, 3.0]), 0) < 1e-5, "the twin"
