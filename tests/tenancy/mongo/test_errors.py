"""Every error of the driver means something here, and none of its text comes along."""

import inspect

import bson.errors
import pymongo.errors
import pytest
from bson.errors import BSONError
from pymongo.errors import (
    BulkWriteError,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    WriteError,
)

from tenancy.exceptions import (
    AlreadyExists,
    ClusterUnavailable,
    Defect,
    InvalidDocument,
    OutcomeUnknown,
    PayloadTooLarge,
    QueryTimeout,
    StalePlacement,
    TenancyError,
)
from tenancy.mongo.errors import driver_errors, duplicate_fields, translate

SECRET = "E11000 { email: 'secret@example.com' } at 10.0.0.7:27017"

# class: what it means when writing, and when reading
MEANING = {
    # the connection
    "ConnectionFailure": (OutcomeUnknown, ClusterUnavailable),
    "AutoReconnect": (OutcomeUnknown, ClusterUnavailable),
    "NetworkTimeout": (OutcomeUnknown, ClusterUnavailable),
    "NotPrimaryError": (OutcomeUnknown, ClusterUnavailable),
    "_OperationCancelled": (OutcomeUnknown, ClusterUnavailable),
    # the driver raises it for a retry, too: then the first try may have been carried out
    "WaitQueueTimeoutError": (OutcomeUnknown, ClusterUnavailable),
    # the driver never raises it for a retry
    "ServerSelectionTimeoutError": (ClusterUnavailable, ClusterUnavailable),
    # an answer of the server
    "DuplicateKeyError": (AlreadyExists, AlreadyExists),
    "ExecutionTimeout": (OutcomeUnknown, QueryTimeout),
    "WriteConcernError": (OutcomeUnknown, OutcomeUnknown),
    "WTimeoutError": (OutcomeUnknown, OutcomeUnknown),
    "CursorNotFound": (StalePlacement, StalePlacement),
    # what cannot be BSON
    "DocumentTooLarge": (PayloadTooLarge, PayloadTooLarge),
    "InvalidDocument": (InvalidDocument, InvalidDocument),
    "BSONError": (InvalidDocument, InvalidDocument),
    "InvalidBSON": (OutcomeUnknown, InvalidDocument),
    "InvalidStringData": (InvalidDocument, InvalidDocument),
    "InvalidId": (InvalidDocument, InvalidDocument),
    # ours to mend: a wrong call, a wrong setting, a code without a meaning of its own
    **dict.fromkeys(
        (
            "PyMongoError", "ProtocolError", "ConfigurationError", "InvalidURI", "InvalidOperation",
            "InvalidName", "CollectionInvalid", "OperationFailure", "WriteError", "BulkWriteError",
            "ClientBulkWriteException", "EncryptionError", "EncryptedCollectionError",
        ),
        (Defect, Defect),
    ),
}  # fmt: skip

UNUSUAL = {
    "BulkWriteError": lambda cls: cls({"writeErrors": [{"code": 1, "errmsg": SECRET}]}),
    "ClientBulkWriteException": lambda cls: cls({"error": PyMongoError(SECRET)}, verbose=False),
    "EncryptionError": lambda cls: cls(ValueError(SECRET)),
    "EncryptedCollectionError": lambda cls: cls(ValueError(SECRET), {}),
    "CursorNotFound": lambda cls: cls(SECRET, 43, {"errmsg": SECRET}),
    "ExecutionTimeout": lambda cls: cls(SECRET, 50, {"errmsg": SECRET}),
}

CLASSES = {
    name: cls
    for module in (pymongo.errors, bson.errors)
    for name, cls in vars(module).items()
    if inspect.isclass(cls) and issubclass(cls, PyMongoError | BSONError)
}


def make(cls):
    return UNUSUAL.get(cls.__name__, lambda cls: cls(SECRET))(cls)


def texts(error):
    return f"{error} {error.detail} {error.errors} {error.hint} {error.extra} {error.args}"


def test_the_table_has_every_error_class_of_the_driver():
    assert MEANING.keys() == CLASSES.keys()


@pytest.mark.parametrize("writing", [True, False], ids=["writing", "reading"])
@pytest.mark.parametrize("name", MEANING)
def test_each_error_class_has_its_meaning_and_keeps_its_text(name, writing):
    error = translate(make(CLASSES[name]), writing=writing)

    assert type(error) is MEANING[name][not writing]
    for word in ("secret", "E11000", "10.0.0.7", "example.com"):
        assert word not in texts(error)


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("code", [166, 168, 175, 43])
@pytest.mark.parametrize("cls", [OperationFailure, WriteError])
def test_codes_of_a_place_left_behind_are_a_stale_placement(cls, code, writing):
    assert type(translate(cls(SECRET, code), writing=writing)) is StalePlacement


def test_a_deadline_makes_a_write_unknown_and_a_read_slow():
    for error in (OperationFailure(SECRET, 50), ExecutionTimeout(SECRET, 50)):
        assert type(translate(error, writing=True)) is OutcomeUnknown
        assert type(translate(error, writing=False)) is QueryTimeout


@pytest.mark.parametrize("label", ["RetryableWriteError"])
def test_a_failure_the_driver_would_repeat_leaves_a_write_unknown(label):
    error = OperationFailure(SECRET, 11600, {"errorLabels": [label]})

    assert type(translate(error, writing=True)) is OutcomeUnknown
    assert type(translate(error, writing=False)) is ClusterUnavailable


def test_no_timeout_of_a_write_says_that_nothing_was_written():
    timeouts = [make(cls) for name, cls in CLASSES.items() if name != "ServerSelectionTimeoutError"]

    for error in timeouts:
        if getattr(error, "timeout", False):
            assert type(translate(error, writing=True)) is OutcomeUnknown, error


def test_a_batch_that_was_not_confirmed_in_time_is_unknown():
    late = {"code": 64, "errmsg": SECRET, "errInfo": {"wtimeout": True}}
    error = BulkWriteError({"writeErrors": [], "writeConcernErrors": [late]})

    assert type(translate(error, writing=True)) is OutcomeUnknown


def test_a_document_too_large_for_the_server_is_too_large():
    assert type(translate(WriteError(SECRET, 10334), writing=True)) is PayloadTooLarge


@pytest.mark.parametrize(
    ("pattern", "fields"),
    [({"_id": 1}, ["_id"]), ({"email": 1}, ["email"]), ({"b": 1, "a.c": -1}, ["b", "a.c"])],
)
def test_a_duplicate_names_the_fields_of_its_index(pattern, fields):
    details = {"keyPattern": pattern, "keyValue": dict.fromkeys(pattern, "secret")}
    driver_error = DuplicateKeyError(SECRET, 11000, details)

    error = translate(driver_error, writing=True)

    assert duplicate_fields(driver_error) == fields
    assert [each.code for each in error.errors] == ["already_exists"] * len(fields)
    assert all(name in error.detail for name in fields)
    assert "secret" not in texts(error)


def test_a_duplicate_without_a_pattern_is_one_of_the_id():
    for details in (None, {}, {"keyPattern": None}):
        assert duplicate_fields(DuplicateKeyError(SECRET, 11000, details)) == ["_id"]


def test_an_error_nobody_knows_is_ours_to_mend():
    assert type(translate(RuntimeError(SECRET), writing=True)) is Defect


@pytest.mark.parametrize(
    "original", [NetworkTimeout(SECRET), BSONError(SECRET), OverflowError(SECRET)], ids=repr
)
def test_the_original_stays_the_cause_for_the_log(original):
    with pytest.raises(TenancyError) as caught, driver_errors(writing=True):
        raise original

    assert caught.value.__cause__ is original


@pytest.mark.parametrize("foreign", [KeyError("x"), StalePlacement(), KeyboardInterrupt()])
def test_what_the_driver_did_not_raise_passes(foreign):
    with pytest.raises(type(foreign)) as caught, driver_errors(writing=False):
        raise foreign

    assert caught.value is foreign
