"""Win, release and retire slugs. Call inside a transaction."""

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from tenancy.exceptions import FieldError, NameTaken
from tenancy.models import Organization, Placement, SlugReservation
from tenancy.names import namespace_of_id, namespace_of_slug


def reserve_slug(organization: Organization, slug: str, *, pointer: str = "/name") -> bool:
    """Win the slug by its primary key, or raise NameTaken.

    Return whether the organization had it before: it may always go back to a name of its own.
    """
    own = SlugReservation.objects.filter(slug=slug, organization=organization)
    if own.update(retired_at=None):
        return True
    expired = timezone.now() - settings.TENANCY_SLUG_RETIREMENT
    SlugReservation.objects.filter(slug=slug, retired_at__lt=expired).delete()
    try:
        with transaction.atomic():
            SlugReservation.objects.create(slug=slug, organization=organization)
    except IntegrityError as error:
        raise name_taken(slug, pointer=pointer) from error
    return False


def name_taken(slug: str, *, pointer: str) -> NameTaken:
    """Return the error that says which name is taken, and until when if it is retired."""
    message = f"The name is taken: another organization has the address “{slug}”."
    held = SlugReservation.objects.filter(slug=slug, retired_at__isnull=False).first()
    if held is not None and held.retired_at is not None:
        until = held.retired_at + settings.TENANCY_SLUG_RETIREMENT
        message = (
            f"The address “{slug}” belonged to another organization and is kept free "
            f"until {until:%Y-%m-%d}, so that nobody takes the one for the other."
        )
    return NameTaken(message, errors=[FieldError(pointer, "name_taken", message)])


def retire_slug(organization: Organization, slug: str) -> None:
    """Keep a slug from being given to others for the time of its retirement."""
    SlugReservation.objects.filter(slug=slug, organization=organization).update(
        retired_at=timezone.now()
    )


def release_slug(organization: Organization, slug: str) -> None:
    """Free a slug that was reserved and never used."""
    SlugReservation.objects.filter(slug=slug, organization=organization).delete()


def namespaces_of(organization: Organization) -> list[str]:
    """Return every namespace that the organization has or had and nobody else was given."""
    slugs = SlugReservation.objects.filter(organization=organization)
    names = {namespace_of_slug(slug) for slug in slugs.values_list("slug", flat=True)}
    names.add(namespace_of_id(organization.pk))  # from when naming was by id
    others = Placement.objects.filter(namespace__in=names).exclude(organization=organization)
    names -= set(others.values_list("namespace", flat=True))
    return sorted(names | {organization.placement.namespace})


def check_slug_is_free(slug: str, *, pointer: str) -> None:
    """Raise NameTaken if nobody can win the slug now. Who can now may lose it all the same."""
    expired = timezone.now() - settings.TENANCY_SLUG_RETIREMENT
    if SlugReservation.objects.filter(slug=slug).exclude(retired_at__lt=expired).exists():
        raise name_taken(slug, pointer=pointer)
