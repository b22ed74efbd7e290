"""Export and import of a collection, as a client sees them."""

import gzip
import hashlib
import json
import zlib

import pytest

from tests.http import DOCUMENTS, pointers, refused, send

EXPORT = "/api/v1/collections/main/export"
IMPORT = "/api/v1/collections/main/import"
NDJSON = "application/x-ndjson"

pytestmark = pytest.mark.needs_mongod


def lines(*documents):
    return b"".join(json.dumps(each).encode() + b"\n" for each in documents)


def put_in(client, body, query="", **headers):
    return send(client, "POST", f"{IMPORT}{query}", body, NDJSON, **headers)


def got(client, query="", **headers):
    answer = client.get(f"{EXPORT}{query}", headers=headers)
    assert answer.status_code == 200
    return b"".join(answer.streaming_content)


def parsed(body):
    return [json.loads(line) for line in body.splitlines()]


def told(answer, status=200):
    assert answer.status_code == status, answer.content
    report = dict(answer.json())
    problems = report.pop("problems")
    assert report.pop("complete") is True
    return report, [(each["line"], each["code"]) for each in problems]


@pytest.mark.everywhere
def test_what_goes_in_comes_out_in_id_order(alice, acme, globex):
    put_in(globex.client("charlie"), lines({"_id": 2, "of": "globex"}))
    sent = [
        {"_id": 3},
        {"_id": "a", "n": [1, {"x": None}]},
        {"_id": 1, "at": {"$date": "2020-01-31T09:30:00Z"}},
    ]

    report, problems = told(put_in(alice, lines(*sent)))
    out = parsed(got(alice))

    assert (report, problems) == (
        {"lines": 3, "inserted": 3, "replaced": 0, "skipped": 0, "failed": 0, "warned": 0,
         "dry_run": False}, [],
    )  # fmt: skip
    assert [document["_id"] for document in out] == [1, 3, "a"]
    assert {each["_id"]: each for each in sent} == {
        each.pop("_id"): {"_id": identity, **each}
        for each in [{k: v for k, v in document.items() if k != "_meta"} for document in out]
        for identity in [each["_id"]]
    }
    assert set(out[0]["_meta"]) == {"rev", "created_at", "updated_at"}
    assert out == [alice.get(f"{DOCUMENTS}/int:{n}").json() for n in (1, 3)] + [
        alice.get(f"{DOCUMENTS}/a").json()
    ]


def test_an_export_of_many_batches_has_every_document_once(alice):
    many = [{"_id": number, "text": "x" * (number % 50)} for number in range(5_000)]
    put_in(alice, lines(*many))

    assert [each["_id"] for each in parsed(got(alice))] == list(range(5_000))


@pytest.mark.everywhere
def test_a_filter_chooses_what_is_exported(alice):
    put_in(alice, lines(*({"_id": number, "n": number % 4} for number in range(1_000))))

    both = parsed(got(alice, '?filter={"n":{"$in":[1,2]}}&_id__lt=10&footer=1'))
    nobody = got(alice, "?n=9&footer=1")

    assert [each["_id"] for each in both[:-1]] == [1, 2, 5, 6, 9]
    assert both[-1]["_export"]["count"] == 5
    assert parsed(nobody)[0]["_export"]["count"] == 0
    refused(alice.get(EXPORT + '?filter={"$where":"1"}'), 422, "operator_not_allowed")


def test_the_footer_has_count_and_digest_of_the_lines_before_it(alice):
    put_in(alice, lines({"_id": 1}, {"_id": 2}))

    *documents, footer = got(alice, "?footer=1").splitlines(keepends=True)

    digest = hashlib.sha256(b"".join(documents)).hexdigest()
    assert json.loads(footer) == {"_export": {"count": 2, "sha256": digest}}


def test_an_export_is_packed_for_those_who_take_it(alice):
    put_in(alice, lines({"_id": 1}))

    answer = alice.get(EXPORT, headers={"Accept-Encoding": "br, gzip"})
    plain = alice.get(EXPORT, headers={"Accept-Encoding": "gzip;q=0, identity"})

    assert answer["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in answer["Vary"]
    assert gzip.decompress(b"".join(answer.streaming_content)) == got(alice)
    assert "Content-Encoding" not in plain
    assert plain["Content-Type"] == NDJSON
    plain.close()


def test_what_is_not_there_or_not_known_is_refused_before_the_first_byte(alice):
    refused(alice.get("/api/v1/collections/nothing/export"), 404, "not_found")
    refused(alice.get(f"{EXPORT}?fotter__near=1"), 400, "unknown_parameter")
    refused(alice.get(f"{EXPORT}?footer=maybe"), 400, "invalid_parameter")
    refused(put_in(alice, b"", "?mode=replace"), 400, "invalid_parameter")
    refused(send(alice, "POST", IMPORT, b"{}"), 415, "unsupported_media_type")
    refused(put_in(alice, b"{}", Content_Encoding="br"), 415, "unsupported_media_type")
    assert got(alice) == b""
    assert got(alice, Accept=NDJSON) == b""


def test_an_export_that_is_broken_off_says_so_in_its_last_line(alice, acme, stored):
    put_in(alice, lines(*({"_id": number} for number in range(1_000))))
    answer = alice.get(EXPORT, {"footer": "1"}, headers={"Accept-Encoding": "gzip"})
    plain = alice.get(EXPORT, {"footer": "1"})

    stored.collection.rename("elsewhere")

    *documents, last = parsed(b"".join(plain.streaming_content))
    assert last["_export"]["error"]["code"] == "tenant_busy"
    assert len(documents) < 1_000
    packed = zlib.decompressobj(31)
    assert b'"error"' in packed.decompress(b"".join(answer.streaming_content))
    assert not packed.eof


def test_an_export_stops_when_the_organization_is_suspended(alice, acme, settings):
    from tenancy import lifecycle

    settings.TENANCY_CATALOG_TTL = 0
    put_in(alice, lines(*({"_id": number} for number in range(1_000))))
    answer = alice.get(EXPORT)

    lifecycle.suspend_organization(acme.id, by="command:test")

    last = parsed(b"".join(answer.streaming_content))[-1]
    assert last["_export"]["error"]["code"] == "organization_suspended"


def test_so_many_exports_at_once_leave_threads_to_others(alice, settings):
    settings.TENANTRY_THREADS = 4
    first = alice.get(EXPORT)

    busy = alice.get(EXPORT)
    also_busy = put_in(alice, lines({"_id": 1}))
    first.close()
    first.close()

    assert refused(busy, 503, "tenant_busy")["retryable"]
    assert busy["Retry-After"]
    refused(also_busy, 503, "tenant_busy")
    assert got(alice) == b""


def test_lines_that_hold_nothing_are_passed_over(alice):
    body = b"\xef\xbb\xbf" + b'{"_id": 1}\r\n\r\n  \n{"_id": 2}'

    report, problems = told(put_in(alice, body))

    assert (report, problems) == (
        {
            "lines": 4, "inserted": 2, "replaced": 0, "skipped": 2, "failed": 0, "warned": 0,
            "dry_run": False,
        },
        [],
    )  # fmt: skip


BAD = [
    (b"nonsense", "malformed_json", []),
    (b"[1]", "invalid_document", [""]),
    (b'{"a": {"b.c": 1}}', "invalid_document", ["/a/b.c"]),
    (b'{"a": {"$code": "x"}}', "type_not_allowed", ["/a"]),
    (b'{"a": "\xff"}', "malformed_json", []),
    (b'{"_id": 0}', "already_exists", ["/_id"]),
    (b'{"_id": 9}', "already_exists", ["/_id"]),
    (b'{"_secret": 1}', "invalid_document", ["/_secret"]),
    (b'{"a": "' + b"x" * 1_100_000 + b'"}', "payload_too_large", [""]),
    (b" " * (8 * 1_048_576 + 1), "payload_too_large", []),
]


def test_every_line_that_fails_is_told_with_its_place(alice):
    put_in(alice, lines({"_id": 0}))
    body = b'{"_id": 9}\n' + b"\n".join(line for line, _, _ in BAD) + b'\n{"_id": 10}\n'

    answer = put_in(alice, body, "?on_error=skip")

    report, problems = told(answer, 207)
    assert (report["inserted"], report["failed"], report["lines"]) == (2, len(BAD), len(BAD) + 2)
    assert problems == [(number, code) for number, (_, code, _) in enumerate(BAD, start=2)]
    assert [pointers(each) for each in answer.json()["problems"]] == [at for _, _, at in BAD]
    assert {each["_id"] for each in parsed(got(alice))} == {0, 9, 10}


def test_an_import_stops_at_the_first_line_that_fails_and_says_what_is_in(alice):
    body = lines({"_id": 1}, {"_id": 2}, {"_id": 1}, {"_id": 3})

    problem = refused(put_in(alice, body), 422, "import_stopped")

    assert problem["problem"]["line"] == 3
    assert problem["problem"]["code"] == "already_exists"
    assert pointers(problem) == ["/_id"]
    assert (problem["import"]["lines"], problem["import"]["inserted"]) == (2, 2)
    assert problem["import"]["complete"] is False
    assert [each["_id"] for each in parsed(got(alice))] == [1, 2]


def test_upsert_replaces_what_is_there(alice, bob):
    put_in(alice, lines({"_id": 1, "a": 1}, {"_id": 2}))

    report, _ = told(
        put_in(bob, lines({"_id": 1, "b": 2}, {"_id": 3}, {"_id": 3, "c": 1}), "?mode=upsert")
    )

    assert (report["inserted"], report["replaced"]) == (1, 2)
    found = {each["_id"]: each for each in parsed(got(alice))}
    assert (found[1]["b"], found[1]["_meta"]["rev"], "a" in found[1]) == (2, 2, False)
    assert (found[3]["c"], found[3]["_meta"]["rev"]) == (1, 2)


def test_a_dry_run_looks_at_everything_and_stores_nothing(alice):
    put_in(alice, lines({"_id": 1}))
    body = lines({"_id": 1}, {"_id": 2}, {"$x": 1})

    report, problems = told(put_in(alice, body, "?dry_run=1&on_error=skip"), 207)
    told(send(alice, "POST", f"{IMPORT.replace('main', 'new')}?dry_run=true", lines({}), NDJSON))

    assert (report["inserted"], problems) == (1, [(1, "already_exists"), (3, "invalid_document")])
    assert [each["_id"] for each in parsed(got(alice))] == [1]
    refused(alice.get(EXPORT.replace("main", "new")), 404, "not_found")


def test_an_export_is_an_import_that_is_held_against_its_last_line(alice):
    put_in(alice, lines({"_id": 1}, {"_id": 2}))
    whole = got(alice, "?footer=1")
    path = f"{IMPORT.replace('main', 'copy')}?on_error=skip&mode=upsert"

    def copied(body, status=200):
        return told(send(alice, "POST", path, body, NDJSON), status)

    assert copied(whole + whole)[0]["skipped"] == 2
    assert copied(whole.partition(b"\n")[2], 207)[1] == [(2, "validation_failed")]
    broken_off = lines({"_export": {"error": {"code": "x", "detail": "x"}}})
    assert copied(broken_off, 207)[1] == [(1, "validation_failed")]


def test_only_a_line_with_nothing_else_is_the_end_of_an_export(alice):
    body = b"\n".join([
        b'{"_export": {"count": 0}, "x": 1}',
        b'{"x": 1, "_export": {"count": 0}}',
        b'{"_export": {}, "_export": {}}',
        b'{"_export": {',
        b'{"_id": 1}',
        b'{"_export": {"count": 5}}',
    ])  # fmt: skip

    report, problems = told(put_in(alice, body, "?on_error=skip"), 207)

    wrong = [(1, "invalid_document"), (2, "invalid_document"), (3, "invalid_document")]
    assert problems == [*wrong, (4, "malformed_json")]
    assert (report["inserted"], report["skipped"], report["failed"]) == (1, 1, 4)


def test_packed_bodies_are_unpacked_and_bombs_are_not(alice, settings):
    packed = gzip.compress(lines({"_id": 1})) + gzip.compress(lines({"_id": 2}))
    bomb = gzip.compress(b" " * 40_000_000)

    assert told(put_in(alice, packed, Content_Encoding="gzip"))[0]["inserted"] == 2
    refused(put_in(alice, bomb, Content_Encoding="gzip"), 413, "payload_too_large")
    cut = refused(
        put_in(alice, packed[:-4], "?mode=upsert", Content_Encoding="gzip"), 400, "malformed_json"
    )
    assert cut["import"]["complete"] is False
    refused(put_in(alice, b"plain", Content_Encoding="gzip"), 400, "malformed_json")
    settings.TENANCY_IMPORT_MAX_BYTES = 100
    refused(put_in(alice, b" " * 101), 413, "payload_too_large")


def test_a_body_that_is_cut_off_is_told_what_of_it_is_in(alice):
    problem = refused(put_in(alice, b'{"_id": 1}\n{"_id": 2'), 400, "malformed_json")

    assert problem["import"]["inserted"] == 1


def test_a_repeat_under_a_key_goes_on_and_imports_nothing_twice(alice):
    key = {"Idempotency_Key": "one"}
    whole = lines(*({"n": number} for number in range(2_500)))
    cut = whole[: len(whole) // 2 + 3]

    refused(put_in(alice, cut, **key), 400, "malformed_json")
    first, again = put_in(alice, whole, **key), put_in(alice, whole, **key)

    assert told(first)[0]["inserted"] == 2_500
    assert again.content == first.content
    assert again["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first
    assert sorted(each["n"] for each in parsed(got(alice))) == list(range(2_500))
    refused(put_in(alice, whole[:-10] + b"\n", **key), 422, "idempotency_key_reused")
    refused(put_in(alice, b'{"n": -1}\n' + whole, **key), 422, "idempotency_key_reused")
    refused(put_in(alice, whole, "?mode=upsert", **key), 422, "idempotency_key_reused")


def test_a_line_that_stopped_an_import_can_be_mended_under_the_same_key(alice):
    key = {"Idempotency_Key": "mended"}
    refused(put_in(alice, lines({"n": 1}, {"$n": 2}, {"n": 3}), **key), 422, "import_stopped")

    report, _ = told(put_in(alice, lines({"n": 1}, {"n": 2}, {"n": 3}), **key))

    assert report["inserted"] == 3
    assert sorted(each["n"] for each in parsed(got(alice))) == [1, 2, 3]
