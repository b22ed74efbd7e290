"""Passwords that cost next to nothing: argon2 with the smallest parameters there are.

What is slow by design is not what most tests are about, and they sign in thousands of times. The
code is the product's own, and so is the form of a hash; `real_hashing` is for what is about time.
Forks hash like this, too; processes that are started from nothing hash as they do in service.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from accounts import hashing
from accounts.hashing import PasswordHasher

REAL_COSTS = (PasswordHasher.memory_cost, PasswordHasher.time_cost)
REAL_FORM = hashing.CURRENT_FORM
CHEAP_COSTS = (8, 1)  # KiB, passes


def hash_cheaply() -> None:
    """Make every hash a cheap one. Call it before anybody imports the form of hashes."""
    PasswordHasher.memory_cost, PasswordHasher.time_cost = CHEAP_COSTS
    hashing.CURRENT_FORM = form_with(CHEAP_COSTS)


def form_with(costs: tuple[int, int]) -> str:
    """Return the product's form of hashes with other costs."""
    real, other = ("m={},t={},".format(*each) for each in (REAL_COSTS, costs))
    assert real in REAL_FORM
    return REAL_FORM.replace(real, other)


@contextmanager
def real_hashing() -> Iterator[str]:
    """Hash as in service while this lasts; gives the form of such hashes."""
    from accounts import passwords

    with (
        mock.patch.multiple(PasswordHasher, memory_cost=REAL_COSTS[0], time_cost=REAL_COSTS[1]),
        mock.patch.object(hashing, "CURRENT_FORM", REAL_FORM),
        mock.patch.object(passwords, "CURRENT_FORM", REAL_FORM),
    ):
        passwords.forget_forms()
        yield REAL_FORM
    passwords.forget_forms()
