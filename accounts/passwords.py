"""Check and hash passwords: bounded in length, and equal in time whoever asks for whom."""

from contextlib import suppress

from django.conf import settings
from django.contrib.auth import password_validation
from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db.models import Q

from accounts.exceptions import RateLimited
from accounts.hashing import CURRENT_FORM, PasswordHasher, form_of, hash_of_nobody
from accounts.mail import how_to_ask_for_a_password, send_later
from accounts.models import User, normalize_password
from tenancy.caching import AgedCache
from tenancy.exceptions import FieldError, ValidationFailed

PASSWORD_MAX_CHARACTERS = 128
# Hashes of earlier parameters only become fewer while a process runs.
FORMS_TTL_SECONDS = 600.0
FORMS_MAX = 4


def check_new_password(password: str, *, email: str, pointer: str = "/password") -> None:
    """Raise ValidationFailed, with every reason, unless the password may be used."""
    if len(password) > PASSWORD_MAX_CHARACTERS:
        reasons = [
            (f"The password is longer than {PASSWORD_MAX_CHARACTERS} characters.", "too_long")
        ]
    elif not _is_text(password):
        reasons = [("The password holds half a character, or NUL.", "invalid_characters")]
    else:
        reasons = _weaknesses(normalize_password(password), email)
    if reasons:
        errors = [FieldError(pointer, code, message) for message, code in reasons]
        raise ValidationFailed("The password cannot be used.", errors=errors)


def _is_text(password: str) -> bool:
    """Return False for lone surrogates, which no encoding has, and for NUL."""
    return "\0" not in password and not any("\ud800" <= each <= "\udfff" for each in password)


def _weaknesses(password: str, email: str) -> list[tuple[str, str]]:
    try:
        password_validation.validate_password(password, User(email=email))
    except ValidationError as error:
        return [(problem.messages[0], str(problem.code)) for problem in error.error_list]
    return []


def hash_password(password: str) -> str:
    """Return the argon2id hash. Raises RateLimited while too many are being computed."""
    return make_password(normalize_password(password))


def matches(password: str, user: User | None) -> bool:
    """Return whether it is the user's password. Without a user the answer takes as long: False.

    A hash of every form that somebody's hash has is verified, the user's own in the place of the
    one of its form: so it takes as long for all, whoever has which. Raises RateLimited.
    """
    can_match = len(password) <= PASSWORD_MAX_CHARACTERS and _is_text(password)
    typed = normalize_password(password) if can_match else ""
    own = user.password if user is not None and can_match else ""
    own_form, hasher, is_right = form_of(own), PasswordHasher(), False
    for form in sorted(_forms() | {own_form or CURRENT_FORM}):
        if form == own_form:
            is_right = hasher.verify(typed, own)
        else:
            hasher.verify(typed, hash_of_nobody(form))
    return is_right


def renew_hash(password: str, user: User) -> None:
    """Replace a hash of earlier parameters. Call it when the password is known to be right.

    While too many are being computed it stays for another time.
    """
    old = user.password
    if form_of(old) == CURRENT_FORM:
        return
    with suppress(RateLimited):
        new = hash_password(password)
        if User.objects.filter(pk=user.pk, password=old).update(password=new):
            user.password = new


def _read_forms(_: None) -> frozenset[str]:
    """Return the form of new hashes, and those of others that are stored; a few at most."""
    forms, others = {CURRENT_FORM}, Q(password__startswith=CURRENT_FORM)
    while len(forms) < FORMS_MAX:
        stored = User.objects.filter(password__startswith="argon2$").exclude(others)  # noqa: S106
        form = form_of(stored.values_list("password", flat=True).order_by("pk").first() or "")
        if form is None:
            break
        forms.add(form)
        others |= Q(password__startswith=form)
    return frozenset(forms)


_kept_forms: AgedCache[None, frozenset[str]] = AgedCache(
    _read_forms, max_entries=1, name="password_forms"
)


def _forms() -> frozenset[str]:
    forms = _kept_forms.find(None, FORMS_TTL_SECONDS)
    return forms or frozenset({CURRENT_FORM})


def forget_forms() -> None:
    """Look again which forms of hashes are stored."""
    _kept_forms.clear()


def tell_of_new_password(email: str) -> None:
    """Write to a user that the password is another one: it may not have been they who did it."""
    send_later(
        email,
        "Your password was changed",
        f"The password of your account {email} at {settings.PUBLIC_URL} was changed. If it was "
        "you, there is nothing to do.\n\n"
        "If it was not you, somebody else can sign in as you. Take the account back at once, and "
        f"tell the owners of your organizations. {how_to_ask_for_a_password(email)}\n",
    )
