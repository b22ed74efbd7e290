"""What to tell whose query names a field that the schema of the collection does not have.

Never a refusal: documents that were stored before the schema may have it, and to look for it is
how they are found.
"""

from collections.abc import Iterable, Iterator
from itertools import chain

from tenancy.catalog import Tenant
from tenancy.models import SchemaMode
from tenancy.schema_fields import Doubt, SchemaFields
from tenancy.schemas import find_fields
from tenancy.wording import shorten

MAX_TOLD = 3


def find_hint(
    tenant: Tenant,
    collection: str,
    *,
    searched: Iterable[str] = (),
    used: Iterable[str] = (),
    is_empty: bool = True,
) -> str | None:
    """Return a sentence on each field that is probably a slip, at most three, or None.

    `searched` are the fields of a filter, `used` those that are sorted by, given or computed with.
    Where the answer is not empty, what was found speaks for the filter, and only of `used` it is
    told what no document of an enforced schema can have. In steady state the catalog is not asked.
    """
    reference = tenant.schemas.get(collection)
    paths = dict.fromkeys(chain(searched, used) if is_empty else used) if reference else ()
    if reference is None or not paths or (fields := find_fields(tenant, collection)) is None:
        return None
    is_enforced = reference.mode == SchemaMode.ENFORCE
    sentences = _sentences(fields, paths, is_enforced=is_enforced, is_empty=is_empty)
    return " ".join(each for each, _ in zip(sentences, range(MAX_TOLD), strict=False)) or None


def _sentences(
    fields: SchemaFields, paths: Iterable[str], *, is_enforced: bool, is_empty: bool
) -> Iterator[str]:
    for doubt in fields.find_doubts(paths):
        if is_enforced and doubt.is_impossible:
            yield f"The enforced schema has no field {_shown(doubt)}"
        elif is_empty and doubt.near:
            yield f"The schema does not name the field {_shown(doubt)}"


def _shown(doubt: Doubt) -> str:
    meant = f" Did you mean “{doubt.near}”?" if doubt.near else ""
    return f"“{shorten(doubt.path)}”.{meant}"
