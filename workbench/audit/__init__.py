"""Audit any network on any samples: which symmetry it has, how much, where it breaks, and what to do about it."""

from workbench.audit.audit import audit
from workbench.audit.compare import Comparison, audit_beside, compare
from workbench.audit.data import AuditData, load_data
from workbench.audit.model import AuditedModel, load_model
from workbench.audit.report import report_html, write_report
from workbench.audit.result import AuditResult, Verdict
from workbench.audit.right_amount import RightAmount, advise, check_advice, preferred

__all__ = [
    "AuditData",
    "AuditResult",
    "AuditedModel",
    "Comparison",
    "RightAmount",
    "Verdict",
    "advise",
    "audit",
    "audit_beside",
    "check_advice",
    "compare",
    "load_data",
    "load_model",
    "preferred",
    "report_html",
    "write_report",
]
