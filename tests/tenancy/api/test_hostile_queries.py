"""Whatever is sent is refused as documented, or answered: never a 5xx, never what others have."""

import gzip
import json
from urllib.parse import urlencode

import pytest

from tests.conftest import PLACES
from tests.hostile_queries import FIELDS, FILTERS, PIPELINES, SIMPLE, SORTS
from tests.http import DOCUMENTS, pointers, refused, send

COLLECTION = "/api/v1/collections/main"
QUERY, COUNT, AGGREGATE = (f"{COLLECTION}/{each}" for each in ("query", "count", "aggregate"))
CANARY = "canary of globex"
# `null` may stand for no filter in a body, a NUL in a key is refused before anybody looks for a
# filter, and `refused` takes the words $binary and _id.k for what is stored.
SENT = [
    case
    for case in FILTERS
    if case[2] is not None and "$binary" not in str(case[2]) and case[2] != {"a\0b": 1}
]
TEXTS = {"sort": SORTS, "fields": FIELDS}
TEXTS = {name: [each for each in texts if each != "_id.k"] for name, texts in TEXTS.items()}
# As it is sent, with the status and code.
BODIES = [
    (400, "malformed_json", b""), (400, "malformed_json", b"{"), (400, "malformed_json", b"\xff"),
    (400, "malformed_json", b'{"filter": {}} x'), (400, "malformed_json", b"{'filter': {}}"),
    (422, "invalid_document", b'{"filter": {"a": 1, "a": 2}}'),
    (422, "invalid_document", b'{"filter": {"a": 1}, "filter": {}}'),
    (422, "invalid_document", b'{"filter": {"a": NaN}}'),
    (422, "invalid_document", b'{"filter": {"a": -Infinity}}'),
    (422, "invalid_document", b'{"filter": {"a": 1e400}}'),
    (422, "invalid_document", b'{"filter": {"a": 18446744073709551616}}'),
    (422, "invalid_document", b'{"filter": {"a": "\\ud800"}}'),
    (422, "invalid_document", b'{"filter": {"\\udc00": 1}}'),
    (422, "invalid_document", b'{"filter": {"a\\u0000": 1}}'),
    (422, "invalid_document", b'{"filter": ' + b"[" * 20_000 + b"]" * 20_000 + b"}"),
    (422, "invalid_document", b'{"filter": ' + b'{"a":' * 20_000 + b"1" + b"}" * 20_001),
    (422, "validation_failed", b"[]"), (422, "validation_failed", b"null"),
    (422, "validation_failed", b'{"filtr": {}}'), (422, "validation_failed", b'{"$where": "1"}'),
    (422, "validation_failed", b'{"filter": {}, "collection": "other"}'),
    (413, "payload_too_large", b'{"filter": {"a": "' + b"x" * 20_000_000 + b'"}}'),
]  # fmt: skip
TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x")
CURSORS = ("", "x", "a:b", "..", "\0", "x" * 5_000, "eyJwIjoxfQ==:x", "é")


@pytest.fixture(params=["shared", "collection-name"])
def crowd(request, monkeypatch):
    """Both ways in which others are near: in the same collection, and in the same database."""
    return PLACES[request.param]


@pytest.fixture
def place(crowd, settings):
    settings.TENANCY_NAMING = crowd.naming
    return crowd


@pytest.fixture
def canaries(alice, charlie):
    """What globex has, under ids that acme uses, too."""
    for document_id in ("a", 1):
        send(charlie, "POST", DOCUMENTS, {"_id": document_id, "a": CANARY, "x": [CANARY]})
        send(alice, "POST", DOCUMENTS, {"_id": document_id, "a": 1, "x": [1]})


class Attacker:
    """Sends what is hostile; whatever comes back must hold nothing of others."""

    def __init__(self, client):
        self.client = client

    def posts(self, path, body, status, code, **options):
        """Assert that a body is refused; return the problem."""
        answer = send(self.client, "POST", path, body, **options)
        assert CANARY not in answer.content.decode()
        return refused(answer, status, code)

    def gets(self, parameters, status, code):
        answer = self.client.get(f"{DOCUMENTS}?{urlencode(parameters)}")
        assert CANARY not in answer.content.decode()
        return refused(answer, status, code)


def post_what_is_hostile(attacker):
    for position, (code, pointer, raw) in enumerate(SENT):
        problem = attacker.posts((COUNT, QUERY)[position % 2], {"filter": raw}, 422, code)
        assert pointers(problem)[0] == f"/filter{pointer}"
    for code, pointer, raw in PIPELINES:
        problem = attacker.posts(AGGREGATE, {"pipeline": raw}, 422, code)
        assert pointers(problem)[0] == f"/pipeline{pointer}"
    for name, texts in TEXTS.items():
        for text in texts:
            problem = attacker.posts(QUERY, {name: text}, 422, "validation_failed")
            assert pointers(problem)[0].startswith(f"/{name}")


def get_what_is_hostile(attacker):
    for code, _, raw in SENT[::4]:
        if len(text := json.dumps(raw)) < 2_000:
            attacker.gets({"filter": text}, 422, code)
    for name, texts in TEXTS.items():
        for text in texts:
            attacker.gets({name: text}, 400, "invalid_parameter")
    for code, name, text in SIMPLE:
        attacker.gets({name: text}, 400, code)
    for cursor in CURSORS:
        attacker.gets({"cursor": cursor}, 400, "cursor_invalid")


def send_what_is_no_json(attacker):
    for status, code, body in BODIES:
        attacker.posts(QUERY, body, status, code)
    for content_type in TYPES:
        attacker.posts(QUERY, b"{}", 415, "unsupported_media_type", content_type=content_type)
    bomb = gzip.compress(b'{"filter": {"a": "' + b"x" * 50_000_000 + b'"}}')
    attacker.posts(QUERY, bomb, 415, "unsupported_media_type", Content_Encoding="gzip")


def test_what_is_hostile_is_refused_and_shows_nothing_of_others(alice, canaries):
    attacker = Attacker(alice)

    post_what_is_hostile(attacker)
    get_what_is_hostile(attacker)
    send_what_is_no_json(attacker)


def test_a_cursor_of_others_is_refused(alice, charlie, canaries):
    following = charlie.get(f"{DOCUMENTS}?limit=1").json()["page"]["next"]

    attacker = Attacker(alice)
    attacker.gets({"cursor": following, "limit": "1"}, 400, "cursor_invalid")
    attacker.posts(QUERY, {"cursor": following, "limit": 1}, 400, "cursor_invalid")


# Well-formed, and an attempt at what others have.
PROBES = [
    {}, {"a": {"$ne": 1}}, {"a": CANARY}, {"_id": {"$gte": ""}}, {"_id": {"$nin": []}},
    {"_id": "a"}, {"$nor": [{"_id": "a"}]}, {"$or": [{"_id": {"$exists": False}}, {}]},
    {"_id.o": {"$exists": True}}, {"_id.k": "a"}, {"_id.c": "main"}, {"_id": {"$not": {"$gt": 1}}},
    {"$and": [{"_id": {"$type": "object"}}]}, {"_id": {"$lt": {"o": 1}}}, {"_id": {"$gt": []}},
    {"_id": {"$in": ["a", 1, None, {"o": 1, "c": "main", "k": "a"}]}}, {"_id": {"$ne": None}},
]  # fmt: skip


def test_what_is_allowed_reaches_no_further(alice, canaries):
    for raw in PROBES:
        for path, body in (
            (QUERY, {"filter": raw}),
            (AGGREGATE, {"pipeline": [{"$match": raw}, {"$group": {"_id": "$$ROOT"}}]}),
            (AGGREGATE, {"pipeline": [{"$set": {"b": "$_id"}}, {"$match": raw}]}),
            (AGGREGATE, {"pipeline": [{"$facet": {"x": [{"$match": raw}]}}]}),
        ):
            answer = send(alice, "POST", path, body)
            text = answer.content.decode()
            assert answer.status_code == 200
            assert CANARY not in text
            assert "user:" not in text


def test_what_cannot_be_computed_is_the_callers_error(alice, canaries):
    for expression in (
        {"$divide": [1, 0]}, {"$add": ["a", 1]}, {"$toInt": "x"}, {"$toDate": "x"}, {"$year": "x"},
        {"$arrayElemAt": ["$a", 0]}, {"$size": "$a"}, {"$substrCP": ["abc", -1, 1]}, {"$ln": -1},
        {"$cond": [1]}, {"$dateToString": {"date": "$$NOW", "format": "%q"}}, {"$mod": [1, 0]},
        {"$arrayToObject": [[1]]}, {"$convert": {"input": 1, "to": "nothing"}}, {"$pow": [0, -1]},
        {"$dateTrunc": {"date": "$$NOW", "unit": "x"}}, {"$mergeObjects": [1]}, {"$in": [1, 2]},
    ):  # fmt: skip
        body = {"pipeline": [{"$set": {"x": expression}}]}
        refused(send(alice, "POST", AGGREGATE, body), 422, "validation_failed")
