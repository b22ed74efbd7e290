"""Requests that may be sent more than once: what was asked under a key is done once.

Who comes first with a key inserts its record: the unique constraint decides. Meanwhile it holds a
lease; whoever repeats the request is told to wait. Once there is an answer, a repeat gets that. A
process that dies leaves a lease that lapses: the repeat takes over, by compare-and-set, with the
same `resource`, the id of what the request makes, and so finds what the first attempt has made.

`Store` is all that the edge (`tenancy.api.idempotent`) knows. `CATALOG` keeps the records of
requests that change the catalog.
"""

import base64
import json
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Protocol
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenancy import encryption
from tenancy.exceptions import IdempotencyInProgress, IdempotencyKeyReused
from tenancy.models import IdempotencyRecord

KEPT_FOR = timedelta(hours=24)
# Longer than a request takes: one that still runs then is overtaken, and makes nothing twice.
LEASE = timedelta(seconds=30)
BEGIN_ATTEMPTS = 5
PRUNE_BATCH = 500
PRUNE_BATCHES = 20
SALT = "tenancy.idempotency"


@dataclass(frozen=True)
class Ask:
    """What is asked: who asks, under which key, and a digest of everything that was sent."""

    scope: str
    key: str
    digest: str


@dataclass(frozen=True)
class Attempt:
    """The right to do it, until the lease ends; `resource` is the id of what is made."""

    record: UUID
    resource: UUID
    number: int = 1


@dataclass(frozen=True)
class Answer:
    """What was answered: everything that a repeat gets again."""

    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Store(Protocol):
    """Where the records are: beside what the requests change, so that both are kept or neither."""

    def begin(self, ask: Ask) -> Attempt | Answer:
        """Return the right to do it, or what was answered when it was done.

        Raises IdempotencyInProgress while another attempt holds the lease, and
        IdempotencyKeyReused if the key was sent with something else.
        """

    def finish(self, attempt: Attempt, answer: Answer) -> None:
        """Keep the answer, unless the attempt was overtaken."""

    def give_up(self, attempt: Attempt) -> None:
        """Let the next attempt begin at once, with the same resource."""


class CatalogStore:
    """Records in the catalog. Answers are encrypted: they may hold a secret that is shown once."""

    def begin(self, ask: Ask) -> Attempt | Answer:
        """See `Store`."""
        for _ in range(BEGIN_ATTEMPTS):
            found = _insert(ask) or _find(ask)
            if found is not None:
                return found
        raise IdempotencyInProgress

    def finish(self, attempt: Attempt, answer: Answer) -> None:
        """See `Store`."""
        _mine(attempt).update(
            status=answer.status, answer_encrypted=_seal(answer), lease_until=None
        )

    def give_up(self, attempt: Attempt) -> None:
        """See `Store`."""
        _mine(attempt).update(lease_until=None)


CATALOG = CatalogStore()


def keyed_digest(text: str) -> str:
    """Return what is kept of a text that may be guessed: nobody can try without the secret key."""
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()


def prune_records() -> int:
    """Remove expired records, a bounded number of them. Return how many."""
    removed = 0
    for _ in range(PRUNE_BATCHES):
        expired = IdempotencyRecord.objects.filter(expires_at__lte=timezone.now())
        keys = list(expired.values_list("pk", flat=True)[:PRUNE_BATCH])
        removed += expired.filter(pk__in=keys).delete()[0]
        if len(keys) < PRUNE_BATCH:
            break
    return removed


def reencrypt_answers() -> int:
    """Encrypt every answer that is kept with the first key. Return how many needed it.

    Raises Undecryptable.
    """
    changed = 0
    for row in IdempotencyRecord.objects.exclude(answer_encrypted="").iterator(PRUNE_BATCH):
        if not encryption.is_of_first_key(row.answer_encrypted):
            sealed = encryption.reencrypt(row.answer_encrypted)
            IdempotencyRecord.objects.filter(pk=row.pk).update(answer_encrypted=sealed)
            changed += 1
    return changed


def forget_records(organization_id: UUID) -> int:
    """Remove what is kept of requests in, or for, an organization. Return how many."""
    its_own = Q(resource=organization_id) | Q(scope__endswith=f"/{organization_id}")
    return IdempotencyRecord.objects.filter(its_own).delete()[0]


def _insert(ask: Ask) -> Attempt | None:
    """Return the first attempt, or None if there is a record already."""
    now = timezone.now()
    row = IdempotencyRecord(
        **asdict(ask), resource=uuid4(), lease_until=now + LEASE, expires_at=now + KEPT_FOR
    )
    try:
        with transaction.atomic():
            row.save(force_insert=True)
    except IntegrityError:
        return None
    return Attempt(row.pk, row.resource)


def _find(ask: Ask) -> Attempt | Answer | None:
    """Return what the record says, or None if it changed while it was looked at."""
    row = IdempotencyRecord.objects.filter(scope=ask.scope, key=ask.key).first()
    now = timezone.now()
    if row is None:
        return None
    if row.expires_at <= now:
        IdempotencyRecord.objects.filter(pk=row.pk).delete()
        return None
    if row.digest != ask.digest:
        raise IdempotencyKeyReused
    if row.status is not None:
        return _unseal(row.status, row.answer_encrypted)
    if row.lease_until is not None and row.lease_until > now:
        raise IdempotencyInProgress
    return _take_over(row)


def _take_over(row: IdempotencyRecord) -> Attempt | None:
    attempt = Attempt(row.pk, row.resource, row.attempts)
    unchanged = _mine(attempt).filter(lease_until=row.lease_until)
    number = row.attempts + 1
    won = unchanged.update(attempts=number, lease_until=timezone.now() + LEASE)
    return Attempt(row.pk, row.resource, number) if won else None


def _mine(attempt: Attempt) -> QuerySet[IdempotencyRecord]:
    rows = IdempotencyRecord.objects.filter(pk=attempt.record, attempts=attempt.number)
    return rows.filter(status=None)


def _seal(answer: Answer) -> str:
    body = base64.b64encode(answer.body).decode()
    return encryption.encrypt(json.dumps({"body": body, "headers": answer.headers}))


def _unseal(status: int, sealed: str) -> Answer:
    kept = json.loads(encryption.decrypt_uncached(sealed))
    return Answer(status, base64.b64decode(kept["body"]), kept["headers"])
