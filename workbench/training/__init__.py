"""Training runs: one network on one data set, kept in a folder that resumes exactly and never runs code."""

from workbench.training.run import Run
from workbench.training.settings import Settings
from workbench.training.store import DamagedFile
from workbench.training.trainer import fit

__all__ = ["DamagedFile", "Run", "Settings", "fit"]
