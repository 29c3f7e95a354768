"""One file per paper: its network, its configurations, its experiments and its claims."""

from workbench.models.method import Claim, Experiment, Method, build_model, find_method, methods

__all__ = ["Claim", "Experiment", "Method", "build_model", "find_method", "methods"]
