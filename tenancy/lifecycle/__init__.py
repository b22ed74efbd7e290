"""What may be done to an organization: the only writer of its status and placement."""

from tenancy.lifecycle.cloning import begin_clone, clone_organization
from tenancy.lifecycle.collections import declare_collection, drop_collection
from tenancy.lifecycle.creation import create_organization
from tenancy.lifecycle.deletion import delete_organization, restore_organization
from tenancy.lifecycle.indexes import (
    begin_index,
    build_missing_indexes,
    built_indexes,
    declare_index,
    declared_indexes,
    failed_indexes,
    find_missing_indexes,
    remove_index,
)
from tenancy.lifecycle.move_plans import MovePlan, plan_move
from tenancy.lifecycle.moving import begin_move, move_organization
from tenancy.lifecycle.plans import get_plan, transfer_organization
from tenancy.lifecycle.preferences import Preferences, change_organization, settings_of
from tenancy.lifecycle.renaming import rename_organization
from tenancy.lifecycle.signals import (
    creation_undone,
    encryption_key_changed,
    organization_deleted,
    organization_policy_changed,
    organization_purged,
)
from tenancy.lifecycle.states import resume_organization, suspend_organization

__all__ = [
    "MovePlan",
    "Preferences",
    "begin_clone",
    "begin_index",
    "begin_move",
    "build_missing_indexes",
    "built_indexes",
    "change_organization",
    "clone_organization",
    "create_organization",
    "creation_undone",
    "declare_collection",
    "declare_index",
    "declared_indexes",
    "delete_organization",
    "drop_collection",
    "encryption_key_changed",
    "failed_indexes",
    "find_missing_indexes",
    "get_plan",
    "move_organization",
    "organization_deleted",
    "organization_policy_changed",
    "organization_purged",
    "plan_move",
    "remove_index",
    "rename_organization",
    "restore_organization",
    "resume_organization",
    "settings_of",
    "suspend_organization",
    "transfer_organization",
]
