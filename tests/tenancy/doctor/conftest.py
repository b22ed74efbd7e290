"""The doctor of these tests looks twice at once, and protocols are short."""

import pytest

from tenancy.doctor import examination


@pytest.fixture(autouse=True)
def impatient_doctor(monkeypatch, quick):
    """The second look follows the first at once."""
    monkeypatch.setattr(examination, "SECOND_LOOK_SECONDS", 0.0)


@pytest.fixture
def patient(impatient_doctor, settings):
    """Let a repair take as long as in service: many tests make and drop at the same two servers."""
    settings.TENANCY_OPERATION_TIMEOUT = 5.0
