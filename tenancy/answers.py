"""What is asked under an `Idempotency-Key`, and what was answered."""

from dataclasses import dataclass, field


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
