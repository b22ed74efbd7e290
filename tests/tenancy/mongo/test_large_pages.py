"""A page holds what MongoDB sends at a time, however large the documents are."""

import pytest
from bson import encode

from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.indexes import IndexSpec
from tenancy.mongo.reading import START
from tenancy.mongo.sorted_pages import Selection
from tests.places import PLACES
from tests.tenancy.mongo.test_sorted_pages import built, ids

pytestmark = pytest.mark.needs_mongod

BATCH_BYTES = 16 * 1_048_576  # MongoDB's own bound of what it sends at a time
LARGE, COUNT, LIMIT = 1_000_000, 40, 1_000
BY_N = IndexSpec("n_1", (("n", 1),))
# The largest that is stored, larger than half of what MongoDB sends at a time.
HUGE = 12 * 1_048_576


@pytest.fixture(params=["collection-name", "shared"])
def place(request):
    return PLACES[request.param]


@pytest.fixture
def documents(address, tenant_data):
    return TenantCollection(address, "main", by="user:1", max_bytes=16 * 1_048_576)


def fill(documents, count=COUNT, size=LARGE):
    for n in range(count):
        documents.insert({"_id": n, "n": n % 3, "t": "x" * size})


def pages(documents, wanted, indexes=()):
    position = None
    while True:
        page = documents.page(wanted, limit=LIMIT, position=position, indexes=indexes)
        yield page.documents
        if not page.has_more:
            return
        position = page.position


@pytest.mark.parametrize("sort", [(), (("_id", -1),), (("n", 1),)], ids=["id", "from last", "sort"])
@pytest.mark.parametrize("indexes", [(), (BY_N,)], ids=["no index", "index"])
def test_pages_end_before_they_are_too_large_and_lose_nothing(documents, behind, sort, indexes):
    fill(documents)
    stored = behind.stored(documents.address)
    is_own = documents.address.kind != "shared"

    with built(stored, indexes if is_own else ()):
        found = list(pages(documents, Selection(sort=sort), indexes))

    assert sorted(ids(row for page in found for row in page)) == list(range(COUNT))
    assert len(found) > 1
    assert all(sum(len(encode(row)) for row in page) <= BATCH_BYTES for page in found)


@pytest.mark.parametrize("sort", [(), (("n", 1),)], ids=["id", "sort"])
def test_pages_of_documents_of_which_one_is_sent_at_a_time_go_on(documents, sort):
    fill(documents, 4, HUGE)

    found = [ids(page) for page in pages(documents, Selection(sort=sort))]

    assert sorted(each for page in found for each in page) == [0, 1, 2, 3]
    assert len(found) >= 3
    assert all(found)


def test_lists_for_checks_end_before_they_are_too_large_and_lose_nothing(documents):
    fill(documents)
    found, after = [], START

    while True:
        page = documents.list_page(limit=LIMIT, after=after)
        found.append(ids(page.documents))
        if not page.has_more:
            break
        after = found[-1][-1]

    assert [each for page in found for each in page] == list(range(COUNT))
    assert len(found) > 1
