"""What the middleware leaves behind: no unread body, and no trace of a client that went away."""

import pytest
from django.http import HttpResponse
from django.test import RequestFactory

from tenancy.middleware import DRAIN_MAX_BYTES, TenantMiddleware, client_address


class Stream:
    """A body of some length that counts what is read of it, or fails."""

    def __init__(self, length, error=None):
        self.left, self.read_bytes, self.error = length, 0, error

    def read(self, size=-1):
        if self.error is not None:
            raise self.error
        count = min(size, self.left)
        self.left -= count
        self.read_bytes += count
        return b"x" * count


def answer_with(stream, length):
    request = RequestFactory().post("/")
    request.META["CONTENT_LENGTH"] = length
    request._stream = stream
    return TenantMiddleware(lambda _: HttpResponse("done"))(request)


def test_no_more_than_a_bound_is_read_of_a_body_that_nobody_wants():
    stream = Stream(10 * DRAIN_MAX_BYTES)

    assert answer_with(stream, str(stream.left)).content == b"done"
    assert stream.read_bytes == DRAIN_MAX_BYTES


@pytest.mark.parametrize("length", ["", "0", None])
def test_nothing_is_read_where_there_is_no_body(length):
    assert answer_with(Stream(5, error=AssertionError()), length).content == b"done"


@pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), ValueError("closed")])
def test_client_that_went_away_spoils_no_answer(error):
    assert answer_with(Stream(5, error=error), "5").content == b"done"


@pytest.mark.parametrize(
    ("remote", "known"),
    [
        ("203.0.113.7", "203.0.113.7"), ("fe80::1%eth0", "fe80::1"), ("2001:DB8::1", "2001:db8::1"),
        ("", None), ("unix:", None), ("%", None),
    ],
)  # fmt: skip
def test_address_of_a_client_is_one_that_every_catalog_keeps(remote, known):
    assert client_address(RequestFactory().get("/", REMOTE_ADDR=remote)) == known


@pytest.mark.parametrize(
    ("forwarded", "known"),
    [
        ("1.2.3.4:55123", "1.2.3.4"), ("[2001:db8::1]:443", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"), ("6.6.6.6, 1.2.3.4:1", "1.2.3.4"),
        ("[fe80::1%eth0]:1", "fe80::1"), ("2001:db8::1", "2001:db8::1"),
        ("unknown", "10.0.0.1"), ("6.6.6.6, _hidden", "10.0.0.1"), ("[", "10.0.0.1"),
        ("1.2.3.4,", "10.0.0.1"), (":", "10.0.0.1"), ("1.2.3.4.5:6", "10.0.0.1"),
    ],
)  # fmt: skip
def test_address_is_read_however_a_proxy_writes_it(settings, forwarded, known):
    settings.TENANTRY_BEHIND_PROXY = True
    request = RequestFactory().get("/", REMOTE_ADDR="10.0.0.1", HTTP_X_FORWARDED_FOR=forwarded)

    assert client_address(request) == known
