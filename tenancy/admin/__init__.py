"""The operators' site: Django's own admin over the catalog.

Rows are read here. What changes an organization goes through `tenancy.lifecycle`, behind a page
that says what will happen.
"""

from django.contrib import admin

from tenancy.admin.audit import AuditEventAdmin
from tenancy.admin.clusters import ClusterAdmin
from tenancy.admin.erasures import ErasureRecordAdmin
from tenancy.admin.operations import OperationAdmin
from tenancy.admin.organizations import OrganizationAdmin
from tenancy.admin.placements import PlacementAdmin
from tenancy.admin.plans import PlanAdmin
from tenancy.admin.summary import add_pages

__all__ = [
    "AuditEventAdmin",
    "ClusterAdmin",
    "ErasureRecordAdmin",
    "OperationAdmin",
    "OrganizationAdmin",
    "PlacementAdmin",
    "PlanAdmin",
]

admin.site.site_header = "Tenantry"
admin.site.site_title = "Tenantry"
admin.site.index_title = "Operators' site"
admin.site.site_url = None
add_pages(admin.site)
