"""What is answered: under an `Idempotency-Key`, and besides."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ask:
    """What is asked: who asks, under which key, and a digest of everything that was sent."""

    scope: str
    key: str
    digest: str


@dataclass(frozen=True)
class Answer:
    """What was answered: everything that a repeat gets again."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


def add_headers(response: Any, headers: Mapping[str, str]) -> None:
    """Give one of Django's responses headers of our own making: ASCII, without line breaks.

    That is not checked again, as Django would; with every answer it costs more than the headers.
    """
    store = response.headers._store  # noqa: SLF001 -- as Django keeps them
    for name, value in headers.items():
        store[name.lower()] = (name, value)
