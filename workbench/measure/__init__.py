"""Measures: a model, data and a group go in, a labelled Dataset comes out; the model is left exactly as found."""

from workbench.measure.check import check_equivariance, lattice_elements
from workbench.measure.dataset import labelled, open_dataset, save, validate
from workbench.measure.error import equivariance_error
from workbench.measure.orbit import orbit
from workbench.measure.probe import Cancelled
from workbench.measure.provenance import provenance
from workbench.measure.state import undisturbed

__all__ = [
    "Cancelled",
    "check_equivariance",
    "equivariance_error",
    "labelled",
    "lattice_elements",
    "open_dataset",
    "orbit",
    "provenance",
    "save",
    "undisturbed",
    "validate",
]
