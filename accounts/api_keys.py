"""API keys: what programs show in the place of a token."""

from accounts.exceptions import NotAuthenticated
from accounts.principals import KeyHolder

PREFIX = "tk_"


def get_key_holder(raw: str) -> KeyHolder:
    """Return whom a key stands for now. Raises NotAuthenticated or TokenRevoked."""
    raise NotAuthenticated("The API key is not valid.")
