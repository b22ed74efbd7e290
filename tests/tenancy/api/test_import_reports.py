"""What the report of an import says, and what a repeat may ask for."""

import pytest

from tests.http import refused, send

IMPORT = "/api/v1/collections/main/import"
NDJSON = "application/x-ndjson"
THREE = b'{"_id": 1, "n": 1}\n{"_id": 2, "n": "x"}\n{"_id": 3}\n'

pytestmark = pytest.mark.needs_mongod


def put_in(client, query="", body=THREE, **headers):
    return send(client, "POST", f"{IMPORT}{query}", body, NDJSON, **headers)


@pytest.mark.once
def test_documents_that_a_schema_warns_of_are_counted_over_all_attempts(alice):
    schema = {"properties": {"n": {"type": "integer"}}, "required": ["n"]}
    sent = send(
        alice, "PUT", "/api/v1/collections/main/schema", {"mode": "warn", "json_schema": schema}
    )
    assert sent.status_code == 200

    foretold = put_in(alice, "?dry_run=1")
    stopped = put_in(alice, body=THREE + b"{}\nno\n", Idempotency_Key="k")
    done, again = (put_in(alice, body=THREE + b"{}\n", Idempotency_Key="k") for _ in range(2))

    assert (foretold.json()["warned"], foretold["Schema-Violations"]) == (2, "2")
    assert refused(stopped, 422, "import_stopped")["import"]["warned"] == 3
    for answer in (done, again):
        assert (answer.json()["warned"], answer["Schema-Violations"]) == (3, "3")
    clean = put_in(alice, body=b'{"n": 1}\n')
    assert (clean.json()["warned"], "Schema-Violations" in clean) == (0, False)


def test_a_report_says_whether_anything_was_stored(alice):
    assert [put_in(alice, query).json()["dry_run"] for query in ("?dry_run=true", "")] == [
        True, False,
    ]  # fmt: skip


def test_after_a_stop_a_repeat_may_leave_the_line_out(alice):
    lines = b'{"_id": 1}\nno\n{"_id": 2}\n'
    refused(put_in(alice, body=lines, Idempotency_Key="k"), 422, "import_stopped")

    done = put_in(alice, "?on_error=skip", lines, Idempotency_Key="k")

    assert (done.status_code, done.json()["inserted"], done.json()["failed"]) == (207, 2, 1)
    refused(
        put_in(alice, "?mode=upsert", lines, Idempotency_Key="k"), 422, "idempotency_key_reused"
    )
