"""Tokens signed with a key pair: named, rotated, published, and never mixed with the secret's."""

import base64
import json
import threading

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import checks
from accounts.key_files import RETIRED_KEEP, activate, rotate, stage
from accounts.signing import key_pairs, parse_keys
from tenancy.exceptions import Misconfigured, ValidationFailed

ROUTE = "/api/v1/organization"
JWKS = "/.well-known/jwks.json"


def bearer(token):
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {token}")
    return client.get(ROUTE)


def token_of(cast, who):
    return cast.client(who)._credentials["HTTP_AUTHORIZATION"].removeprefix("Bearer ")


def assert_refused(answer):
    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


@pytest.fixture
def key_file(settings, tmp_path):
    """A file of keys that the service signs with."""
    path = tmp_path / "keys.pem"
    rotate(path)
    settings.JWT_PRIVATE_KEY = str(path)
    return path


def test_token_names_its_key_and_its_algorithm(key_file, acme):
    token = token_of(acme, "alice")

    assert jwt.get_unverified_header(token) == {
        "alg": "EdDSA", "typ": "JWT", "kid": key_pairs()[0].kid,
    }  # fmt: skip
    assert bearer(token).status_code == 200


def test_published_key_verifies_a_token_elsewhere(key_file, acme, nobody):
    answer = nobody.get(JWKS)
    keys = {key["kid"]: jwt.PyJWK(key) for key in answer.json()["keys"]}
    token = token_of(acme, "alice")

    claims = jwt.decode(
        token, keys[jwt.get_unverified_header(token)["kid"]], algorithms=["EdDSA"],
        audience="tenantry", issuer="tenantry",
    )  # fmt: skip

    assert claims["sub"] == str(acme.users["alice"].pk)
    assert answer["Cache-Control"] == "public, max-age=300"


def test_nothing_private_is_published(key_file, nobody):
    assert all("d" not in key for key in nobody.get(JWKS).json()["keys"])


def test_without_a_key_pair_nothing_is_published(db, nobody):
    answer = nobody.get(JWKS)

    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_rotation_needs_no_restart_and_old_tokens_live_on(key_file, acme):
    before = token_of(acme, "alice")

    rotate(key_file)
    after = token_of(acme, "alice")

    kids = [jwt.get_unverified_header(token)["kid"] for token in (before, after)]
    assert kids[0] != kids[1] == key_pairs()[0].kid
    assert [bearer(token).status_code for token in (before, after)] == [200, 200]


def test_retired_key_keeps_no_private_half_and_goes_after_a_day(key_file, time_machine):
    retired = key_pairs()[0].kid
    rotate(key_file)
    assert [(pair.kid == retired, pair.private is None) for pair in key_pairs()] == [
        (False, False), (True, True),
    ]  # fmt: skip

    time_machine.move_to(timezone.now() + RETIRED_KEEP)
    rotate(key_file)

    assert retired not in [pair.kid for pair in key_pairs()]


def test_staged_key_is_published_and_signs_once_it_is_activated(key_file, acme, nobody):
    first = key_pairs()[0].kid
    stage(key_file)

    published = [key["kid"] for key in nobody.get(JWKS).json()["keys"]]
    assert published[0] == first == jwt.get_unverified_header(token_of(acme, "alice"))["kid"]
    assert len(published) == 2

    activate(key_file)
    assert jwt.get_unverified_header(token_of(acme, "alice"))["kid"] == published[1]


def test_two_staged_keys_or_none_are_refused(key_file):
    with pytest.raises(ValidationFailed):
        activate(key_file)
    stage(key_file)
    with pytest.raises(ValidationFailed):
        stage(key_file)


def test_file_of_keys_is_nobody_else_s(key_file):
    rotate(key_file)

    assert key_file.stat().st_mode & 0o077 == 0


def test_rotations_at_once_lose_no_key(key_file, acme):
    before = token_of(acme, "alice")
    barrier = threading.Barrier(8)

    def turn():
        barrier.wait()
        rotate(key_file)

    threads = [threading.Thread(target=turn) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({pair.kid for pair in key_pairs()}) == 9
    assert bearer(before).status_code == 200


def test_token_of_the_secret_is_worth_nothing_beside_a_key_pair(acme, settings, tmp_path):
    token = token_of(acme, "alice")
    assert bearer(token).status_code == 200

    rotate(tmp_path / "keys.pem")
    settings.JWT_PRIVATE_KEY = str(tmp_path / "keys.pem")

    assert_refused(bearer(token))


def test_token_of_a_key_pair_is_worth_nothing_beside_the_secret(key_file, acme, settings):
    token = token_of(acme, "alice")
    assert bearer(token).status_code == 200

    settings.JWT_PRIVATE_KEY = ""

    assert_refused(bearer(token))


def forged(token, *, key, algorithm, **header):
    """Return the claims of a good token, signed by somebody else."""
    claims = jwt.decode(token, options={"verify_signature": False})
    kept = {name: value for name, value in header.items() if value is not None}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm=algorithm, headers=kept)


def test_forged_signatures_are_refused(key_file, acme):
    token, kid = token_of(acme, "alice"), key_pairs()[0].kid
    public = key_pairs()[0].public.public_bytes(
        serialization.Encoding.Raw, serialization.PublicFormat.Raw
    )
    stranger = Ed25519PrivateKey.generate()

    for forgery in (
        forged(token, key=stranger, algorithm="EdDSA", kid=kid),
        forged(token, key=stranger, algorithm="EdDSA", kid="unknown"),
        forged(token, key=stranger, algorithm="EdDSA"),
        # The public key as the secret of another algorithm.
        forged(token, key=public, algorithm="HS256", kid=kid),
        forged(token, key=base64.urlsafe_b64encode(public), algorithm="HS256", kid=kid),
        forged(token, key=None, algorithm="none", kid=kid),
    ):
        assert_refused(bearer(forgery))


@pytest.mark.parametrize("kid", [7, None, [], {}, "x" * 1000, "../../etc/passwd", "é", ""])
def test_odd_key_names_are_refused(key_file, acme, kid):
    token = token_of(acme, "alice")
    header = {"alg": "EdDSA", "typ": "JWT", "kid": kid}
    start = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()

    assert_refused(bearer(".".join([start, *token.split(".")[1:]])))


def test_former_secret_still_verifies_while_it_is_a_fallback(acme, settings):
    token = token_of(acme, "alice")
    former, settings.SECRET_KEY = settings.SECRET_KEY, "n" * 64

    assert_refused(bearer(token))
    settings.SECRET_KEY_FALLBACKS = ["m" * 64, former]

    assert bearer(token).status_code == 200
    assert bearer(token_of(acme, "alice")).status_code == 200


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no key",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----",
        pem(rsa.generate_private_key(public_exponent=65537, key_size=2048)),
    ],
)
def test_what_is_no_key_is_named_and_not_repeated(text):
    with pytest.raises(Misconfigured) as caught:
        parse_keys(text)

    assert "JWT_PRIVATE_KEY" in str(caught.value)
    assert "AAAA" not in str(caught.value)


def test_key_may_stand_in_the_environment_itself(settings, acme):
    settings.JWT_PRIVATE_KEY = pem(Ed25519PrivateKey.generate())

    assert bearer(token_of(acme, "alice")).status_code == 200


def test_command_says_what_to_do_where_there_is_no_file(settings):
    with pytest.raises(CommandError, match="SECRET_KEY_FALLBACKS"):
        call_command("rotate_signing_key")

    settings.JWT_PRIVATE_KEY = pem(Ed25519PrivateKey.generate())
    with pytest.raises(CommandError, match="Put it into a file"):
        call_command("rotate_signing_key")


def test_command_makes_rotates_and_says_which_key_signs(settings, tmp_path, capsys):
    path = tmp_path / "keys.pem"
    call_command("rotate_signing_key", "--file", str(path))
    assert f"Set JWT_PRIVATE_KEY={path}" in capsys.readouterr().out

    settings.JWT_PRIVATE_KEY = str(path)
    call_command("rotate_signing_key", "--json")

    report = json.loads(capsys.readouterr().out)
    assert [report["signing"], *report["others"]] == [pair.kid for pair in key_pairs()]


def test_command_refuses_a_place_that_cannot_be_written(tmp_path):
    with pytest.raises(CommandError, match="cannot be written"):
        call_command("rotate_signing_key", "--file", str(tmp_path / "missing" / "keys.pem"))


def break_by_emptying(path):
    path.write_text("")


def break_by_garbage(path):
    path.write_bytes(b"\xff\xfe-----BEGIN PRIVATE KEY-----")


def break_by_removal(path):
    path.unlink()


def break_by_a_folder(path):
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    "spoil", [break_by_emptying, break_by_garbage, break_by_removal, break_by_a_folder]
)
def test_file_that_breaks_ends_no_token_and_says_so_once(key_file, acme, nobody, caplog, spoil):
    token = token_of(acme, "alice")

    spoil(key_file)

    assert [bearer(token).status_code for _ in range(3)] == [200] * 3
    assert nobody.get(JWKS).status_code == 200
    assert sum("cannot be used" in line for line in caplog.messages) == 1


def test_file_keeps_its_owner_and_mode(key_file):
    key_file.chmod(0o640)

    rotate(key_file)

    assert key_file.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("value", ["/nowhere/keys.pem", "-----BEGIN PRIVATE KEY-----"])
def test_service_does_not_start_without_a_key_to_sign_with(settings, value):
    settings.JWT_PRIVATE_KEY = value

    assert [problem.id for problem in checks.check_signing_keys(None)] == ["accounts.E006"]


def test_first_key_can_be_made_though_the_setting_names_it_already(settings, tmp_path):
    settings.JWT_PRIVATE_KEY = str(tmp_path / "first.pem")

    call_command("rotate_signing_key")

    assert checks.check_signing_keys(None) == []
