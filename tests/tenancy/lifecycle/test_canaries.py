"""A purge leaves nothing of what an organization and its people have put into the catalog."""

from datetime import timedelta

import pytest
from django.apps import apps
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db import connection, models
from django.utils import timezone

from accounts.models import (
    ApiKey,
    Invitation,
    Membership,
    RecoveryCode,
    RefreshToken,
    Session,
    TotpDevice,
    User,
)
from accounts.roles import Role
from tenancy.models import (
    Collection,
    IdempotencyRecord,
    Index,
    Operation,
    Organization,
    OrganizationStatus,
    Usage,
)
from tests.http import send
from tests.tenancy.lifecycle.test_erasure import purge

pytestmark = pytest.mark.usefixtures("quick")

CANARY = "CANARY"
ADDRESS = "203.0.113.99"
# What a canary cannot be put into: the keys of rows, and what the purge itself goes by.
FIXED = {
    "Collection": {"name"},
    "IdempotencyRecord": {"scope"},
    "LogEntry": {"object_id"},
    "Operation": {"by", "kind", "step", "lease_owner"},
    "Organization": {"slug"},
    "Placement": {"namespace"},
    "SlugReservation": {"slug"},
}
# What holds nothing of an organization or its people; the audit gets what acts write into it.
OTHERS = {
    "AuditChain", "AuditEvent", "Cluster", "ContentType", "ErasureRecord", "Group", "Permission",
    "Plan", "StaticDevice", "StaticToken", "TOTPDevice",
}  # fmt: skip
# What has no text of its own.
BARE = {"Membership", "Placement", "SlugReservation", "Usage"}
# A slug stays reserved, and the record of the erasure names the places that are empty now.
KEEP_SLUGS = {"tenancy_slugreservation", "tenancy_erasurerecord"}


def fill(acme, alice, globex):
    """Leave a row of every kind that an organization and its people may have."""
    organization, bob, later = acme.organization, acme.users["bob"], timezone.now() + timedelta(1)
    Membership.objects.create(user=bob, organization=globex.organization, role=Role.EDITOR)
    send(alice, "PUT", "/api/v1/collections/notes/documents/x", {"n": 1})
    answer = send(alice, "PATCH", "/api/v1/organization", {"name": f"{CANARY} of Acme"})
    assert answer.status_code == 200
    acme.client("bob")
    key = ApiKey.objects.create(organization=organization, name="key", role="viewer", digest="1")
    sent = {"sent_at": later, "expires_at": later, "invited_by_key": key}
    Invitation.objects.create(organization=organization, email="i@example.com", digest="2", **sent)
    for name in ("vera", "alice"):
        user = acme.users[name]
        TotpDevice.objects.create(user=user, name="app", secret_encrypted="s", confirmed=True)
        RecoveryCode.objects.create(user=user, digest="3")
    main = Collection.objects.filter(organization=organization).first()
    Index.objects.create(collection=main, name="index", keys=[["a", 1]])
    Usage.objects.get_or_create(organization=organization)
    scope = f"user:{bob.pk}/{organization.pk}"
    IdempotencyRecord.objects.create(scope=scope, key="k", digest="4", expires_at=later)
    log(acme, globex)


def log(acme, globex):
    """Let an operator have had to do with everything, as the admin site's log tells."""
    operator = User.objects.create(email="root@x.example", is_staff=True)
    rows = [acme.organization, *acme.users.values(), ApiKey.objects.get(), Invitation.objects.get()]
    rows += [Membership.objects.filter(organization=acme.id).first(), *Session.objects.all()]
    for row in rows:
        if row != acme.users["bob"]:  # who stays, with globex
            LogEntry.objects.create(
                user=operator, content_type=ContentType.objects.get_for_model(row),
                object_id=str(row.pk), object_repr="x", action_flag=CHANGE, change_message="x",
            )  # fmt: skip


def rows_of(model, acme):
    """Return the rows of a model that are the organization's, or its people's alone."""
    rows = model._base_manager.all()
    people = [user.pk for name, user in acme.users.items() if name != "bob"]
    if model in {LogEntry, IdempotencyRecord}:
        return rows
    if model is Organization:
        return rows.filter(pk=acme.id)
    if model is User:
        return rows.filter(pk__in=people)
    if model is Operation:
        return rows.filter(organization=acme.id).exclude(status__in=["pending", "running"])
    paths = {
        RefreshToken: {"session__organization": acme.id},
        Index: {"collection__organization": acme.id},
    }
    names = {field.name for field in model._meta.fields}
    whose = {"organization": acme.id} if "organization" in names else {"user__in": people}
    return rows.filter(**paths.get(model, whose))


def plant(row, number):
    """Put a canary into every column of a row that can hold one. Return how many."""
    fixed, values = FIXED.get(type(row).__name__, set()), {}
    for field in row._meta.concrete_fields:
        if field.primary_key or field.is_relation or field.choices or field.name in fixed:
            continue
        if isinstance(field, models.JSONField):
            values[field.name] = {"a": [f"{CANARY}{number}"], "n": 1}
        elif isinstance(field, models.EmailField):
            values[field.name] = f"{CANARY}{number}@example.com"
        elif isinstance(field, models.CharField | models.TextField):
            values[field.name] = f"{CANARY}{number}"[-(field.max_length or 32) :]
        elif isinstance(field, models.GenericIPAddressField):
            values[field.name] = ADDRESS
    if values:
        type(row)._base_manager.filter(pk=row.pk).update(**values)
    return len(values)


def our_models():
    found = apps.get_models()
    return [model for model in found if model.__name__ not in OTHERS and model.__module__ != (
        "django.contrib.sessions.models")]  # fmt: skip


def dump():
    """Return every table of the catalog, as text."""
    found = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            found[table] = str(cursor.fetchall())
    return found


def tables_with(text):
    return {table for table, content in dump().items() if text in content}


def test_nothing_of_an_organization_is_left(acme, globex, alice):
    fill(acme, alice, globex)
    planted = {}
    for model in our_models():
        for number, row in enumerate(rows_of(model, acme)):
            planted[model.__name__] = planted.get(model.__name__, 0) + plant(row, number)
    before = tables_with(CANARY)

    purge(acme)

    empty = {model.__name__ for model in our_models() if not planted.get(model.__name__)}
    assert empty == BARE
    assert len(before) == len(our_models()) - len(BARE)
    assert tables_with(CANARY) == tables_with(ADDRESS) == set()
    assert tables_with("canary") <= KEEP_SLUGS
    assert Organization.objects.get(pk=acme.id).status == OrganizationStatus.PURGED


def test_who_has_another_organization_keeps_what_is_there(acme, globex):
    Membership.objects.create(
        user=acme.users["bob"], organization=globex.organization, role=Role.EDITOR
    )
    acme.client("bob")
    globex.users |= acme.users
    globex.client("bob")

    purge(acme)

    assert [row.organization_id for row in Session.objects.all()] == [globex.id]
    assert RefreshToken.objects.count() == 1
