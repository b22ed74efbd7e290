"""Compare the catalog with every cluster, both ways, and mend what interrupted acts have left."""

from tenancy.doctor.examination import EVERYTHING, Examination, Scope, check_tenants
from tenancy.doctor.findings import Finding, FindingGroup, group_findings
from tenancy.doctor.summary import Summary, summarize_tenants

__all__ = [
    "EVERYTHING",
    "Examination",
    "Finding",
    "FindingGroup",
    "Scope",
    "Summary",
    "check_tenants",
    "group_findings",
    "summarize_tenants",
]
