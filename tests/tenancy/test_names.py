"""Names become slugs, namespaces and physical names; hostile ones become a sentence."""

import re
import string
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tenancy.exceptions import CollectionNotFound, InvalidName
from tenancy.names import (
    COLLECTION_NAME,
    DATABASE_MAX_BYTES,
    KINDS,
    NAMESPACE_MAX_BYTES,
    NAMINGS,
    SLUG_MAX_CHARACTERS,
    PlacementAddress,
    check_collection_name,
    clean_name,
    logical_collection,
    namespace_for,
    namespace_of_slug,
    physical_collection,
    slug_of,
)

SLUG = re.compile(r"[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?")
ID = UUID("0123456789abcdef0123456789abcdef")
ANY_TEXT = st.text(st.characters(), max_size=120)  # lone surrogates and unassigned ones included
SLUGS = st.from_regex(SLUG, fullmatch=True)
thorough = settings(database=None, deadline=None, max_examples=500)


def slug_from(raw):
    return slug_of(clean_name(raw))


def find_slug(raw):
    try:
        return slug_from(raw)
    except InvalidName:
        return None


@pytest.mark.parametrize(
    ("raw", "slug"),
    [
        ("Acme", "acme"),
        ("ACME", "acme"),
        ("Acme Corp.", "acme-corp"),
        ("A B", "a-b"),
        ("a_b", "a-b"),
        ("  a   b  ", "a-b"),
        ("Ünïcode Ltd", "unicode-ltd"),
        ("Straße", "strasse"),
        ("ﬁne Ⅷ", "fine-viii"),
        ("ＡＣＭＥ", "acme"),  # noqa: RUF001
        ("東京", "dongjing"),
        ("شركة", "shrkh"),
        ("system.users", "system-users"),
        ("../../etc", "etc"),
        ("a/b", "a-b"),
        ("$ne", "ne"),
        (".*", None),
        ("admin'; db.dropDatabase()", "admin-db-dropdatabase"),
        ("می‌خواهم", "mykhwhm"),  # a zero-width non-joiner, as Persian is written
    ],
)
def test_readable_names_have_a_readable_slug(raw, slug):
    assert find_slug(raw) == slug


@pytest.mark.parametrize(
    "raw",
    [
        "",
        " ",
        "   ",
        "\u00a0\u2003",  # spaces too
        "$",
        "..",
        "/",
        "-",
        "___",
        "!!!",
        "a" * 300,
        "\x00",
        "Acme\x00",
        "Ac\nme",
        "Ac\tme",
        "Acme\x7f",
        "\u202eemcA",  # right-to-left override
        "Acme\u200f",  # right-to-left mark
        "Ac\u200bme",  # zero-width space
        "Ac\u2060me",  # word joiner
        "\ufeffAcme",  # byte order mark
        "Ac\u00adme",  # soft hyphen
        "\ud800",
        "Acme\udfff",
        "\U000e0041cme",  # a tag character
        "\ue000",  # private use
        "\u200d\u200c",  # joiners with nothing to join
        "Acme\u3164",  # a filler: a letter that is drawn as nothing
        "Ac\u115f\u1160me",
        "Ac\uffa0me",
        "Ac\u034fme",  # grapheme joiner
        "Ac\u180bme",  # a variation selector of another script
        "Ac\u2800me",  # blank braille
    ],
)
def test_hostile_names_are_refused_with_a_reason_and_a_pointer(raw):
    with pytest.raises(InvalidName) as refused:
        slug_of(clean_name(raw, pointer="/organization_name"), pointer="/organization_name")

    (error,) = refused.value.errors
    assert (error.pointer, error.code) == ("/organization_name", "invalid_name")
    assert refused.value.detail == error.message
    assert error.message.endswith(".")


@pytest.mark.parametrize(
    "raw",
    ["admin", "Admin", "ADMIN!", "config", "local", "system", "null", "ａｄｍｉｎ", "0" * 32,  # noqa: RUF001
     "0123456789ABCDEF0123456789abcdef", ID.hex],
)  # fmt: skip
def test_reserved_slugs_and_what_looks_like_an_id_are_refused(raw):
    with pytest.raises(InvalidName, match="reserved"):
        slug_from(raw)


def test_emoji_have_a_slug_of_their_names():
    assert find_slug("🚀🚀") == "rocket-rocket"
    assert SLUG.fullmatch(find_slug("👩\u200d💻"))


@pytest.mark.parametrize("unseen", ["\u200c", "\u200d", "\ufe0f"])
def test_what_is_written_and_not_seen_makes_no_other_slug(unseen):
    assert slug_from(f"Ac{unseen}me") == slug_from("Acme")


def test_message_names_the_invisible_character():
    with pytest.raises(InvalidName, match=r"U\+202E at position 3"):
        clean_name("Ac\u202eme")


def test_message_never_repeats_what_cannot_be_encoded():
    with pytest.raises(InvalidName) as refused:
        clean_name("\ud800")

    assert refused.value.detail.encode()


@pytest.mark.parametrize(("raw", "clean"), [("  A   B ", "A B"), ("ﬁ", "fi"), ("é", "é")])
def test_clean_name_is_what_people_read(raw, clean):
    assert clean_name(raw) == clean


def test_name_may_have_100_characters_and_no_more():
    assert clean_name("é" * 100) == "é" * 100
    with pytest.raises(InvalidName, match="101 characters"):
        clean_name("é" * 101)


def test_length_counts_after_normalization():
    with pytest.raises(InvalidName, match="characters"):
        clean_name("\ufdfa" * 60)  # one character that becomes eighteen


def test_names_that_share_48_characters_are_one_name():
    prefix = "a" * 48

    assert slug_from(prefix + "one") == slug_from(prefix + "two") == prefix


def test_cut_leaves_no_dash_at_the_end():
    assert slug_from("a" * 47 + " b") == "a" * 47


@thorough
@given(ANY_TEXT)
def test_any_text_has_a_well_formed_slug_or_is_refused(raw):
    slug = find_slug(raw)

    assert slug is None or (SLUG.fullmatch(slug) and len(slug) <= SLUG_MAX_CHARACTERS)


@thorough
@given(ANY_TEXT)
def test_slug_of_any_text_without_cleaning_is_well_formed_or_refused(raw):
    try:
        slug = slug_of(raw)
    except InvalidName:
        return

    assert SLUG.fullmatch(slug)


@thorough
@given(ANY_TEXT)
def test_slug_of_a_slug_is_itself(raw):
    slug = find_slug(raw)

    assert slug is None or slug_from(slug) == slug


@thorough
@given(ANY_TEXT)
def test_clean_name_of_a_clean_name_is_itself(raw):
    try:
        name = clean_name(raw)
    except InvalidName:
        return

    assert clean_name(name) == name


@thorough
@given(st.text(string.ascii_letters + string.digits + " _-./$", max_size=60))
def test_case_and_outer_spaces_make_no_other_name(raw):
    assert find_slug(f" {raw.swapcase()} ") == find_slug(raw)


@thorough
@given(SLUGS, SLUGS)
def test_namespaces_are_one_to_one_over_slugs(one, other):
    assert (namespace_of_slug(one) == namespace_of_slug(other)) == (one == other)


@thorough
@given(SLUGS)
def test_namespace_of_a_slug_is_never_the_one_of_an_id(slug):
    if find_slug(slug) is not None:
        assert not re.fullmatch(r"org_[0-9a-f]{32}", namespace_of_slug(slug))


@thorough
@given(SLUGS, st.from_regex(COLLECTION_NAME, fullmatch=True))
def test_physical_names_fit_and_lead_back_to_the_logical_one(slug, logical):
    namespace = namespace_of_slug(slug)

    physical = physical_collection(namespace, logical)

    full = f"{'d' * DATABASE_MAX_BYTES}.{physical}"
    assert len(full.encode()) <= NAMESPACE_MAX_BYTES
    assert logical_collection(namespace, physical) == logical


@thorough
@given(SLUGS, SLUGS, st.from_regex(COLLECTION_NAME, fullmatch=True))
def test_no_collection_of_one_tenant_lies_under_another_namespace(one, other, logical):
    physical = physical_collection(namespace_of_slug(one), logical)

    assert one == other or logical_collection(namespace_of_slug(other), physical) is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("naming", NAMINGS)
def test_people_read_the_namespace_only_of_kind_collection(kind, naming):
    readable = naming == "name" and kind == "collection"

    namespace = namespace_for(ID, "acme-corp", naming=naming, kind=kind)

    assert namespace == ("org_acme_corp" if readable else f"org_{ID.hex}")
    assert len(namespace.encode()) <= DATABASE_MAX_BYTES


@pytest.mark.parametrize("name", ["a", "main", "orders_2024", "a-b", "a" * 63])
def test_collection_names_of_the_contract_are_accepted(name):
    assert check_collection_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "A", "1a", "_a", "a b", "a.b", "a$b", "a\n", "\n", "a\x00", "ä", "a/b", "..", "a" * 64,
     "system.users", "$cmd", "a\ud800"],
)  # fmt: skip
def test_other_collection_names_are_not_found(name):
    with pytest.raises(CollectionNotFound):
        check_collection_name(name)


def test_main_is_the_namespace_itself_and_others_lie_under_it():
    assert physical_collection("org_acme", "main") == "org_acme"
    assert physical_collection("org_acme", "orders") == "org_acme.orders"
    assert logical_collection("org_acme", "org_acme_corp") is None


def test_address_never_shows_its_uri():
    uri = f"mongodb://user:{string.hexdigits}@host"
    address = PlacementAddress("collection", "default", "tenantry", "org_acme", uri)

    assert string.hexdigits not in repr(address) + str(address.at("org_other"))
    assert address.at("org_other").uri == uri
