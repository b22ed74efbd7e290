"""Letters to people: through Django's mail back ends, never in the way of a request."""

import logging

from django.conf import settings
from django.core.mail import send_mail

logger = logging.getLogger("tenantry.mail")


def send_later(to: str, subject: str, text: str) -> None:
    """Send a letter. A back end that fails is logged and disturbs nobody."""
    try:
        send_mail(subject, text, settings.DEFAULT_FROM_EMAIL, [to])
    except OSError:
        logger.exception("A letter could not be sent.")
