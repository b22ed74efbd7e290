"""The counterpart of a sign-in: argon2 alone, in as many threads, in a process of its own."""

from dataclasses import dataclass

from argon2.low_level import Type, verify_secret

from benchmarks.load_process import Make
from benchmarks.raw_client import Threads


@dataclass(frozen=True)
class Argon2Plan:
    """Compare a password with its hash, as Django keeps it: `argon2$argon2id$v=19$...`."""

    encoded: str
    password: str
    threads: int = 1

    def start(self) -> Make:
        """Return the function that makes the load."""
        kept, secret = self.encoded.removeprefix("argon2").encode(), self.password.encode()
        return Threads(lambda _: verify_secret(kept, secret, Type.ID), self.threads).run
