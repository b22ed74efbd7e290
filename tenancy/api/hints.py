"""Hints in answers: fields that a query names and the collection's schema does not have."""

from collections.abc import Iterable

from tenancy.api.views import DataViewSet
from tenancy.field_hints import find_hint
from tenancy.mongo.named_fields import Stages, searched_by_stages, searched_fields, used_by_stages
from tenancy.mongo.reading import Selection


def hint_for(
    view: DataViewSet,
    collection: str,
    *,
    searched: Iterable[str] = (),
    used: Iterable[str] = (),
    is_empty: bool = True,
) -> dict[str, str]:
    """Return `{"hint": ...}` for an answer, or {}; nothing is read where there is no schema."""
    if collection not in view.tenant.schemas:
        return {}
    hint = find_hint(view.tenant, collection, searched=searched, used=used, is_empty=is_empty)
    return {} if hint is None else {"hint": hint}


def hint_for_selection(
    view: DataViewSet, collection: str, wanted: Selection, *, is_empty: bool
) -> dict[str, str]:
    """Return the hint for a filter, a sort and the fields that are to be given."""
    given = (name for name, is_given in (wanted.fields or {}).items() if is_given)
    used = [*(name for name, _ in wanted.order), *given]
    query = searched_fields(wanted.query)
    return hint_for(view, collection, searched=query, used=used, is_empty=is_empty)


def hint_for_stages(
    view: DataViewSet, collection: str, stages: Stages, *, is_empty: bool
) -> dict[str, str]:
    """Return the hint for a compiled pipeline."""
    searched, used = searched_by_stages(stages), used_by_stages(stages)
    return hint_for(view, collection, searched=searched, used=used, is_empty=is_empty)
