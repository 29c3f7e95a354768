"""Measures: a model, data and a group go in, a labelled Dataset comes out; the model is left exactly as found."""

from workbench.measure.attribution import attribute_error
from workbench.measure.behaviour import Behaviour, parse_behaviour
from workbench.measure.check import check_equivariance
from workbench.measure.cost import cost
from workbench.measure.data_answer import with_model
from workbench.measure.data_features import layer_features
from workbench.measure.data_symmetry import data_symmetry
from workbench.measure.dataset import dataset_groups, labelled, open_dataset, save, validate
from workbench.measure.distribution import learned_distribution
from workbench.measure.error import equivariance_error
from workbench.measure.explain import explain
from workbench.measure.inference import infer_behaviour
from workbench.measure.kernels import kernels, spectrum
from workbench.measure.lie import lie_derivative
from workbench.measure.orbit import lattice_elements, orbit
from workbench.measure.partial import overlap_loss, partial_layer_error, predicted_loss
from workbench.measure.probability import class_probability
from workbench.measure.probe import Cancelled
from workbench.measure.provenance import provenance
from workbench.measure.redundancy import redundancy
from workbench.measure.repairs import repair
from workbench.measure.report import will_it_be_equivariant
from workbench.measure.scales import scale_error
from workbench.measure.state import undisturbed
from workbench.measure.stream import equivariance_error_streamed
from workbench.measure.task import task_cost

__all__ = [
    "Behaviour",
    "Cancelled",
    "attribute_error",
    "check_equivariance",
    "class_probability",
    "cost",
    "data_symmetry",
    "dataset_groups",
    "equivariance_error",
    "equivariance_error_streamed",
    "explain",
    "infer_behaviour",
    "kernels",
    "labelled",
    "lattice_elements",
    "layer_features",
    "learned_distribution",
    "lie_derivative",
    "open_dataset",
    "orbit",
    "overlap_loss",
    "parse_behaviour",
    "partial_layer_error",
    "predicted_loss",
    "provenance",
    "redundancy",
    "repair",
    "save",
    "scale_error",
    "spectrum",
    "task_cost",
    "undisturbed",
    "validate",
    "will_it_be_equivariant",
    "with_model",
]
