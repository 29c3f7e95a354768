"""Real images in three splits: embedded, derived and published sets, and a visitor's own picture."""

from workbench.datasets.archives import DamagedFile
from workbench.datasets.catalogue import Description, describe, load, names
from workbench.datasets.image_set import ImageSet
from workbench.datasets.paths import checked_path, data_folder, downloads_folder
from workbench.datasets.published import MissingData, fetch
from workbench.datasets.visitor import from_file

__all__ = [
    "DamagedFile",
    "Description",
    "ImageSet",
    "MissingData",
    "checked_path",
    "data_folder",
    "describe",
    "downloads_folder",
    "fetch",
    "from_file",
    "load",
    "names",
]
