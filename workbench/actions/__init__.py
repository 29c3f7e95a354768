"""How a group element acts on data: images, signals, points, sets, exactly where the grid allows it."""

from workbench.actions.floors import round_trip_floor
from workbench.actions.images import PADDINGS, RESAMPLERS, transform_each, transform_image, transform_images
from workbench.actions.irreps import transform_irreps
from workbench.actions.lattice import is_lattice
from workbench.actions.masks import MASKS, disc_mask, named_mask, overlap_mask, smooth
from workbench.actions.points import transform_points
from workbench.actions.series import transform_series
from workbench.actions.sets import permute_set
from workbench.actions.signals import transform_signal, transform_signals

__all__ = [
    "MASKS",
    "PADDINGS",
    "RESAMPLERS",
    "disc_mask",
    "is_lattice",
    "named_mask",
    "overlap_mask",
    "permute_set",
    "round_trip_floor",
    "smooth",
    "transform_each",
    "transform_image",
    "transform_images",
    "transform_irreps",
    "transform_points",
    "transform_series",
    "transform_signal",
    "transform_signals",
]
