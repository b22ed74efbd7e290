"""What accounts keep encrypted, under a new key: the secrets of authenticators."""

from typing import Any

from django.dispatch import receiver

from accounts.models import TotpDevice
from tenancy import encryption
from tenancy.lifecycle import encryption_key_changed


@receiver(encryption_key_changed)
def reencrypt_secrets(**_: Any) -> int:
    """Encrypt every secret with the first key. Return how many needed it. Raises Undecryptable."""
    changed = 0
    for device in TotpDevice.objects.only("secret_encrypted").iterator():
        old = device.secret_encrypted
        if not encryption.is_of_first_key(old):
            unchanged = TotpDevice.objects.filter(pk=device.pk, secret_encrypted=old)
            changed += unchanged.update(secret_encrypted=encryption.reencrypt(old))
    return changed
