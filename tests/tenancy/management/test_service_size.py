"""What `serve` says of its size."""

import os

import pytest

from tenancy.management.service_size import size_of_service


@pytest.fixture(autouse=True)
def _four_cores(settings, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    settings.TENANTRY_THREADS, settings.TENANTRY_QUEUE, settings.ACCOUNTS_HASHERS = 8, 128, 4
    settings.TENANTRY_PROCESSES, settings.RATE_LIMITS, settings.REDIS_URL = 1, True, ""


def test_processes_line_and_pools_are_named():
    said = size_of_service()

    assert "1 process x 8 threads, 128 waiting in each; argon2: 4 at once" in said
    assert "at most 24 connections to each cluster, 20 to the catalog" in said


def test_idle_cores_and_what_would_use_them_are_named():
    assert "set REDIS_URL, or TENANTRY_PROCESSES" in size_of_service()


def test_several_processes_that_count_for_themselves_are_named(settings):
    settings.TENANTRY_PROCESSES = 3

    assert "3 processes" in size_of_service()
    assert "up to 3 times as much" in size_of_service()


@pytest.mark.parametrize(("limits", "redis"), [(False, ""), (True, "redis://127.0.0.1/0")])
def test_nothing_is_said_of_limits_that_are_off_or_shared(settings, limits, redis):
    settings.RATE_LIMITS, settings.REDIS_URL, settings.TENANTRY_PROCESSES = limits, redis, 3

    assert "Limits" not in size_of_service()
