"""The proof that an organization's data is gone: what there was, then a record that it was removed.

No personal data: figures, and the names of places.
"""

import logging
from dataclasses import asdict
from typing import Any

from tenancy import catalog
from tenancy.exceptions import TenancyError
from tenancy.lifecycle.places import places_of
from tenancy.models import OPEN, ErasureRecord, Operation, Organization, Usage
from tenancy.mongo.measuring import NOTHING, Measure, measure_collection
from tenancy.operations import Run

logger = logging.getLogger("tenantry.erasure")

# What cannot be measured in this time is taken from what was counted along with the writes.
MEASURE_SECONDS = 5.0
_STOCK = "stock"
BATCH = 500


def take_stock(run: Run) -> None:
    """Note once, before anything is dropped, what will be removed; a repeat finds the note."""
    if _STOCK in run.operation.state:
        return
    organization = run.organization
    names = catalog.declared_collections(organization.pk)
    measured = _measure(run, organization, names)
    stock = {
        "collections": len(names),
        "documents": measured.documents,
        "bytes": measured.bytes,
        "places": [asdict(place) for place in places_of(organization)],
    }
    run.update(state=run.operation.state | {_STOCK: stock})


def _measure(run: Run, organization: Organization, names: list[str]) -> Measure:
    address, total = catalog.address_of(organization.placement), NOTHING
    try:
        for name in names:
            run.renew()
            total += measure_collection(address, name, timeout_seconds=MEASURE_SECONDS)
    except TenancyError as error:
        logger.warning("%s: taken from what was counted: %s", run.operation, error.detail)
        counted = Usage.objects.filter(organization=organization).first()
        return Measure(max(0, counted.documents), max(0, counted.bytes)) if counted else NOTHING
    return total


def forget_operations(organization: Organization) -> None:
    """Blank what ended operations were told and have found: it holds names, and says where.

    The rows stay, and each text of their parameters as an empty one: they are read by its key.
    The purge that calls it goes on by its parameters, and has used what it found.
    """
    its_own = Operation.objects.filter(organization=organization)
    its_own.open().update(state={})
    for row in its_own.exclude(status__in=OPEN).iterator(BATCH):
        params = _blanked(row.params)
        Operation.objects.filter(pk=row.pk).update(params=params, state={}, error="")
    copied = {"kind": "clone", "params__source_organization": str(organization.pk)}
    for row in Operation.objects.filter(**copied).exclude(status__in=OPEN).iterator(BATCH):
        params = row.params | {"source": _blanked(row.params.get("source", {}))}
        Operation.objects.filter(pk=row.pk).update(params=params)


def _blanked(value: Any) -> Any:
    """Return JSON of the same shape without its texts."""
    if isinstance(value, dict):
        return {key: _blanked(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_blanked(inner) for inner in value]
    return "" if isinstance(value, str) else value


def write_erasure_record(run: Run, **counted: int) -> None:
    """Write what was removed. Call it in the transaction that leaves the tombstone.

    `counted` are the `members` and the `audit_addresses` that are gone.
    """
    stock: dict[str, Any] = run.operation.state.get(_STOCK, {})
    ErasureRecord.objects.get_or_create(
        organization_id=run.organization_id,
        defaults={"by": run.operation.by, **counted, **stock},
    )
