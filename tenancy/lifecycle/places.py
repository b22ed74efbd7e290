"""Every place in which an organization's data is, or may have been left."""

from collections.abc import Iterator

from tenancy.lifecycle.move_plans import Place, place_of
from tenancy.lifecycle.slugs import namespaces_of
from tenancy.models import Cluster, Operation, Organization


def places_of(organization: Organization) -> list[Place]:
    """Return where it lives, where moves have begun or ended, and the names that it had there.

    Places on clusters that were removed are left out: nobody can reach them any more.
    """
    known = set(Cluster.objects.values_list("alias", flat=True))
    own = namespaces_of(organization)  # a name that was given up may be somebody else's by now
    places: dict[Place, None] = {}
    for place in _visited(organization):
        if place.kind == "collection":
            places |= dict.fromkeys(Place(place.kind, place.cluster, name) for name in own)
        else:
            places[place] = None
    return [place for place in places if place.cluster in known]


def _visited(organization: Organization) -> Iterator[Place]:
    yield place_of(organization)
    moves = Operation.objects.filter(organization=organization, kind="move")
    for params in moves.order_by("created_at").values_list("params", flat=True):
        yield Place(**params["source"])
        yield Place(**params["target"])
