"""Audit any network on any samples: which symmetry it has, how much, where it breaks, and what to do about it."""

from workbench.audit.audit import audit
from workbench.audit.compare import Comparison, audit_beside, compare
from workbench.audit.data import AuditData, load_data
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.report import report_html, write_report
from workbench.audit.result import AuditResult, Verdict

__all__ = [
    "AuditData",
    "AuditResult",
    "AuditedModel",
    "Comparison",
    "Verdict",
    "audit",
    "audit_beside",
    "compare",
    "load_data",
    "load_model",
    "report_html",
    "write_report",
]
