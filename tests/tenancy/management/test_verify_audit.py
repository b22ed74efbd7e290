"""verify_audit: a line for each chain; exit 1, and the first broken event, if one is not whole."""

import json
import uuid

import pytest
from django.core.management import CommandError, call_command

from tenancy import lifecycle
from tenancy.audit import hash_of, record_event
from tenancy.models import AuditChain, AuditEvent
from tests.conftest import ACTOR

ROWS = AuditEvent._base_manager


@pytest.fixture
def chains(acme, globex):
    """Two organizations and the service, with some events each."""
    for organization in (acme.organization, globex.organization, None):
        for _ in range(3):
            record_event(organization, "thing.done", by=ACTOR)
    return acme, globex


def verify(capsys, *arguments, as_json=False):
    """Return the exit code and what was printed."""
    code = 0
    try:
        call_command("verify_audit", *arguments, as_json=as_json)
    except CommandError as error:
        code = error.returncode
    printed = capsys.readouterr().out
    return code, json.loads(printed) if as_json else printed


def tamper(cast, sequence=2, **values):
    values = values or {"actor": "user:z"}
    assert ROWS.filter(chain=str(cast.id), sequence=sequence).update(**values)
    return ROWS.get(chain=str(cast.id), sequence=sequence)


def test_every_chain_has_a_line_with_its_head(chains, capsys):
    code, text = verify(capsys)

    assert code == 0
    for key in (str(chains[0].id), str(chains[1].id), "service"):
        head = AuditChain.objects.get(key=key).head
        assert [line for line in text.splitlines() if key in line and head in line]
    assert "acme (" in text


def test_the_broken_one_comes_first_and_is_named(chains, capsys):
    row = tamper(chains[1])

    code, text = verify(capsys)

    assert code == 1
    assert text.splitlines()[0].startswith(
        f"globex ({chains[1].id}): CHANGED at sequence 2, id {row.pk}."
    )
    assert len(text.splitlines()) == 3


def test_programs_get_json(chains, capsys):
    row = tamper(chains[1])

    code, found = verify(capsys, as_json=True)

    assert (code, found["broken"], len(found["chains"])) == (1, 1, 3)
    [chain] = [each for each in found["chains"] if not each["verified"]]
    assert (chain["organization"], chain["chain"]) == ("globex", str(chains[1].id))
    assert (chain["broken"]["flaw"], chain["broken"]["sequence"]) == ("changed", 2)
    assert chain["broken"]["id"] == row.pk


def test_one_chain_may_be_named_by_slug_or_id(chains, capsys):
    tamper(chains[1])

    assert verify(capsys, "acme")[0] == 0
    assert verify(capsys, str(chains[0].id))[0] == 0
    assert verify(capsys, "--service")[0] == 0
    assert verify(capsys, "globex")[0] == 1
    assert verify(capsys, "acme", "--service", as_json=True)[1]["chains"][1]["chain"] == "service"


def test_a_purged_organization_is_found_by_its_id(chains, capsys, quick):
    acme = chains[0]
    lifecycle.delete_organization(acme.id, by=ACTOR, purge=True)

    code, text = verify(capsys, str(acme.id))

    assert (code, str(acme.id) in text) == (0, True)


@pytest.mark.parametrize("name", ["nobody", str(uuid.UUID(int=1)), "a" * 300])
def test_an_unknown_organization_is_said(chains, capsys, name):
    assert verify(capsys, name)[0] == 1


def rewrite(cast):
    """Forge the whole chain and its head."""
    head = ""
    for event in ROWS.filter(chain=str(cast.id)).order_by("sequence"):
        event.actor = "user:z"
        event.hash = head = hash_of(event, head)
        ROWS.filter(pk=event.pk).update(actor=event.actor, hash=head)
    AuditChain.objects.filter(key=str(cast.id)).update(head=head)


def test_a_kept_head_finds_a_rewritten_chain(chains, capsys):
    kept = AuditChain.objects.get(key=str(chains[1].id)).head
    record_event(chains[1].organization, "thing.done", by=ACTOR)
    assert verify(capsys, f"--expect=globex={kept}")[0] == 0

    rewrite(chains[1])

    assert verify(capsys)[0] == 0
    code, text = verify(capsys, f"--expect=globex={kept}")
    assert (code, "globex" in text.splitlines()[0]) == (1, True)
    assert "REWRITTEN" in text


def test_an_earlier_output_is_what_to_expect(chains, capsys, tmp_path):
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(verify(capsys, as_json=True)[1]))
    assert verify(capsys, f"--expect={kept}")[0] == 0

    ROWS.filter(chain=str(chains[0].id)).delete()
    AuditChain.objects.filter(key=str(chains[0].id)).delete()

    code, text = verify(capsys, f"--expect={kept}")
    assert (code, str(chains[0].id) in text.splitlines()[0]) == (1, True)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"chains": [{}]}', '{"chains": 5}'])
def test_a_file_that_is_no_earlier_output_is_refused(chains, capsys, tmp_path, content):
    path = tmp_path / "kept.json"
    path.write_text(content)

    assert verify(capsys, f"--expect={path}")[0] == 1
    assert verify(capsys, f"--expect={tmp_path}/absent")[0] == 1
    assert verify(capsys, "--expect=nobody=00")[0] == 1


@pytest.mark.django_db
def test_without_events_there_is_nothing_to_verify(capsys):
    assert verify(capsys) == (0, "There are no events yet.\n")
