"""The URI of a cluster goes in and never comes out: not in any output, page, log or error."""

import io
import logging
import os
import traceback

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.urls import reverse

from accounts.models import User
from accounts.roles import Role
from tenancy import catalog, lifecycle
from tenancy.exceptions import TenancyError
from tenancy.lifecycle.clusters import ClusterTraits, add_cluster
from tenancy.models import AuditEvent, Operation
from tenancy.mongo import clients
from tests.conftest import ACTOR, PASSWORD, make_cast
from tests.environment import SECOND_URI
from tests.test_docs import commands

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]

CANARY = "Canary-7f3a"
# What runs on, or makes a deployment of its own.
NOT_RUN = {"serve", "demo"}
ARGUMENTS = {
    "add_cluster": ["another"],
    "change_cluster": ["kept", "--note", "x"],
    "check_cluster": ["kept"],
    "remove_cluster": ["kept"],
    "create_organization": ["Umbrella", "--kind", "cluster"],
    "rename_organization": ["acme", "Acme Two"],
    "suspend_organization": ["acme"],
    "resume_organization": ["acme"],
    "delete_organization": ["acme", "--confirm", "acme"],
    "restore_organization": ["acme"],
}
BROKEN = [
    "mongodb://u:{0}@127.0.0.1:1/?directConnection=true",
    "mongodb://u:{0}@/",
    "mongodb://u:x@{0}@h/",
    "mongodb://u:{0}@h:99999999/",
    "mongodb://u:p@h/?tls={0}",
    "mongodb://u:p@h/?{0}=1",
    "mongodb://u:p@h/?authMechanism={0}",
    "mongodb+srv://u:{0}@nowhere.invalid/",
    "{0}",
]


@pytest.fixture
def user(second_client, request):
    """A user of the second mongod, whose password is the canary."""
    name = f"canary_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    second_client.admin.command("dropAllUsersFromDatabase")
    second_client.admin.command("createUser", name, pwd=CANARY, roles=["root"])
    yield name
    second_client.admin.command("dropUser", name)


@pytest.fixture
def uri(user):
    return os.environ[SECOND_URI].replace("mongodb://", f"mongodb://{user}:{CANARY}@")


@pytest.fixture
def log(caplog):
    """Everything that is logged from now on, the driver's included."""
    caplog.set_level(logging.DEBUG)
    yield caplog
    clients.close_clients()


def output_of(command, *options):
    """Return all that a command prints, and what its error says with all of its causes."""
    out = io.StringIO()
    try:
        call_command(command, *ARGUMENTS.get(command, []), *options, stdout=out, stderr=out)
    except (CommandError, SystemExit) as error:
        out.write("".join(traceback.format_exception(error)))
    return out.getvalue()


def test_no_command_page_or_log_line_shows_it(mongo, quick, second_cluster, uri, log, client):
    second_cluster.delete()
    row = add_cluster("kept", uri, ClusterTraits(region="eu"), by=ACTOR)
    cast = make_cast("Acme", {"alice": Role.OWNER})
    seen = [repr(row), str(row), repr(catalog.address_of(cast.organization.placement))]
    globex = lifecycle.create_organization("Globex", by=ACTOR, region="eu")
    seen.append(repr(catalog.get_tenant(globex.pk)))

    operator = User.objects.create_superuser("root@example.com", PASSWORD)
    client.force_login(operator)
    for model in admin.site._registry:
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        seen.append(client.get(reverse(f"{name}_changelist")).content.decode())
        for each in model.objects.all()[:3]:
            page = client.get(reverse(f"{name}_change", args=[each.pk]))
            seen.append(page.content.decode())
    for command in sorted(commands() - NOT_RUN, key=lambda name: name == "remove_cluster"):
        seen += [output_of(command), output_of(command, "--json")]
    seen += [str(vars(event)) for event in AuditEvent.objects.all()]
    seen += [str(vars(operation)) for operation in Operation.objects.all()]

    assert len(log.records) > 100
    assert len(seen) > 40
    assert CANARY not in log.text
    assert [
        text for text in seen if CANARY in text or ("kept" in text and "mongodb://" in text)
    ] == []


@pytest.mark.parametrize("template", BROKEN)
def test_broken_uri_is_not_repeated(mongo, template, log, monkeypatch):
    monkeypatch.setenv("TENANTRY_CLUSTER_URI", template.format(CANARY))
    seen = output_of("add_cluster", "--force") + output_of("add_cluster", "--force", "--json")
    seen += output_of("check_cluster", "--json") + output_of("list_clusters")

    with pytest.raises(TenancyError) as caught:
        clients.ping(template.format(CANARY))

    assert (
        CANARY.lower()
        not in (seen + "".join(traceback.format_exception(caught.value)) + log.text).lower()
    )
