"""The operators' commands: what they print, what they refuse, how they end."""

import json
from datetime import timedelta
from io import StringIO
from types import SimpleNamespace

import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from django.utils import timezone

from tenancy import lifecycle
from tenancy.checks import fail_points
from tenancy.exceptions import ClusterUnavailable
from tenancy.leases import host_identity
from tenancy.lifecycle import creation
from tenancy.management import reporting
from tenancy.models import Operation, OperationStatus, Organization, OrganizationStatus
from tests.processes import make_deployment

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.needs_mongod]

BY = "command:test"
NOBODY = f"{host_identity()}/999999999/1/dead"
COMMANDS = {
    "list_organizations": [],
    "rename_organization": ["acme", "Umbrella"],
    "suspend_organization": ["acme"],
    "resume_organization": ["acme"],
    "delete_organization": ["acme", "--confirm", "acme"],
    "restore_organization": ["acme"],
    "check_tenants": [],
    "resume_operations": [],
    "show_operations": [],
    "create_organization": ["Acme"],
}


@pytest.fixture
def patron(mongo, quick, settings):
    """An organization that operators act on."""
    settings.TENANCY_NAMING = "name"
    return lifecycle.create_organization("Acme", by=BY)


def run(*arguments):
    """Run a command. Return its text, its sentence on failure, and its exit code."""
    out = StringIO()
    try:
        call_command(*arguments, stdout=out)
    except CommandError as error:
        return SimpleNamespace(text=out.getvalue(), failure=str(error), code=error.returncode)
    return SimpleNamespace(text=out.getvalue(), failure="", code=0)


def run_json(*arguments):
    """Run a command with --json. Return the one value that it prints."""
    return json.loads(run(*arguments, "--json").text)


def event(action):
    organization = Organization.objects.get()
    return organization.audit_events.get(action=action)


# --- What all of them do ------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_catalog_that_is_not_migrated_is_a_sentence(command, monkeypatch, mongo):
    def refuse(*_):
        raise OperationalError("no such table: tenancy_organization")

    monkeypatch.setattr(reporting, "_is_migrated", lambda: False)
    with connection.execute_wrapper(refuse):
        done = run(command, *COMMANDS[command], "--json")

    assert (done.code, done.failure) == (1, reporting.CATALOG_NOT_READY)
    assert json.loads(done.text)["error"]["code"] == "catalog_unavailable"


def test_catalog_that_is_not_reached_is_told_from_one_that_is_not_ready(monkeypatch, patron):
    def refuse(*_):
        raise OperationalError("connection refused")

    with monkeypatch.context() as patched:
        patched.setattr(Organization.objects, "existing", refuse)
        patched.setattr(connection, "ensure_connection", refuse)
        done = run("list_organizations")

    assert (done.code, done.failure) == (1, reporting.CATALOG_NOT_REACHED)


def test_catalog_that_does_not_answer_is_another_sentence(monkeypatch, patron):
    def refuse(*_):
        raise OperationalError("database is locked")

    with monkeypatch.context() as patched:
        patched.setattr(Organization.objects, "existing", refuse)
        done = run("list_organizations")

    assert (done.code, done.failure) == (1, reporting.CATALOG_SILENT)


def test_on_a_bare_machine_the_command_line_says_what_to_do(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path, mongo_client)
    bare = {"DATABASE_URL": f"sqlite:///{tmp_path}/other.sqlite3"}

    done = deployment.manage("list_organizations", **bare)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Failed: {reporting.CATALOG_NOT_READY}\n"
    assert deployment.manage("list_organizations", "--limit", "0").returncode == 2
    assert deployment.json("list_organizations") == {"organizations": [], "total": 0}


@pytest.mark.parametrize("command", [name for name, given in COMMANDS.items() if "acme" in given])
def test_unknown_organization_is_refused(command, mongo):
    done = run(command, *COMMANDS[command], "--json")

    assert (done.code, done.failure) == (1, "There is no organization “acme”.")
    assert json.loads(done.text) == {"error": {"code": "not_found", "detail": done.failure}}


def test_organization_is_named_by_slug_or_id(patron):
    by_id = run_json("suspend_organization", str(patron.pk))
    by_slug = run_json("resume_organization", "acme")

    assert by_id["id"] == by_slug["id"] == str(patron.pk)


def test_table_is_aligned_whatever_the_script():
    text = reporting.table(("A", "B"), [("日本", 1), ("e\u0301", 2), ("abcd", 3)])

    assert text.splitlines() == ["A     B", "日本  1", "e\u0301     2", "abcd  3"]


# --- Organizations ------------------------------------------------------------------------------


def test_list_of_nothing_says_how_to_begin(mongo):
    assert "create_organization NAME" in run("list_organizations").text
    assert run("list_organizations", "--search", "x").text == "No organization matches.\n"


def test_list_shows_the_newest_and_says_that_there_are_more(patron):
    lifecycle.create_organization("Globex", by=BY)

    lines = run("list_organizations", "--limit", "1").text.splitlines()

    assert lines[0].split() == [
        "NAME", "SLUG", "STATUS", "KIND", "CLUSTER", "NAMESPACE", "PLAN", "CREATED", "(UTC)",
    ]  # fmt: skip
    assert lines[1].split()[:7] == [
        "Globex", "globex", "active", "collection", "default", "org_globex", "standard",
    ]  # fmt: skip
    assert lines[2].startswith("1 of 2 organizations.")


def test_list_is_filtered_by_status_and_text(patron):
    lifecycle.create_organization("Globex", by=BY)
    lifecycle.suspend_organization(patron.pk, by=BY)

    found = run_json("list_organizations", "--status", "suspended")
    searched = run_json("list_organizations", "--search", "LOB")

    assert [row["slug"] for row in found["organizations"]] == ["acme"]
    assert [row["slug"] for row in searched["organizations"]] == ["globex"]


def test_tombstones_are_listed_only_when_asked_for(patron):
    run("delete_organization", "acme", "--confirm", "acme", "--purge")
    run("resume_operations", "--wait", "10")

    (tombstone,) = run_json("list_organizations", "--status", "purged")["organizations"]

    assert (tombstone["id"], tombstone["slug"], tombstone["namespace"]) == (
        str(patron.pk), None, None,
    )  # fmt: skip
    assert run_json("list_organizations")["total"] == 0


def test_rename_says_where_it_is_now(patron):
    done = run("rename_organization", "acme", "Umbrella Corp")

    assert done.text.splitlines()[0] == (
        "Renamed “Acme” to “Umbrella Corp”: slug umbrella-corp, namespace org_umbrella_corp."
    )
    assert "The old name is released at" in done.text
    assert event("organization.renamed").actor == "command:rename_organization"


def test_rename_to_a_name_that_is_taken_is_refused(patron):
    lifecycle.create_organization("Globex", by=BY)

    done = run("rename_organization", "acme", "GLOBEX", "--json")

    assert (done.code, json.loads(done.text)["error"]["code"]) == (1, "name_taken")


def test_rename_to_an_impossible_name_is_refused_with_the_reason(patron):
    done = run("rename_organization", "acme", "..")

    assert (done.code, done.failure) == (
        1, "The name has no letter or digit to make an address from.",
    )  # fmt: skip


def test_suspend_and_resume(patron):
    suspended = run("suspend_organization", "acme", "--reason", "unpaid")
    again = run("suspend_organization", "acme")
    resumed = run("resume_organization", "acme")

    assert suspended.text == "“Acme” is suspended.\n"
    assert (again.text, again.code) == ("“Acme” was suspended already.\n", 0)
    assert resumed.text == "“Acme” is served again.\n"
    assert event("organization.suspended").details == {"reason": "unpaid"}


def test_delete_needs_the_slug_again(patron):
    done = run("delete_organization", "acme", "--confirm", "Acme")

    patron.refresh_from_db()
    assert (done.code, patron.status) == (1, OrganizationStatus.ACTIVE)
    assert "“acme”" in done.failure


def test_deleted_organization_is_restored(patron):
    deleted = run("delete_organization", "acme", "--confirm", "acme")
    restored = run("restore_organization", "acme")

    until = Operation.objects.get(kind="purge").not_before
    assert f"Until {until:%Y-%m-%d}" in deleted.text
    assert restored.text == "“Acme” is back and active.\n"
    assert run("restore_organization", "acme").code == 1


def test_purge_removes_the_data_and_says_what_is_left_to_do(patron, mongo):
    done = run("delete_organization", "acme", "--confirm", "acme", "--purge")

    assert "Its data is dropped; late writes are looked for at" in done.text
    assert mongo.list_collection_names() == []
    assert run("resume_operations", "--wait", "10").code == 0
    patron.refresh_from_db()
    assert patron.status == OrganizationStatus.PURGED


# --- Operations ---------------------------------------------------------------------------------


def test_steps_are_the_fail_points():
    assert run("show_operations", "--steps").text.split() == fail_points()
    first = run_json("show_operations", "--steps")["steps"][0]
    assert first["fail_point"] == f"{first['kind']}.{first['step']}"


def test_operations_are_shown_by_organization_and_state(patron):
    globex = lifecycle.create_organization("Globex", by=BY)
    lifecycle.delete_organization(globex.pk, by=BY)

    everything = run_json("show_operations", "--limit", "2")
    of_acme = run_json("show_operations", "--organization", "acme")["operations"]
    still_open = run_json("show_operations", "--open")["operations"]

    assert (len(everything["operations"]), everything["total"]) == (2, 4)
    assert [(row["kind"], row["status"]) for row in of_acme] == [("create", "succeeded")]
    assert [(row["kind"], row["organization"]) for row in still_open] == [("purge", "globex")]
    assert "2 of 4 operations" in run("show_operations", "--limit", "2").text


def test_nothing_due_is_said(patron):
    assert run("resume_operations").text == "Nothing was due.\n"


def test_what_a_dead_process_left_is_finished(patron):
    Organization.objects.update(status=OrganizationStatus.PROVISIONING)
    left = {"status": OperationStatus.RUNNING, "step": "reserve", "blocking": True}
    Operation.objects.update(**left, lease_owner=NOBODY, lease_until=timezone.now())

    done = run_json("resume_operations")

    assert [(row["kind"], row["status"]) for row in done["operations"]] == [("create", "succeeded")]
    assert done["open"] == 0


def test_waiting_goes_on_until_nothing_is_due_in_that_time(patron):
    lifecycle.rename_organization(patron.pk, "Umbrella", by=BY)
    assert run_json("resume_operations")["operations"] == []

    done = run_json("resume_operations", "--wait", "10")

    assert [row["step"] for row in done["operations"]] == ["unfence"]


def test_waiting_does_not_wait_for_what_is_due_later(patron):
    lifecycle.delete_organization(patron.pk, by=BY)
    began = timezone.now()

    done = run_json("resume_operations", "--wait", "30")

    assert (done["operations"], done["open"]) == ([], 1)
    assert timezone.now() - began < timedelta(seconds=10)


def test_failed_purge_is_retried_when_asked_for(patron, mongo):
    fail_purge(patron)

    assert run("resume_operations").text == "Nothing was due.\n"
    assert run("resume_operations", "--failed", "--wait", "10").code == 0

    patron.refresh_from_db()
    assert patron.status == OrganizationStatus.PURGED


def test_operation_that_fails_again_ends_the_command_with_1(patron, monkeypatch):
    fail_purge(patron)
    Organization.objects.update(status=OrganizationStatus.SUSPENDED)
    monkeypatch.setattr("tenancy.operations.time.sleep", lambda seconds: None)

    done = run("resume_operations", "--failed", "--wait", "10")

    assert done.code == 1
    assert done.failure.startswith("1 of 1 operations failed")


def test_failed_operation_that_was_undone_is_not_retried(patron, mongo):
    mongo["org_umbrella"].insert_one({"_id": "foreign"})
    assert run("rename_organization", "acme", "Umbrella").code == 1

    assert run("resume_operations", "--failed").text == "Nothing was due.\n"
    patron.refresh_from_db()
    assert patron.slug == "acme"


def fail_purge(organization):
    lifecycle.delete_organization(organization.pk, by=BY)
    ended = {"status": OperationStatus.FAILED, "blocking": False, "ended_at": timezone.now()}
    Operation.objects.filter(kind="purge").update(**ended)


# --- The doctor ---------------------------------------------------------------------------------


def test_check_says_that_nothing_is_wrong(patron):
    done = run("check_tenants")

    assert done.code == 0
    assert done.text.endswith("Checked 1 organization, 1 collection: nothing wrong.\n")
    assert run_json("check_tenants")["findings"] == []


def test_check_ends_with_1_until_it_is_repaired(patron, mongo):
    mongo.create_collection("org_ghost")

    found, repaired, clean = (
        run("check_tenants"), run("check_tenants", "--repair"), run("check_tenants"),
    )  # fmt: skip

    assert (found.code, found.failure) == (1, "One thing is wrong.")
    assert "--repair mends it." in found.text
    assert (repaired.code, "Repaired." in repaired.text) == (0, True)
    assert clean.code == 0


def test_check_reports_what_it_cannot_repair_as_json(patron, mongo):
    mongo["org_ghost"].insert_one({})
    mongo["org_ghoul"].insert_one({})

    done = run("check_tenants", "--repair", "--json")

    assert (done.code, done.failure) == (1, "2 things are wrong.")
    value = json.loads(done.text)
    assert (value["wrong"], value["organizations"], value["collections"]) == (2, 1, 3)
    assert [row["where"] for row in value["findings"]] == ["org_ghost", "org_ghoul"]


def test_check_of_a_cluster_that_is_away_ends_with_1(patron, monkeypatch):
    def away(*_):
        raise ClusterUnavailable

    monkeypatch.setattr(creation.provisioning, "list_physical", away)

    done = run("check_tenants", "--json")

    assert done.code == 1
    assert [row["code"] for row in json.loads(done.text)["findings"]] == ["cluster_unreachable"]


# --- Arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [["rename_organization", "acme", "X\udcff"], ["rename_organization", "\udcff", "X"],
     ["create_organization", "\udcff\udcfe"], ["list_organizations", "--search", "\udcff"],
     ["delete_organization", "acme", "--confirm", "\udcff"],
     ["suspend_organization", "acme", "--reason", "\udcff"],
     ["create_organization", "X", "--owner", "\udcff@example.com"]],
    ids=ascii,
)  # fmt: skip
def test_argument_that_is_not_utf_8_is_refused(patron, arguments):
    done = run(*arguments)

    assert (done.code, done.failure) == (2, reporting.NOT_UTF_8)
    assert Organization.objects.get().name == "Acme"


def test_command_line_that_is_not_utf_8_ends_with_2(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path, mongo_client)

    done = deployment.manage("create_organization", "\udcff\udcfe")
    as_json = deployment.manage("create_organization", "\udcff\udcfe", "--json")

    assert (done.returncode, done.stderr) == (2, f"Failed: {reporting.NOT_UTF_8}\n")
    assert (as_json.returncode, as_json.stderr) == (2, done.stderr)
    assert json.loads(as_json.stdout)["error"]["code"] == "invalid_argument"
