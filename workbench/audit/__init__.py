"""Audit any network on any images: which symmetry it has, how much, where it breaks, and what to do about it."""

from workbench.audit.audit import audit
from workbench.audit.data import AuditData, load_data
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.report import report_html, write_report
from workbench.audit.result import AuditResult, Verdict

__all__ = [
    "AuditData",
    "AuditResult",
    "AuditedModel",
    "Verdict",
    "audit",
    "load_data",
    "load_model",
    "report_html",
    "write_report",
]
