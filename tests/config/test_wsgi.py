"""The service as it is served: connections that are kept, and paths as they come in."""

import http.client
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest

from tests.http import document_url
from tests.servers import running_service

pytestmark = [pytest.mark.needs_mongod, pytest.mark.xdist_group("service")]

ROUNDS = 50
JSON = {"Content-Type": "application/json"}
REFUSED = {
    "401": ("PUT", document_url("x"), JSON, 401),
    "404": ("POST", "/nothing", JSON, 404),
    "405": ("POST", "/livez", JSON, 405),
    "415": ("POST", "/api/v1/auth/login", {"Content-Type": "text/plain"}, 415),
}


EMPTY_SETTINGS = b"\0\0\0\x04\0\0\0\0\0"  # a frame of RFC 9113


@pytest.fixture(scope="module")
def service(tmp_path_factory, mongo_client):
    with running_service(tmp_path_factory.mktemp("wire"), mongo_client) as running:
        yield running


@pytest.fixture
def connection(service):
    """One connection to the service, that is not opened again when the service closes it."""
    made = http.client.HTTPConnection(urlsplit(service.urls[0]).netloc, timeout=10)
    made.connect()
    made.auto_open = 0
    yield made
    made.close()


@pytest.mark.parametrize("kibibytes", [20, 900])
@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_connection_stays_open_after_a_body_that_nobody_read(connection, refused, kibibytes):
    method, path, headers, status = refused
    half = b"x" * 512 * kibibytes

    connection.request(method, path, headers=headers | {"Content-Length": str(2 * len(half))})
    connection.send(half)
    time.sleep(0.02)  # the rest is on its way for longer than the refusal takes
    connection.send(half)
    answer = connection.getresponse()
    answer.read()
    connection.request("GET", "/livez")

    assert answer.status == status
    assert connection.getresponse().status == 200


def test_http_2_is_not_spoken(service):
    """The server would wait for ever for the rest of a body whose stream was cancelled."""
    place = urlsplit(service.urls[0])
    with socket.create_connection((place.hostname, place.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + EMPTY_SETTINGS)
        answer = connection.recv(1000)

    assert answer == b"" or answer.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_pooled_client_sees_nothing_of_refusals(service, refused):
    method, path, headers, status = refused

    with service.client() as client:
        for _ in range(ROUNDS):
            answer = client.request(method, path, content=b"x" * 20_000, headers=headers)
            assert answer.status_code == status
            assert client.get("/livez").status_code == 200


def test_ids_in_paths_are_utf_8(service):
    with service.client(token=service.token("Acme")) as client:
        for name in ("日本", "ü", "a b", "%FF", "é/\n"):
            assert client.put(document_url(name), json={"a": 1}).status_code == 201
            assert client.get(document_url(name)).json()["_id"] == name
        for raw in ("%ff%fe", "a%ff", "%c3", "%ed%a0%80"):
            url = httpx.URL(document_url("") + raw)
            for method in ("GET", "PUT", "PATCH", "DELETE"):
                answer = client.request(method, url, content=b"{}", headers=JSON)
                assert (answer.status_code, answer.json()["code"]) == (400, "invalid_id")


@pytest.mark.parametrize(("kibibytes", "status"), [(63, 422), (65, 414), (900, 431)])
def test_long_addresses_are_refused_as_the_document_says(service, kibibytes, status):
    export = "/api/v1/collections/main/export"
    token = service.token(f"Long {kibibytes}")
    said = service.call(0, "GET", "/api/v1/openapi.json").json()["paths"]
    connection = http.client.HTTPConnection(urlsplit(service.urls[0]).netloc, timeout=10)

    address = f"{export}?unknown={'x' * 1024 * kibibytes}"
    connection.request("GET", address, headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse()
    connection.close()

    described = said[export.replace("main", "{collection}")]["get"]["responses"][str(status)]
    assert answer.status == status
    assert ("content" in described) == (answer.headers["Content-Length"] != "0")
