"""How a group element acts on data: images and group signals, exactly where the grid allows it."""

from workbench.actions.floors import round_trip_floor
from workbench.actions.images import PADDINGS, RESAMPLERS, transform_each, transform_image, transform_images
from workbench.actions.lattice import is_lattice
from workbench.actions.masks import MASKS, disc_mask, named_mask, smooth
from workbench.actions.signals import transform_signal, transform_signals

__all__ = [
    "MASKS",
    "PADDINGS",
    "RESAMPLERS",
    "disc_mask",
    "is_lattice",
    "named_mask",
    "round_trip_floor",
    "smooth",
    "transform_each",
    "transform_image",
    "transform_images",
    "transform_signal",
    "transform_signals",
]
