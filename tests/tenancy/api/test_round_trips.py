"""What was exported and imported elsewhere is exported equal, byte for byte."""

import gzip
import json

import pytest
from django.conf import settings

from tests.http import send
from tests.places import PLACES
from tests.tenancy.api.test_transfer import NDJSON, told

SAMPLES = settings.BASE_DIR.parent / "shared" / "data"
WHOLE = {"collection-name", "shared"}
ONE_IN = 20
# Every type that clients may write, and every spelling that may be bent on the way.
TYPES = rb"""
{"_id": {"$oid": "64b64b64b64b64b64b64b64b"}, "z": 1, "a": {"c": [], "b": {}}}
{"_id": {"$uuid": "0189d4f0-7a4e-7c3c-8d7e-0123456789ab"}, "list": [1, [2, [null, true, false]]]}
{"_id": {"$numberLong": "9007199254740993"}, "long": {"$numberLong": "-9223372036854775808"}}
{"_id": "text", "int": 2147483648, "double": 1.5, "whole": {"$numberDouble": "1.0"}, "zero": -0.0}
{"_id": -1, "nan": {"$numberDouble": "NaN"}, "inf": {"$numberDouble": "-Infinity"}, "null": null}
{"_id": 0, "date": {"$date": "2020-01-31T09:30:00.123Z"}, "old": {"$date": {"$numberLong": "-1"}}}
{"_id": 5, "late": {"$date": {"$numberLong": "253402300800000"}}, "d": {"$numberDecimal": "0.10"}}
{"_id": 6, "bytes": {"$binary": {"base64": "AAEC", "subType": "80"}}, "empty": ""}
{"_id": "\u00e9\u2028\ud83d\ude00", "key \" / ~ \u0001": "line\nfeed \u0000", "1": 1, "0": 0}
{"_id": "deep", "d": {"d": {"d": {"d": {"d": {"d": [[[[[{"e": 1}]]]]]}}}}}}
{"_id": "wide", "text": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}
""".strip()

pytestmark = [pytest.mark.needs_mongod, pytest.mark.everywhere]


def without_meta(body):
    """Return the lines as they are, without what is kept of each document."""
    lines = body.splitlines(keepends=True)
    assert all(line.count(b',"_meta":{') == 1 for line in lines)
    return [line[: line.index(b',"_meta":{')] for line in lines]


def exported(client, collection):
    answer = client.get(f"/api/v1/collections/{collection}/export")
    return b"".join(answer.streaming_content)


def imported(client, collection, body, **headers):
    path = f"/api/v1/collections/{collection}/import"
    return told(send(client, "POST", path, body, NDJSON, **headers))[0]["inserted"]


def test_every_type_comes_back_as_it_was(alice, place):
    count = imported(alice, "first", TYPES)

    first = exported(alice, "first")
    imported(alice, "second", first)

    assert count == len(without_meta(first)) == len(TYPES.splitlines())
    assert without_meta(exported(alice, "second")) == without_meta(first)


def test_the_samples_come_back_as_they_were(alice, place):
    if not SAMPLES.is_dir():
        pytest.skip(f"the sample documents are not there: {SAMPLES}")
    step = 1 if place in [PLACES[name] for name in WHOLE] else ONE_IN
    for file in sorted(SAMPLES.glob("*.ndjson")):
        lines = file.read_bytes().splitlines(keepends=True)[::step]

        assert imported(alice, file.stem, b"".join(lines)) == len(lines)
        first = exported(alice, file.stem)
        packed = gzip.compress(first, 1)
        assert imported(alice, "copy-of-" + file.stem, packed, Content_Encoding="gzip") == len(
            lines
        )

        assert without_meta(exported(alice, "copy-of-" + file.stem)) == without_meta(first)
        ids = {json.dumps(json.loads(line)["_id"]) for line in lines}
        assert {json.dumps(json.loads(line)["_id"]) for line in first.splitlines()} == ids
