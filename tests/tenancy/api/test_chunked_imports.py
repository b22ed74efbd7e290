"""Imports without a Content-Length: what was broken off is never taken for all of it."""

import gzip
import io
import json
import socket

import pytest

from benchmarks.drill_interruptions import running_server
from tests.conftest import PASSWORD
from tests.http import refused, send
from tests.processes import make_deployment

IMPORT = "/api/v1/collections/main/import"
NDJSON = "application/x-ndjson"
LINES = b'{"_id": 1}\n{"_id": 2}\n'
END = b'{"_export": {"count": 2}}\n'
SIGNUP = {"organization_name": "Acme", "email": "alice@example.com", "password": PASSWORD}

pytestmark = pytest.mark.needs_mongod


def chunked(client, body, query="", **headers):
    """Send a body as granian hands over one without a length."""
    environ = {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}
    environ |= {"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": True}
    named = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return client.generic("POST", IMPORT + query, content_type=NDJSON, **environ, **named)


@pytest.mark.parametrize("query", ["", "?dry_run=1", "?mode=upsert&on_error=skip"])
def test_good_lines_without_an_end_are_an_error_that_says_where_it_stopped(alice, query):
    problem = refused(chunked(alice, LINES, query), 400, "malformed_json")

    assert "broken off" in problem["detail"]
    assert "Content-Length" in problem["hint"]
    report = problem["import"]
    assert (report["lines"], report["inserted"], report["complete"]) == (2, 2, False)


@pytest.mark.parametrize(
    "body", [LINES + END, LINES + END.strip() + b"\n\n \n", LINES + b'{"_export": {}}']
)
def test_the_last_line_may_say_that_it_is_all(alice, stored, body):
    answer = chunked(alice, body)

    assert (answer.status_code, answer.json()["inserted"]) == (200, 2)
    assert answer.json()["complete"] is True
    assert stored.count_documents({}) == 2


def test_an_end_is_only_one_at_the_end_and_counts(alice, stored):
    refused(chunked(alice, LINES + END + b'{"_id": 3}\n'), 400, "malformed_json")
    assert stored.count_documents({}) == 3
    refused(chunked(alice, b'{"_id": 4}\n' + END), 422, "import_stopped")
    assert chunked(alice, b"").status_code == 400


def test_one_gzip_file_has_an_end_of_its_own_and_several_have_not(alice, stored):
    gzipped = {"Content_Encoding": "gzip"}
    packed = gzip.compress(LINES)

    refused(chunked(alice, packed[:-4], **gzipped), 400, "malformed_json")
    assert chunked(alice, packed, "?mode=upsert", **gzipped).status_code == 200
    more = packed + gzip.compress(b'{"_id": 3}\n')
    problem = refused(chunked(alice, more, "?mode=upsert", **gzipped), 400, "malformed_json")
    assert "Content-Length" in problem["detail"]
    sized = send(alice, "POST", f"{IMPORT}?mode=upsert", more, NDJSON, **gzipped)
    assert (sized.status_code, stored.count_documents({})) == (200, 3)


def test_broken_off_and_sent_again_whole_it_is_done_once(alice, stored):
    key = {"Idempotency_Key": "k"}
    refused(chunked(alice, LINES, **key), 400, "malformed_json")

    done, again = (chunked(alice, LINES + b'{"_id": 3}\n{"_export":{}}', **key) for _ in range(2))

    assert (done.status_code, done.json()["inserted"]) == (200, 3)
    assert (again.content, again["Idempotent-Replayed"]) == (done.content, "true")
    assert send(alice, "POST", IMPORT, LINES + b'{"_id": 3}\n', NDJSON, **key).status_code == 200
    assert stored.count_documents({}) == 3


@pytest.mark.xdist_group("service")
def test_over_real_http_a_chunked_upload_that_breaks_off_is_no_success(tmp_path, mongo_client):
    deployment = make_deployment(tmp_path / "import", mongo_client)
    lines = b"b\r\n" + LINES[:11] + b"\r\n"

    with running_server(deployment.environment, tmp_path) as (client, _):
        token = client.post("/api/v1/auth/signup", json=SIGNUP).json()["access_token"]
        place = (client.base_url.host, client.base_url.port)
        broken = upload(place, token, lines)
        within = upload(place, token, lines + b"ff\r\n" + LINES[11:])
        whole = upload(place, token, lines + b'e\r\n{"_export":{}}\r\n0\r\n\r\n')
        both = upload(place, token, lines + b"0\r\n\r\n", b"Content-Length: 16\r\n")

    for status, problem in (broken, within, both):
        assert (status, problem["code"]) == (400, "malformed_json"), problem
        assert problem["import"]["complete"] is False
    assert (whole[0], whole[1]["replaced"]) == (200, 1), whole
    mongo_client.drop_database(deployment.tenants)


def upload(place, token, rest, more=b""):
    """Send a request; stop sending if it has no end. Return the status and the body."""
    head = (
        f"POST {IMPORT}?mode=upsert HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: {NDJSON}\r\nTransfer-Encoding: chunked\r\n"
    )
    with socket.create_connection(place, timeout=20) as connection:
        connection.sendall(head.encode() + more + b"\r\n" + rest)
        if not rest.endswith(b"0\r\n\r\n"):
            connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)
