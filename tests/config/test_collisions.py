"""Two transactions that cannot both have their way: one is repeated by its client, not mourned."""

import json
from types import SimpleNamespace

import pytest
from django.db import OperationalError
from rest_framework.test import APIRequestFactory

from config.problems import describe

REQUEST = APIRequestFactory().get("/somewhere")


@pytest.mark.parametrize(
    ("cause", "text"),
    [(SimpleNamespace(sqlstate="40P01"), "deadlock detected"),
     (SimpleNamespace(sqlstate="40001"), "could not serialize"), (None, "database is locked")],
)  # fmt: skip
def test_transaction_that_gave_way_is_to_be_repeated(cause, text):
    error = OperationalError(text)
    if cause is not None:
        error.__cause__ = type("Cause", (Exception,), vars(cause))()

    body = describe(error, REQUEST)

    assert (body["status"], body["code"], body["retryable"]) == (503, "tenant_busy", True)
    assert "Nothing was done" in body["detail"]
    assert text not in json.dumps(body)


def test_other_failures_of_the_catalog_are_ours():
    assert describe(OperationalError("no space left"), REQUEST)["code"] == "internal"
