"""`check_tenants`: readable with a thousand findings, whole with --json."""

import json
from io import StringIO
from types import SimpleNamespace

import pytest
from bson import Binary
from django.core.management import CommandError, call_command

from tenancy.doctor import Finding, group_findings

pytestmark = pytest.mark.needs_mongod


def run(*arguments):
    """Return the text, the sentence on failure, and the exit code."""
    out = StringIO()
    try:
        call_command("check_tenants", *arguments, stdout=out)
    except CommandError as error:
        return SimpleNamespace(text=out.getvalue(), failure=str(error), code=error.returncode)
    return SimpleNamespace(text=out.getvalue(), failure="", code=0)


def test_a_thousand_findings_fit_on_a_page(acme, mongo):
    owners = [Binary(number.to_bytes(16, "big"), 4) for number in range(1, 1_001)]
    mongo["shared"].insert_many([{"_id": {"o": each, "c": "main", "k": 1}} for each in owners])

    done = run("--repair")

    assert (done.code, done.failure) == (1, "1000 things are wrong.")
    findings = done.text.partition("orphan_documents (1000)")[2].partition("cannot mend it.")[0]
    assert 20 < len(findings.splitlines()) < 30
    assert "orphan_documents (1000): It belongs to no organization" in done.text
    assert "... and 980 more: --json lists all." in done.text
    assert done.text.endswith("1000 findings, 0 repaired.\n")


def test_json_has_every_finding_and_every_warning(acme, mongo):
    for number in range(60):
        mongo[f"org_ghost_{number}"].insert_one({})
    mongo["org_acme"].create_index("n")

    value = json.loads(run("--json").text)

    assert (value["wrong"], len(value["findings"]), value["clusters"]) == (60, 60, 1)
    assert "undeclared_index" in {each["code"] for each in value["warnings"]}


def test_a_warning_is_no_failure_and_a_repair_mends_it(acme, mongo):
    mongo["org_acme"].create_index("n")

    found, repaired = run(), run("--repair")

    assert (found.code, repaired.code) == (0, 0)
    assert "warning: undeclared_index: The catalog does not know it" in found.text
    assert "--repair mends it." in found.text
    assert "Repaired." in repaired.text
    assert "undeclared_index" not in run().text


def test_one_organization_or_cluster_may_be_named(acme, globex, mongo):
    for slug in ("acme", "globex"):
        mongo[f"org_{slug}.notes"].insert_one({})

    mine = run("--organization", "acme")
    here = run("--cluster", "default")

    assert ("org_acme.notes" in mine.text, "org_globex.notes" in mine.text) == (True, False)
    assert here.failure == "2 things are wrong."


@pytest.mark.parametrize("arguments", [("--organization", "nobody"), ("--cluster", "nowhere")])
def test_what_is_not_known_is_a_sentence(acme, arguments):
    done = run(*arguments)

    assert (done.code, arguments[1] in done.failure) == (1, True)


def test_groups_are_of_what_is_said_alike():
    told = [Finding("a", None, "Same.", f"{number}", repairable=number > 2) for number in range(5)]

    groups = group_findings(told, examples=2)

    assert [(each.outcome, each.count, each.examples) for each in groups] == [
        ("--repair cannot mend it.", 3, ["0", "1"]), ("--repair mends it.", 2, ["3", "4"]),
    ]  # fmt: skip
