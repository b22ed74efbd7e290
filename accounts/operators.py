"""Make operators: new accounts for the admin site, or users who are one from now on."""

from django.db import transaction

from accounts.models import User
from accounts.passwords import check_new_password, hash_password
from accounts.signup import check_email, insert_user
from tenancy.audit import record_event
from tenancy.exceptions import FieldError, NotFound, ValidationFailed


def create_operator(email: str, password: str, *, superuser: bool, by: str) -> User:
    """Create an account for the admin site. Raises ValidationFailed or EmailTaken."""
    address = check_email(email)
    check_new_password(password, email=address)
    user = User(
        email=address, password=hash_password(password), is_staff=True, is_superuser=superuser
    )
    with transaction.atomic():
        insert_user(user)
        record_event(None, "operator.created", by=by, user=str(user.pk), superuser=superuser)
    return user


def promote_user(email: str, *, superuser: bool, by: str) -> User:
    """Make a user an operator; their password stays, and no power is taken away.

    Raises NotFound, or ValidationFailed for one who may not sign in.
    """
    with transaction.atomic():
        user = get_user(email, lock=True)
        if not user.is_active:
            message = f"The user {user.email} is locked and cannot be an operator."
            raise ValidationFailed(message, errors=[FieldError("/email", "inactive", message)])
        user.is_staff, user.is_superuser = True, user.is_superuser or superuser
        user.save(update_fields=["is_staff", "is_superuser"])
        record_event(
            None, "operator.promoted", by=by, user=str(user.pk), superuser=user.is_superuser
        )
    return user


def get_user(email: str, *, lock: bool = False) -> User:
    """Return the user with an address, in any spelling. Raises ValidationFailed or NotFound."""
    rows = User.objects.select_for_update(no_key=True) if lock else User.objects.all()
    user = rows.filter(email=check_email(email)).first()
    if user is None:
        raise NotFound("There is no user with this e-mail address.")
    return user
