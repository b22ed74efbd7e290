"""The second half of a sign-in: a code for somebody whose password was right a moment ago."""

from accounts import two_factor
from accounts.login import SignedIn, finish_log_in
from accounts.sessions import Device
from accounts.two_factor_tokens import read_token


def log_in_with_code(token: str, given: str, *, device: Device) -> SignedIn:
    """Sign in with the token that came with two_factor_required, and a code or recovery code.

    Raises NotAuthenticated, TokenExpired, TokenRevoked, TwoFactorInvalid, or what `log_in` raises
    once who it is has been proved.
    """
    waiting = read_token(token)
    two_factor.spend(waiting.user, given)
    return finish_log_in(
        waiting.user, waiting.organization, device, methods=two_factor.BOTH_METHODS
    )
