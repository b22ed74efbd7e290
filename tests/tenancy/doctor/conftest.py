"""The doctor of these tests looks twice at once, and protocols are short."""

import pytest

from tenancy.doctor import examination


@pytest.fixture(autouse=True)
def impatient_doctor(monkeypatch, quick):
    """The second look follows the first at once."""
    monkeypatch.setattr(examination, "SECOND_LOOK_SECONDS", 0.0)
