"""Requests that may be sent more than once: what was asked under a key is done once.

Who comes first with a key inserts its record: the unique constraint decides. Meanwhile it holds a
lease; whoever repeats the request is told to wait. Once there is an answer, a repeat gets that. A
process that dies leaves a lease that lapses: the repeat takes over, by compare-and-set, with the
same `resource`, the id of what the request makes, and so finds what the first attempt has made.
If the first was not dead but slow, `hold_attempt` stops it before it changes anything, and an
answer that cannot be kept is given to nobody: what the repeat was given stays good.

`Store` is all that the edge (`tenancy.api.idempotent`) knows. `CATALOG` keeps the records of
requests that change the catalog.
"""

import base64
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Protocol, Self
from uuid import UUID, uuid4

from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, Subquery
from django.utils import timezone
from django.utils.crypto import salted_hmac

from tenancy import encryption
from tenancy.answers import Answer, Ask
from tenancy.clock import seconds
from tenancy.exceptions import IdempotencyInProgress, IdempotencyKeyReused
from tenancy.models import IdempotencyRecord

KEPT_FOR = timedelta(hours=24)
# Longer than a request takes: one that still runs then is overtaken, and makes nothing twice.
LEASE = timedelta(seconds=30)
BEGIN_ATTEMPTS = 5
PRUNE_BATCH = 500
# Of the housekeeping's time, which other work waits for.
PRUNE_SECONDS = 5.0
# Of those with one scope: what was refused changed nothing, so a repeat is refused once more.
REFUSALS_MAX = 1_000
REFUSED = Q(status__gte=400) | Q(status=None, lease_until=None)
SALT = "tenancy.idempotency"


@dataclass(frozen=True)
class Attempt:
    """The right to do it, until the lease ends; `resource` is the id of what is made.

    Without a `record` nobody else can have it.
    """

    record: UUID | None
    resource: UUID
    number: int = 1

    @classmethod
    def without_key(cls) -> Self:
        """Return the right to do what is asked for once, without a key."""
        return cls(None, uuid4())


class Store(Protocol):
    """Where the records are: beside what the requests change, so that both are kept or neither."""

    def begin(self, ask: Ask) -> Attempt | Answer:
        """Return the right to do it, or what was answered when it was done.

        Raises IdempotencyInProgress while another attempt holds the lease, and
        IdempotencyKeyReused if the key was sent with something else.
        """

    def finish(self, attempt: Attempt, answer: Answer) -> bool:
        """Keep the answer. Return False if the attempt was overtaken: then nobody may get it."""

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

    def finish(self, attempt: Attempt, answer: Answer) -> bool:
        """See `Store`."""
        is_kept = _mine(attempt).update(
            status=answer.status, answer_encrypted=_seal(answer), lease_until=None
        )
        if is_kept and answer.status >= 400:
            _forget_oldest_refusals(attempt)
        return bool(is_kept)

    def give_up(self, attempt: Attempt) -> None:
        """See `Store`."""
        if _mine(attempt).update(lease_until=None):
            _forget_oldest_refusals(attempt)


CATALOG = CatalogStore()


def hold_attempt(attempt: Attempt) -> None:
    """Make sure that the attempt was not overtaken, nor will be until the transaction ends.

    Call it in the transaction that makes the thing, before anything is changed for good: after the
    organization was locked, as a purge takes the locks in that order. From here on there is the
    whole lease again, to commit and to answer in. Raises IdempotencyInProgress.
    """
    if attempt.record is None:
        return
    if not _mine(attempt).update(lease_until=timezone.now() + LEASE):
        raise IdempotencyInProgress


def keyed_digest(text: str) -> str:
    """Return what is kept of a text that may be guessed: nobody can try without the secret key."""
    return salted_hmac(SALT, text, algorithm="sha256").hexdigest()


def prune_records() -> int:
    """Remove expired records, all or as many as there is time for. Return how many."""
    removed, ends_at = 0, seconds() + PRUNE_SECONDS
    while True:
        expired = IdempotencyRecord.objects.filter(expires_at__lte=timezone.now())
        count = _remove(expired, expired.values_list("pk", flat=True)[:PRUNE_BATCH])
        removed += count
        if count < PRUNE_BATCH or seconds() >= ends_at:
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


def forget_answers(scope: str) -> None:
    """Give no answer of a scope again; a repeat is another request from now on."""
    IdempotencyRecord.objects.filter(scope=scope).exclude(status=None).delete()


def forget_records(organization_id: UUID) -> int:
    """Remove what is kept of requests in, or for, an organization. Return how many."""
    its_own = Q(resource=organization_id) | Q(scope__endswith=f"/{organization_id}")
    return IdempotencyRecord.objects.filter(its_own).delete()[0]


def _forget_oldest_refusals(attempt: Attempt) -> None:
    """Keep the newest that the scope of an attempt has."""
    scope = _record_of(attempt).values("scope")
    refused = IdempotencyRecord.objects.filter(REFUSED, scope=Subquery(scope[:1]))
    newest_first = refused.order_by("-created_at", "pk").values_list("pk", flat=True)
    _remove(refused, newest_first[REFUSALS_MAX : REFUSALS_MAX + PRUNE_BATCH])


def _remove(rows: QuerySet[IdempotencyRecord], chosen: Iterable[UUID]) -> int:
    """Remove the chosen that still are among the rows, and that nobody else is at."""
    keys = list(chosen)
    if not keys:
        return 0
    with transaction.atomic():
        free = rows.filter(pk__in=keys).select_for_update(skip_locked=True)
        locked = list(free.values_list("pk", flat=True))
        return IdempotencyRecord.objects.filter(pk__in=locked).delete()[0]


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
    return _record_of(attempt).filter(attempts=attempt.number, status=None)


def _record_of(attempt: Attempt) -> QuerySet[IdempotencyRecord]:
    rows = IdempotencyRecord.objects.all()
    return rows.none() if attempt.record is None else rows.filter(pk=attempt.record)


def _seal(answer: Answer) -> str:
    body = base64.b64encode(answer.body).decode()
    return encryption.encrypt(json.dumps({"body": body, "headers": answer.headers}))


def _unseal(status: int, sealed: str) -> Answer:
    kept = json.loads(encryption.decrypt_uncached(sealed))
    return Answer(status, base64.b64decode(kept["body"]), kept["headers"])
