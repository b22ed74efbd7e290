"""What may be done to an organization: the only writer of its status and placement."""

from tenancy.lifecycle.collections import declare_collection
from tenancy.lifecycle.creation import create_organization
from tenancy.lifecycle.deletion import delete_organization, restore_organization
from tenancy.lifecycle.renaming import rename_organization
from tenancy.lifecycle.signals import creation_undone, organization_deleted, organization_purged
from tenancy.lifecycle.states import resume_organization, suspend_organization

__all__ = [
    "create_organization",
    "creation_undone",
    "declare_collection",
    "delete_organization",
    "organization_deleted",
    "organization_purged",
    "rename_organization",
    "restore_organization",
    "resume_organization",
    "suspend_organization",
]
