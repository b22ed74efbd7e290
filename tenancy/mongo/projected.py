"""Documents of which only some fields are asked for, and what is read beside them for pages."""

from typing import Any

from tenancy.mongo.revisions import shown
from tenancy.mongo.sort_keys import ENTRY, KEY, WHOLE

Document = dict[str, Any]


def includes(fields: Document | None) -> bool:
    """Return whether a projection names what is wanted, and not what is left out."""
    return bool(fields) and all((fields or {}).values())


def presented(row: Document) -> Document:
    """Return a document as its client sees it, without what was read for pages."""
    document: Document = row.get(WHOLE, row)
    document["_id"] = row["_id"]
    for name in (KEY, ENTRY):
        document.pop(name, None)
    return shown(document)
