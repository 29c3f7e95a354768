"""Small Datasets with the dims that measures return, built from formulas so that tests know every number."""

import numpy as np
import xarray as xr

from workbench.measure.dataset import labelled

ATTRS = {
    "created_by": "made",
    "seed": 0,
    "dtype": "float64",
    "workbench_version": "0",
    "resampler": "bicubic",
    "mask": "disc",
}


def symmetry_dataset(markup: str = "") -> xr.Dataset:
    """A lifting layer and three learned ones over eleven epochs; the second layer's name may hold markup."""
    arc = np.array([1.0, 0.75, 0.5, 1.0])
    epochs = np.arange(1, 12)
    course = 1 - (1 - arc) * np.linspace(0, 1, 11)[:, None]
    angles = np.tile(np.linspace(-150, 150, 6), (4, 1))
    return xr.Dataset(
        {
            "arc": labelled("layer", arc, "share of the circle kept"),
            "learned": labelled("layer", [False, True, True, True], "learns"),
            "relative_depth": labelled("layer", np.linspace(0, 1, 4), "relative depth"),
            "gate_probability": labelled("layer", [np.nan, 0.25, 0.5, 1.0], "probability that the mirror is kept"),
            "element_angle_deg": labelled(("layer", "element"), angles, "sampled element", "degrees"),
            "element_used": labelled(("layer", "element"), np.ones((4, 6), bool), "drawn"),
            "arc_history": labelled(("epoch", "layer"), course, "share of the circle kept"),
            "gate_history": labelled(("epoch", "layer"), np.where(arc < 1, course, np.nan), "mirror"),
            "validation_accuracy": labelled("epoch", np.linspace(0.5, 1, 11), "validation accuracy"),
            "train_accuracy": labelled("epoch", np.linspace(0.4, 1, 11), "training accuracy"),
            "error": labelled("epoch", np.where(epochs % 2, np.linspace(0, 2.2, 11), np.nan), "equivariance error"),
            "epoch_shown": labelled((), 7, "epoch shown"),
            "kernel_shown": labelled(("layer", "number", "y", "x"), _numbered((4, 2, 3, 3)), "share of the largest"),
            "what_if_arc": labelled((), 0.5, "share"),
            "what_if_angle_deg": labelled("what_if_element", [-45.0, 45.0, 0.0], "element", "degrees"),
            "what_if_used": labelled("what_if_element", [True, True, False], "drawn"),
            "published_arc": labelled(("published", "stage"), [[1.0, 0.3, 1.0], [1.0, 1.0, 0.9]], "published share"),
            "published_depth": labelled("stage", [0.0, 0.5, 1.0], "relative depth"),
        },
        coords={
            "layer": labelled("layer", ["lifting", f"layer 2{markup}", "layer 3", "layer 4"], "layer"),
            "epoch": labelled("epoch", epochs, "epoch"),
            "published": labelled("published", ["CIFAR-10", "rotMNIST"], "data"),
        },
        attrs=ATTRS,
    )


def _numbered(shape: tuple[int, ...]) -> np.ndarray:
    """Kernels that hold the number of their layer plus a tenth of their own number."""
    layer, number = np.arange(shape[0]), np.arange(shape[1]) / 10
    return np.broadcast_to((layer[:, None] + number)[:, :, None, None], shape).copy()


def kernel_dataset(n: int = 4, size: int = 5) -> xr.Dataset:
    """Kernels that hold the number of their tile: row + 10 column."""
    tile = np.arange(n)[:, None] + 10.0 * np.arange(n)
    kernel = np.broadcast_to(tile[:, :, None, None], (n, n, size, size)).astype(np.float32).copy()
    angles = 360 / n * np.arange(n)
    line = np.linspace(-1, 1, 9)
    return xr.Dataset(
        {
            "kernel": labelled(("g_out", "g_in", "y", "x"), kernel, "kernels"),
            "limit": labelled((), 40.0, "end of the scale"),
            "copy_column": labelled("g_out", (np.arange(n) + 1) % n, "copy"),
            "surface": labelled(("fine_y", "fine_x"), np.outer(line, line), "the function"),
            "power": labelled("frequency", [0.5, 0.3, 0.2], "share of power"),
            "weight": labelled("relative_angle_deg", np.cos(np.linspace(-np.pi, np.pi, 7)), "one weight"),
        },
        coords={
            "pose_out": labelled("g_out", [f"{angle:g}°" for angle in angles], "output pose"),
            "pose_in": labelled("g_in", [f"{angle:g}°" for angle in angles], "input pose"),
            "fine_y": labelled("fine_y", line, "up"),
            "fine_x": labelled("fine_x", line, "right"),
            "frequency": labelled("frequency", [0.1, 0.3, 0.5], "frequency", "cycles per pixel"),
            "relative_angle_deg": labelled(
                "relative_angle_deg", np.linspace(-180, 180, 7), "relative rotation", "degrees"
            ),
        },
        attrs=ATTRS,
    )


def error_dataset(maps: bool = True, scores: bool = False, markup: str = "") -> xr.Dataset:
    """Three models over nine angles; exactly zero at quarter turns for the first one."""
    angles = np.arange(0, 361, 45.0)
    exact = angles % 90 == 0
    error = np.stack([np.where(exact, 2e-7, 0.1), np.full(9, 0.5), np.full(9, 0.9)])
    floor = np.where(exact, 0.0, 0.03)
    ds = xr.Dataset(
        {
            "error_mean": labelled(("model", "transform"), error, "relative error"),
            "error_sem": labelled(("model", "transform"), error * 0.1, "standard error"),
            "input_floor_mean": labelled("transform", floor, "input floor"),
            "output_floor_mean": labelled("transform", 2 * floor, "output floor"),
            "sqrt_two_delta": labelled("transform", np.full(9, 0.7), "partial layer, error"),
            "delta": labelled("transform", np.full(9, 0.25), "partial layer, lost"),
            "angle_shown_deg": labelled((), 30.0, "turn", "degrees"),
        },
        coords={
            "model": labelled("model", [f"the network{markup}", "plain network", "kernels in disorder"], "network"),
            "angle_deg": labelled("transform", angles, "input turned by", "degrees"),
            "lattice": labelled("transform", exact, "exact"),
        },
        attrs={**ATTRS, "showing": "showing 4 of 55 test pictures"},
    )
    if maps or scores:
        ds["input_map"] = labelled(("input_y", "input_x"), np.arange(16.0).reshape(4, 4), "The picture, turned")
    if maps:
        for at, name in enumerate(("turned_first", "turned_after", "difference")):
            ds[name] = labelled(("map_y", "map_x"), np.full((3, 3), at - 2.0), name)
    if scores:
        ds["scores"] = labelled(("order", "score"), [[1.0, 2.0], [2.0, 1.0]], "score of the class")
        ds = ds.assign_coords(
            order=labelled("order", ["turned", "upright"], "input"), score=labelled("score", ["6", "9"], "class")
        )
    return ds


def group_dataset(mirrors: bool = False) -> xr.Dataset:
    """C(4), or the four elements of D(2), with maps that hold the number of their element."""
    n = 4
    angle = np.array([0.0, 180, 0, 180]) if mirrors else 90.0 * np.arange(n)
    mirror = np.array([1, 1, -1, -1]) if mirrors else np.ones(n, dtype=int)
    product = np.array([[0, 1, 2, 3], [1, 0, 3, 2], [2, 3, 0, 1], [3, 2, 1, 0]])
    product = product if mirrors else (np.arange(n)[:, None] + np.arange(n)) % n
    tile = np.broadcast_to(np.arange(n)[:, None, None] / n, (n, 6, 6)).copy()
    ds = xr.Dataset(
        {
            "element_angle_deg": labelled("element", angle, "rotation", "degrees"),
            "element_mirror": labelled("element", mirror, "mirror"),
            "product_index": labelled(("first", "second"), product, "product"),
            "image": labelled(("y", "x"), np.eye(6), "the input"),
            "filter": labelled(("filter_y", "filter_x"), np.ones((3, 3)), "The filter"),
            "orbit": labelled(("element", "y", "x"), tile, "The orbit"),
            "response": labelled(("row", "element", "map_y", "map_x"), np.stack([tile, tile, 0 * tile]), "Maps"),
            "angle_shown_deg": labelled((), 90.0, "turn", "degrees"),
        },
        coords={
            "element": labelled(
                "element", [f"{a:g}°{'' if m > 0 else ' m'}" for a, m in zip(angle, mirror, strict=True)], "element"
            ),
            "row": labelled("row", ["turn, then filter", "filter, then turn", "difference"], "order"),
        },
        attrs={**ATTRS, "group": "D(2)" if mirrors else "C(4)"},
    )
    ds["orbit"].attrs["valid_range"] = [0.0, 1.0]
    return ds


def answer_dataset(markup: str = "") -> xr.Dataset:
    """A network that changes its mind at 90 degrees beside one of three classes that never does."""
    angles = np.linspace(-180, 180, 37)
    course = np.stack([np.where(np.abs(angles) < 90, 1.0, 0.0), np.full(37, 0.5)])
    return xr.Dataset(
        {
            "probability": labelled(("model", "angle"), course, "Probability of '6'"),
            "followed": labelled("model", ["6", "6"], "class that is followed"),
            "answer": labelled(("model", "class"), [[0.75, 0.25, 0.0], [0.2, 0.3, 0.5]], "probability of the class"),
            "class_name": labelled(("model", "class"), [["6", f"9{markup}", ""], ["6", "9", "0"]], "class"),
            "picture": labelled(("y", "x"), np.eye(6), "the picture, turned"),
            "angle_shown_deg": labelled((), -30.0, "input turned by", "degrees"),
        },
        coords={
            "model": labelled("model", [f"partial{markup}", "full"], "network"),
            "angle_deg": labelled("angle", angles, "input turned by", "degrees"),
        },
        attrs=ATTRS,
    )


def arc_dataset() -> xr.Dataset:
    """Three samples on half the circle, sent outwards by one rule and all the same way by the other."""
    angles = np.array([-60.0, 0.0, 60.0])
    widths = np.linspace(0.1, 1, 10)
    return xr.Dataset(
        {
            "angle_deg": labelled("sample", angles, "sampled angle", "degrees"),
            "moved_deg": labelled(("rule", "sample"), [1.2 * angles, angles + 10], "where it goes", "degrees"),
            "slope": labelled(("rule", "width"), np.stack([6 * widths, 0 * widths]), "slope", "rad²"),
            "analytic_slope": labelled("width", 6 * widths, "analytic slope", "rad²"),
            "slope_here": labelled("rule", [3.0, 0.25], "slope", "rad²"),
            "theta": labelled((), 0.5, "share of the circle"),
        },
        coords={
            "rule": labelled("rule", ["full", "reference"], "gradient rule"),
            "width": labelled("width", widths, "share of the circle"),
        },
        attrs=ATTRS,
    )


def seeds_dataset() -> xr.Dataset:
    """Two networks over three seeds: one always at 50 percent, one about 90."""
    accuracy = np.array([[50.0, 50.0, 50.0], [88.0, 90.0, 92.0]])
    variables = {"parameters": labelled("experiment", [6018.0, 6021.0], "trainable parameters")}
    for name, values, units in (("accuracy", accuracy, "percent"), ("gap", accuracy - 50, "points")):
        variables[name] = labelled(("experiment", "seed"), values, f"test {name}", units)
        for end, shift in (("mean", 0.0), ("low", -3.0), ("high", 3.0)):
            variables[f"{name}_{end}"] = labelled("experiment", values.mean(-1) + shift, f"{name}, {end}", units)
    return xr.Dataset(
        variables,
        coords={
            "experiment": labelled("experiment", ["six_full", "six_partial"], "experiment"),
            "seed": labelled("seed", [0, 1, 7], "seed"),
        },
        attrs={**ATTRS, "level": 0.9},
    )


def audit_of_data(markup: str = "") -> xr.Dataset:
    """The whole, turned within 60 degrees, and a class of which nothing can be said; formulas in place of counts."""
    angle, apart = np.arange(0, 181, 10.0), np.arange(0, 181, 5.0)
    delta = np.minimum(apart / 120, 1)
    by_class = {
        "arc_half_width_deg": ([60.0, 100.0], "half width of the arc", "degrees"),
        "arc_low_deg": ([54.0, 40.0], "lower end", "degrees"),
        "arc_high_deg": ([66.0, 180.0], "upper end", "degrees"),
        "resolvable": ([True, False], "resolvable", "1"),
        "rejected": ([True, False], "some turn changes it", "1"),
        "pictures": ([200, 30], "pictures", "1"),
        "verdict": (["turned within ±60° (54 to 66)", f"not resolvable at this n: {markup}"], "in words", "1"),
    }
    distance = np.stack([np.sin(np.deg2rad(angle)), np.full(19, 0.01)])
    return xr.Dataset(
        {
            **{name: labelled("class", *about) for name, about in by_class.items()},
            "distance": labelled(("class", "transform"), distance, "energy distance"),
            "null_high": labelled(("class", "transform"), np.full((2, 19), 0.05), "null"),
            "p_holm": labelled(("class", "transform"), np.full((2, 19), 0.5), "p-value"),
            "floor": labelled(("class", "floor_transform"), np.full((2, 6), 0.02), "floor"),
            **{
                name: labelled(("class", "difference"), np.stack([delta, delta + 9]), name)
                for name in ("lost", "lost_fitted", "delta")
            },
            "picture": labelled(("copy", "number", "y", "x"), np.full((2, 3, 4, 4), 0.5), "pictures"),
            "angle_shown_deg": labelled((), 40.0, "turned by", "degrees"),
            "made_half_width_deg": labelled((), 60.0, "turned by up to", "degrees"),
        },
        coords={
            "class": labelled("class", [f"all{markup}", "8"], "class"),
            "angle_deg": labelled("transform", angle, "turned by", "degrees"),
            "difference_deg": labelled("difference", apart, "angle between alike pictures", "degrees"),
            "floor_angle_deg": labelled("floor_transform", np.arange(30, 181, 30.0), "turned by", "degrees"),
        },
        attrs=ATTRS,
    )


def audit_of_data_in_full(markup: str = "", known: bool = True) -> xr.Dataset:
    """The same with finite symmetries, their power and a model beside them; NaN, as while a slider moves."""
    ds, over = audit_of_data(markup), ("class", "question")
    unknown = 1.0 if known else np.nan
    numbers = {
        "element_distance": [[0.10, 0.02], [0.01, 0.02]], "element_null_high": [[0.03, 0.03], [0.04, 0.04]],
        "element_p_holm": [[0.001, 0.6], [0.7, 1.0]], "element_rejected": [[1, 0], [0, 0]],
        "element_needed": [[35, 1234], [np.inf, 80]],
    }  # fmt: skip
    ds = ds.assign({name: labelled(over, unknown * np.array(rows), name) for name, rows in numbers.items()})
    error = unknown * np.linspace(0, 0.4, 5)
    ds = ds.assign(
        model_error_mean=labelled("model_transform", error, "relative error of the model"),
        beside=labelled("class", [f"Your data: ±60°; your model {markup}", "Your data: ±100°"], "in words"),
    ).assign_coords(
        question=labelled("question", [f"left-right{markup}", "C4"], "finite symmetry"),
        question_words=labelled("question", ["mirrored left to right", "quarter turns"], "in words"),
        model_angle_deg=labelled("model_transform", np.linspace(0, 180, 5), "turned by", "degrees"),
    )
    if not known:
        return ds
    share = np.array([[[0.1, 0.5, 1.0], [0.0, 0.0, 0.1]]] * 2)
    return ds.assign(
        element_power=labelled(("class", "question", "part"), share, "share rejected"),
        part_pictures=labelled(("class", "part"), np.array([[50, 100, 200], [8, 15, 30]]), "pictures"),
        arc_needed=labelled("class", [120.0, 3100.0], "at most needed"),
    )
