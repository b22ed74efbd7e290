"""What the middleware knows of a client: its address, however it is written."""

import pytest
from django.test import RequestFactory

from tenancy.middleware import client_address


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
