"""Letters to people: through Django's mail back ends, never in the way of a request."""

import json
import logging
import shlex
import sys
from functools import partial
from typing import Any

from django.conf import settings
from django.core.mail import get_connection, send_mail

from accounts.background import do_later

logger = logging.getLogger("tenantry.mail")

SUBJECT_MAX_CHARACTERS = 200
CONSOLE = "django.core.mail.backends.console.EmailBackend"


def send_later(to: str, subject: str, text: str) -> None:
    """Send a letter soon, once the transaction has committed if there is one. Never raises.

    A letter that cannot be sent is logged without its address, subject and text, and not sent
    again: people can ask for another one.
    """
    do_later(partial(send, to, subject, text))


def send(to: str, subject: str, text: str) -> None:
    """Send a letter now. Line breaks cannot become headers: the subject is one line."""
    one_line = " ".join(subject.split())[:SUBJECT_MAX_CHARACTERS]
    try:
        sender = settings.DEFAULT_FROM_EMAIL
        send_mail(one_line, text, sender, [to], connection=_connection())
    except Exception as error:  # noqa: BLE001 -- back ends raise what they like, with addresses in it
        logger.error("A letter could not be sent: %s", type(error).__name__)  # noqa: TRY400


def _connection() -> Any:
    """Return the back end. Letters that are printed are kept apart from what a command prints."""
    is_printed = settings.EMAIL_BACKEND == CONSOLE
    return get_connection(stream=sys.stderr) if is_printed else get_connection()


def how_to_use(token: str, *, page: str, route: str, **fields: str) -> str:
    """Return what a letter says of the token in it.

    `page` is the URL of an application's page with `{token}` in it; without one it is how to call
    the route of the API, with the `fields` that it takes besides.
    """
    if page:
        return page.replace("{token}", token)
    return f"With this token:\n\n{token}\n\n{how_to_post(route, token=token, **fields)}"


def how_to_post(route: str, **fields: str) -> str:
    """Return the command line that sends fields to a route under /auth, for whoever has no page."""
    url = shlex.quote(f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/auth/{route}")
    body = shlex.quote(json.dumps(fields))
    command = f"curl {url} -H 'Content-Type: application/json' -d {body}"
    return f"There is no page for this; in a terminal:\n\n{command}"


def how_to_ask_for_a_password(email: str) -> str:
    """Return what a letter says to whoever needs a new password."""
    if settings.ACCOUNTS_RESET_URL:
        return "Ask for a new password where you sign in."
    return f"Ask for a new password. {how_to_post('password/forgot', email=email)}"
