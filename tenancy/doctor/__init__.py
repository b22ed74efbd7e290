"""Compare the catalog with MongoDB, both ways, and mend what interrupted acts have left."""

from tenancy.doctor.examination import Examination, check_tenants
from tenancy.doctor.findings import Finding

__all__ = ["Examination", "Finding", "check_tenants"]
