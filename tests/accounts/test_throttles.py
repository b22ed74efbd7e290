"""How limits are written, whom an address stands for, and what the system checks say."""

import uuid

import pytest
from django.core.checks import run_checks

from accounts import throttles
from accounts.checks import check_limits, check_limits_are_on, check_redis_url
from accounts.exceptions import RateLimited
from accounts.throttles import network_of, parse_limit

HOSTILE = ["", "ten", "10", "10/lightyear", "0/minute", "-1/minute", "5/minute; 9/hour", "1/0"]


@pytest.fixture
def limited(settings):
    settings.RATE_LIMITS = True


@pytest.mark.parametrize(
    ("text", "amount", "seconds"),
    [
        ("60/minute", 60, 60),
        ("10/15 minutes", 10, 900),
        ("3 per hour", 3, 3_600),
        ("1/second", 1, 1),
        ("5/DAY", 5, 86_400),
    ],
)
def test_limits_are_written_as_the_library_has_them(text, amount, seconds):
    limit = parse_limit(text)

    assert (limit.amount, limit.get_expiry()) == (amount, seconds)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_is_not_one_limit_is_refused_and_named(settings, text):
    settings.LIMIT_SIGNUP_ADDRESS = text

    with pytest.raises(ValueError):
        parse_limit(text)
    (error,) = check_limits(None)
    assert error.id == "accounts.E001"
    assert "LIMIT_SIGNUP_ADDRESS" in error.msg


def test_every_limit_of_the_settings_is_checked(settings):
    from config import settings as defaults

    assert {name for name in vars(defaults) if name.startswith("LIMIT_")} == set(throttles.LIMITS)
    assert check_limits(None) == []


@pytest.mark.parametrize("url", ["", "redis://h:6379/0", "rediss://u:p@h", "unix:///run/redis"])
def test_urls_of_redis_are_good(settings, url):
    settings.REDIS_URL = url

    assert check_redis_url(None) == []


@pytest.mark.parametrize("url", ["localhost:6379", "http://u:hunter2@h", "redis://h:port"])
def test_other_urls_are_refused_and_not_repeated(settings, url):
    settings.REDIS_URL = url

    (error,) = check_redis_url(None)

    assert error.id == "accounts.E002"
    assert url not in error.msg


@pytest.mark.parametrize(
    ("production", "on", "ids"),
    [(True, False, ["accounts.W001"]), (True, True, []), (False, False, [])],
)
def test_production_without_limits_is_warned_of(settings, production, on, ids):
    settings.TENANTRY_PRODUCTION, settings.RATE_LIMITS = production, on

    assert [warning.id for warning in check_limits_are_on(None)] == ids


def test_the_checks_are_among_those_that_are_run(settings):
    settings.LIMIT_LOGIN_PAIR = "often"

    assert "accounts.E001" in {message.id for message in run_checks()}


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::1", "::/64"),
        (None, ""),
    ],
)
def test_an_address_stands_for_a_customer(address, network):
    assert network_of(address) == network


@pytest.mark.parametrize("email", ["a@example.com\x00", "\ud800", "x" * 100_000, ""])
def test_any_text_can_be_counted(limited, db, email):
    for _ in range(3):
        throttles.count_login(email, None)


def test_codes_of_one_user_are_counted_and_forgotten(limited, settings):
    settings.LIMIT_TWO_FACTOR_ACCOUNT = "2/15 minutes"
    one, another = uuid.uuid4(), uuid.uuid4()
    throttles.count_code(one)
    throttles.count_code(one)

    with pytest.raises(RateLimited) as refused:
        throttles.count_code(one)

    assert 890 < refused.value.retry_after <= 900
    throttles.count_code(another)
    throttles.forget_codes(one)
    throttles.count_code(one)
