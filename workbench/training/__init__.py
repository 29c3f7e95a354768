"""Training runs: one network on one data set, kept in a folder that resumes exactly and never runs code."""

from workbench.training.reproduction import load_claims, reproduce
from workbench.training.run import Run
from workbench.training.settings import Settings
from workbench.training.shipping import ship, ship_method
from workbench.training.store import DamagedFile
from workbench.training.trainer import fit
from workbench.training.verdicts import Verdict, VerdictTable, verdict_table, verdicts

__all__ = [
    "DamagedFile",
    "Run",
    "Settings",
    "Verdict",
    "VerdictTable",
    "fit",
    "load_claims",
    "reproduce",
    "ship",
    "ship_method",
    "verdict_table",
    "verdicts",
]
