"""The five routes that clients of many small services know; thin, and with the same guarantees."""

from contextlib import suppress
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django.conf import settings
from django.db import transaction
from django.http import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import FormParser, MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import schema
from accounts.api.auth import device_of
from accounts.api.legacy_input import check_names, read_given, read_name
from accounts.api.serializers import ALIASES, Changes, NamedOrganization, NewOrganization
from accounts.api.signup_keys import by_email
from accounts.authentication import AccessTokenAuthentication, find_principal, get_signed_in
from accounts.confirmed_signup import ASKED, CONFIRMED, ask_to_sign_up
from accounts.exceptions import NotAuthenticated, PermissionDenied, TokenRevoked
from accounts.models import User
from accounts.owner_emails import find_owner_email
from accounts.passwords import check_new_password, hash_password
from accounts.principals import Principal
from accounts.roles import PUBLIC
from accounts.signup import Account, AccountChange, check_email, sign_up
from tenancy import lifecycle
from tenancy.access import check_served
from tenancy.api.idempotent import idempotent
from tenancy.api.json import BODY_MAX_BYTES, JsonParser
from tenancy.api.requests import validated
from tenancy.api.viewsets import ApiViewSet
from tenancy.catalog import Tenant, get_tenant
from tenancy.context import current_tenant
from tenancy.exceptions import (
    AlreadyExists,
    FieldError,
    InvalidName,
    NameTaken,
    OrganizationNotFound,
    PayloadTooLarge,
    TenancyError,
    ValidationFailed,
)
from tenancy.idempotency import Attempt
from tenancy.models import Organization, OrganizationStatus
from tenancy.names import MAIN, clean_name, physical_collection, slug_of
from tenancy.slugs import find_tenant

# When these routes were superseded by /api/v1: 2026-11-20, as RFC 9745 writes it.
DEPRECATED_AT = "@1795132800"
VISIBLE = (OrganizationStatus.ACTIVE, OrganizationStatus.SUSPENDED)


class OptionalAuthentication(AccessTokenAuthentication):
    """Anonymous unless the token is good: for a public route that tells a member more."""

    def authenticate(self, request: Request) -> tuple[Principal, Any] | None:
        """Return the principal, or None."""
        with suppress(NotAuthenticated):
            return super().authenticate(request)
        return None


class LegacyViewSet(ApiViewSet):
    """Marks its answers as deprecated and says where the successor is."""

    parser_classes = [JsonParser, FormParser, MultiPartParser]
    # Clients of these services expect 400 where the contract of /api/v1 says 409.
    problem_status: ClassVar[dict[type[Exception], int]] = {AlreadyExists: 400, NameTaken: 400}
    required: ClassVar[dict[str, str]] = {}
    successor = "/api/v1/organization"

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse a body that is larger than any of JSON may be, before it is read."""
        super().initial(request, *args, **kwargs)
        length = str(request.META.get("CONTENT_LENGTH") or "")
        if length.isdecimal() and int(length) > BODY_MAX_BYTES:
            raise PayloadTooLarge(f"The body is larger than {BODY_MAX_BYTES:,} bytes.")

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Add the two headers to whatever is answered."""
        answer = super().finalize_response(request, response, *args, **kwargs)
        answer["Deprecation"] = DEPRECATED_AT
        answer["Link"] = f'<{self.successor}>; rel="successor-version"'
        return answer


def represent(
    organization: Organization | Tenant, admin_email: str | None = None
) -> dict[str, Any]:
    """Return the fields of the old contract, at the top and again under `organization`."""
    placed: Any = getattr(organization, "address", None) or cast(Any, organization).placement
    fields: dict[str, Any] = {
        "id": str(organization.id),
        "organization_id": str(organization.id),
        "organization_name": organization.name,
        "collection_name": physical_collection(placed.namespace, MAIN),
        "created_at": organization.created_at.isoformat(),
    }
    if admin_email is not None:
        fields["admin_email"] = admin_email
    return fields | {"organization": dict(fields)}


def _checked_email(text: str, user: User) -> str:
    """Return a user's new address. Where addresses are proved by letter this is not the way."""
    email = check_email(text)
    if settings.ACCOUNTS_SIGNUP == CONFIRMED and email != user.email:
        message = "An address is proved by a letter here: use PATCH /api/v1/me."
        raise ValidationFailed(message, errors=[FieldError("/email", "unproved", message)])
    return email


def _slug(name: str) -> str | None:
    try:
        return slug_of(clean_name(name))
    except InvalidName:
        return None  # no organization can have such a name


def _find(name: str) -> Tenant | None:
    slug = _slug(name)
    return find_tenant(slug, statuses=VISIBLE) if slug else None


@extend_schema(tags=["compatibility"])
class SignUpLegacyViewSet(LegacyViewSet):
    """POST /org/create: no token."""

    authentication_classes = []
    required = {"create": PUBLIC}
    address_limits = {"create": "LIMIT_SIGNUP_ADDRESS"}
    successor = "/api/v1/auth/signup"

    @extend_schema(**schema.LEGACY_CREATE)
    @idempotent(by_email)
    def create(self, request: Request, *, attempt: Attempt) -> Response:
        """Create an organization and its admin."""
        given = read_given(request, query=False, aliases=ALIASES)
        with given.pointing():
            form = validated(NewOrganization, given.fields)
            name = form["organization_name"]
            account = Account(form["email"], form["password"], code=form.get("code"))
            if settings.ACCOUNTS_SIGNUP == CONFIRMED:
                ask_to_sign_up(name, account)
                return Response({"message": ASKED}, status=202)
            signed_in = sign_up(name, account, device=device_of(request), attempt=attempt)
        organization = signed_in.membership.organization
        message = {"message": f"Organization '{organization.name}' created successfully"}
        body = message | represent(organization, signed_in.membership.user.email)
        location = f"/org/get?{urlencode({'organization_name': organization.name})}"
        return Response(body, status=201, headers={"Location": location})


@extend_schema(tags=["compatibility"])
class GetLegacyViewSet(LegacyViewSet):
    """GET /org/get: public."""

    authentication_classes = [OptionalAuthentication]
    required = {"retrieve": PUBLIC}

    @extend_schema(**schema.LEGACY_GET)
    def retrieve(self, request: Request) -> Response:
        """Return an organization; to its own members also the admin's address."""
        given = read_given(request, body=False, aliases={})
        if "organization_name" not in given.fields:
            check_names(given, "organization_name")  # it may be there under a name like it
        tenant = _find(read_name(given))
        if tenant is None:
            raise OrganizationNotFound
        member = find_principal(request)
        is_own = (
            member is not None
            and member.organization_id == tenant.id
            and member.may("members.read")
            and not member.lacks_second_factor
        )
        return Response(represent(tenant, find_owner_email(tenant.id) if is_own else None))


@extend_schema(tags=["compatibility"])
class ManageLegacyViewSet(LegacyViewSet):
    """PUT /org/update and DELETE /org/delete: the token's own organization."""

    required = {"update": "organization.update", "destroy": "organization.delete"}

    @property
    def _tenant(self) -> Tenant:
        """What is changed, read now: the names in the request are compared with it."""
        tenant = get_tenant(current_tenant(), max_age=0)
        check_served(tenant)
        return tenant

    @property
    def _principal(self) -> Principal:
        return cast(Principal, find_principal(self.request))

    def _check_own(self, name: str, tenant: Tenant) -> None:
        """Raise unless the name is the tenant's: 403 for another's, 404 for nobody's."""
        if _slug(name) == tenant.slug:
            return
        if _find(name) is None:
            raise OrganizationNotFound
        raise PermissionDenied("The token is for another organization. Nothing was changed.")

    @extend_schema(**schema.LEGACY_UPDATE)
    def update(self, request: Request) -> Response:
        """Rename the organization, change one's own e-mail and password, or all of it."""
        tenant = self._tenant
        given = read_given(request, aliases=ALIASES)
        with given.pointing():
            form = validated(Changes, given.fields)
            new_name, pointer = self._new_name(form, tenant)
            change = self._account_change(form)
            organization = self._apply(tenant, new_name, change, pointer)
        old_name = organization.name if new_name is None else tenant.name
        names = {"old_name": old_name, "new_name": organization.name}
        message = {"message": f"Organization '{organization.name}' updated successfully"}
        return Response(message | represent(organization) | names)

    def _apply(
        self, tenant: Tenant, name: str | None, change: AccountChange | None, pointer: str
    ) -> Organization:
        """Rename and change the account; when that fails, neither is changed."""
        organization = Organization.objects.select_related("placement").get(pk=tenant.id)
        if name is None:
            if change is not None:
                with transaction.atomic():
                    change.apply(organization)
            return organization
        try:
            return lifecycle.rename_organization(
                tenant.id,
                name,
                by=self._principal.actor,
                pointer=pointer,
                on_reserve=change.apply if change is not None else None,
            )
        except TenancyError:
            if change is not None:
                change.take_back(organization)
            raise

    def _account_change(self, form: dict[str, Any]) -> AccountChange | None:
        """Return what changes of the account of whoever is signed in; a program has none."""
        if not {"email", "password"} & set(form):
            return None
        member = get_signed_in(self.request)
        user = User.objects.filter(pk=member.user_id).first()
        if user is None:
            raise TokenRevoked  # gone since this process last read the rows
        email = _checked_email(form["email"], user) if "email" in form else None
        if "password" not in form:
            return AccountChange(user, email, None, member)
        check_new_password(form["password"], email=email or user.email)
        return AccountChange(user, email, hash_password(form["password"]), member)

    def _new_name(self, form: dict[str, Any], tenant: Tenant) -> tuple[str | None, str]:
        """Return the name that a body of any of the three shapes asks for, or None; and where."""
        if not form:
            message = "Name something to change: a new name, email or password."
            raise ValidationFailed(message, errors=[FieldError("", "required", message)])
        old, new = form.get("old_organization_name"), form.get("new_organization_name")
        single = form.get("organization_name")
        is_single = old is None and new is None
        for current in (old, None if is_single else single):
            if current is not None:
                self._check_own(current, tenant)
        if is_single and single is not None and _slug(single) == tenant.slug:
            return None, ""
        wanted: str | None = single if is_single else new
        pointer = "/organization_name" if is_single else "/new_organization_name"
        if wanted is not None:
            slug_of(clean_name(wanted, pointer=pointer), pointer=pointer)
        return wanted, pointer

    @extend_schema(**schema.LEGACY_DELETE)
    def destroy(self, request: Request) -> Response:
        """Delete the organization; its data is dropped when the answer arrives."""
        tenant = self._tenant
        given = read_given(request, aliases={})
        check_names(given, "organization_name")
        if given.fields:
            named = validated(NamedOrganization, given.fields)
            self._check_own(named["organization_name"], tenant)
        lifecycle.delete_organization(tenant.id, by=self._principal.actor, purge=True)
        return Response({"message": f"Organization '{tenant.name}' deleted successfully"})
