"""The letter that invites."""

from django.conf import settings

from accounts.mail import send_later
from accounts.models import Invitation

LETTER = """\
Hello,

{inviter} invites you to join “{organization}” as {role}.

See the invitation and accept it here:

{link}
{for_programs}
It is for {email}, works once, and can be accepted until {until} UTC.

If you do not expect this letter you need do nothing: without the link nobody can accept. Do not
pass the link on; whoever has it can join in your place.
"""
FOR_PROGRAMS = """
There is no page for this. To accept, send a POST request to that address with /accept added to
it, and with this JSON in its body: {"password": "..."}. It is the password of your account under
this e-mail address, or, if you have none, the one you want.
"""
ROLES = {"owner": "an owner", "admin": "an administrator", "editor": "an editor",
         "viewer": "a viewer"}  # fmt: skip


def link_to(token: str) -> str:
    """Return the address at which an invitation is seen and accepted."""
    if settings.ACCOUNTS_INVITATION_URL:
        return str(settings.ACCOUNTS_INVITATION_URL).replace("{token}", token)
    return f"{settings.PUBLIC_URL.rstrip('/')}/api/v1/invitations/{token}"


def send_invitation(invitation: Invitation, token: str) -> None:
    """Send the letter with the token in it."""
    inviter, organization = invitation.invited_by, invitation.organization.name
    text = LETTER.format(
        inviter=inviter.email if inviter is not None else "An administrator",
        organization=organization,
        role=ROLES[invitation.role],
        link=link_to(token),
        for_programs="" if settings.ACCOUNTS_INVITATION_URL else FOR_PROGRAMS,
        email=invitation.email,
        until=f"{invitation.expires_at:%d %B %Y, %H:%M}",
    )
    send_later(invitation.email, f"Invitation to {organization}", text)
