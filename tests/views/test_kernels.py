"""The film strip: one mosaic, tiles in place, copies framed, scale fixed."""

import numpy as np

from tests.views import made
from workbench.views import palette
from workbench.views.kernels import film_strip


def test_all_kernels_are_one_heat_map_with_every_tile_in_place():
    strip = film_strip(made.kernel_dataset(n=4, size=5))["data"][0]
    assert strip["type"] == "heatmap"
    assert strip["z"].shape == (4 * 6 - 1, 4 * 6 - 1)
    assert strip["z"][6 * 2, 6 * 3] == 2 + 10 * 3
    assert (strip["zmin"], strip["zmax"]) == (-40, 40)
    assert strip["colorscale"] == palette.DIVERGING
    assert "%{z" in strip["hovertemplate"]


def test_axes_name_orientations_in_degrees_with_the_first_row_at_the_top():
    layout = film_strip(made.kernel_dataset())["layout"]
    assert layout["xaxis"]["title"]["text"] == "input pose"
    assert layout["yaxis"]["title"]["text"] == "output pose"
    assert layout["xaxis"]["ticktext"] == ["0°", "90°", "180°", "270°"]
    assert layout["yaxis"]["autorange"] == "reversed"
    assert layout["xaxis3"]["title"]["text"] == "frequency [cycles per pixel]"
    assert layout["xaxis4"]["title"]["text"] == "relative rotation [°]"


def test_one_tile_of_each_row_is_framed_where_its_copy_lies():
    frames = [shape for shape in film_strip(made.kernel_dataset())["layout"]["shapes"] if shape["type"] == "rect"]
    assert len(frames) == 4
    tile = [(round((f["y0"] + f["y1"]) / 2) // 6, round((f["x0"] + f["x1"]) / 2) // 6) for f in frames]
    assert tile == [(0, 1), (1, 2), (2, 3), (3, 0)]


def test_the_angle_course_keeps_the_scale_of_the_strip():
    figure = film_strip(made.kernel_dataset())
    assert figure["layout"]["yaxis4"]["tickvals"] == [-40, 0, 40]
    assert figure["data"][-1]["x"].tolist() == np.linspace(-180, 180, 7).tolist()


def test_panels_without_data_are_left_out():
    ds = made.kernel_dataset().drop_vars(["surface", "power", "weight", "copy_column"])
    figure = film_strip(ds)
    assert len(figure["data"]) == 1


def test_many_orientations_have_fewer_ticks_than_tiles():
    assert len(film_strip(made.kernel_dataset(n=16))["layout"]["xaxis"]["ticktext"]) == 8
