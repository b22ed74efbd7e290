"""Real documents go in through the API and come out equal, types included."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from bson import json_util
from bson.codec_options import DatetimeConversion
from bson.json_util import JSONMode, JSONOptions
from django.conf import settings

from tenancy.mongo.extended_json import CODEC_OPTIONS
from tests.http import document_url, send
from tests.places import PLACES

SAMPLES = settings.BASE_DIR.parent / "shared" / "data"
FILES = {"accounts": 1_746, "customers": 500, "restaurants": 2_548, "theaters": 1_564}
THREADS = 4  # writes wait for the journal of mongod: let some wait at once
MAX_SECONDS = 30  # of work of this process: how busy the machine is says nothing
# The default place gets every sample, any other one of each shape, and one in so many. These are
# sent one by one, the others together.
WHOLE = "collection-name"
ONE_IN = 40
TOGETHER = 100

# The standard's own reader, so that ours is judged by another's understanding.
AS_BSON = JSONOptions(
    json_mode=JSONMode.CANONICAL, datetime_conversion=DatetimeConversion.DATETIME_MS
)
IN_MILLISECONDS = CODEC_OPTIONS.with_options(datetime_conversion=DatetimeConversion.DATETIME_MS)

pytestmark = [
    pytest.mark.everywhere,
    pytest.mark.skipif(
        not SAMPLES.is_dir(), reason=f"the sample documents are not there: {SAMPLES}"
    ),
]


def read_bson(text):
    return json_util.loads(text, json_options=AS_BSON)


def spelled(value):
    """Return a value with the type of everything in it; of integers, whatever their width, `int`.

    A document becomes a list of pairs: the order of keys counts.
    """
    if isinstance(value, dict):
        return [(key, spelled(item)) for key, item in value.items()]
    if isinstance(value, list):
        return ["list", *[spelled(item) for item in value]]
    if isinstance(value, int) and not isinstance(value, bool):
        return ("int", int(value))
    return (type(value).__name__, value)


def fields_of(document):
    """Return a document's own fields, spelled; MongoDB always puts the `_id` first."""
    own = {key: value for key, value in document.items() if key != "_meta"}
    return spelled({"_id": own["_id"], **own})


def shape_of(value):
    """Return the keys and types of a value, without what it says and how often a list repeats."""
    if isinstance(value, dict):
        return tuple((key, shape_of(item)) for key, item in value.items())
    if isinstance(value, list):
        return ("list", frozenset(shape_of(item) for item in value))
    return type(value).__name__


def representatives(lines):
    """Return the first line of each shape, and one in so many of all, as they stand in the file."""
    first = {}
    for line in lines:
        first.setdefault(shape_of(read_bson(line)), line)
    chosen = {*first.values(), *lines[::ONE_IN]}
    return [line for line in lines if line in chosen]


def by_id(documents):
    return {str(document["_id"]): fields_of(document) for document in documents}


def store(client, collection, lines):
    """Send each line as it is: the even ones by POST, the odd ones by PUT under their id."""

    def send_line(numbered):
        number, line = numbered
        if number % 2:
            path = document_url(str(read_bson(line)["_id"]), collection)
            return send(client, "PUT", path, line).status_code
        path = f"/api/v1/collections/{collection}/documents"
        return send(client, "POST", path, line).status_code

    with ThreadPoolExecutor(THREADS) as pool:
        return set(pool.map(send_line, enumerate(lines)))


def store_together(client, collection, lines):
    """Send lines as they are, many in one request."""
    codes = set()
    for start in range(0, len(lines), TOGETHER):
        inserts = [b'{"op": "insert", "document": %s}' % line for line in lines[start:][:TOGETHER]]
        body = b'{"operations": [%s]}' % b", ".join(inserts)
        answer = send(client, "POST", f"/api/v1/collections/{collection}/bulk", body)
        codes.add(answer.status_code)
        assert answer.json()["counts"]["created"] == len(inserts), answer.content
    return codes


def read_all(client, collection):
    """Return what the API gives, page by page, read by the standard's reader."""
    path = f"/api/v1/collections/{collection}/documents"
    query, documents = {"limit": 1000}, []
    while True:
        page = read_bson(client.get(path, query).content)
        documents += page["data"]
        if page["page"]["next"] is None:
            return documents
        query["cursor"] = page["page"]["next"]


@pytest.fixture
def samples(place):
    """Return the lines of a file that are tried at this place."""

    def read(collection):
        lines = (SAMPLES / f"{collection}.ndjson").read_bytes().splitlines()
        return lines if place == PLACES[WHOLE] else representatives(lines)

    return read


@pytest.fixture
def steady(settings, alice):
    """alice in a process whose caches do not run out: threads need no catalog then."""
    settings.TENANCY_CATALOG_TTL = settings.ACCOUNTS_ROW_TTL = 600
    return alice


def test_the_samples_are_those_that_are_expected():
    found = {path.stem: len(path.read_bytes().splitlines()) for path in SAMPLES.glob("*.ndjson")}

    assert found == FILES


@pytest.mark.parametrize("collection", FILES)
def test_samples_come_out_as_they_went_in(steady, acme, behind, samples, collection):
    lines = samples(collection)
    alone = representatives(lines)
    others = sorted({*lines} - {*alone})
    sent = by_id(read_bson(line) for line in lines)
    send(steady, "POST", "/api/v1/collections", {"name": collection})
    steady.get(f"/api/v1/collections/{collection}/documents")
    begun = time.process_time()

    assert store(steady, collection, alone) == {201}
    assert store_together(steady, collection, others) <= {200}

    stored = behind.stored_of(acme.organization, collection).with_options(IN_MILLISECONDS)
    assert by_id(stored.find()) == sent
    assert by_id(read_all(steady, collection)) == sent
    assert time.process_time() - begun < MAX_SECONDS


@pytest.mark.parametrize("collection", FILES)
def test_a_sample_read_alone_and_sent_back_stays_what_it_is(steady, acme, behind, collection):
    lines = (SAMPLES / f"{collection}.ndjson").read_bytes().splitlines()[::97]
    store(steady, collection, lines)

    for line in lines:
        path = document_url(str(read_bson(line)["_id"]), collection)
        body = steady.get(path).content
        assert fields_of(read_bson(body)) == fields_of(read_bson(line))
        assert send(steady, "PUT", path, body)["ETag"] == '"r2"'

    stored = behind.stored_of(acme.organization, collection).with_options(IN_MILLISECONDS)
    assert by_id(stored.find()) == by_id(read_bson(line) for line in lines)
