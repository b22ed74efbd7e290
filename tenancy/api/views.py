"""What the tenant's own views share."""

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from django.utils.functional import cached_property
from rest_framework.request import Request
from rest_framework.response import Response

from tenancy.access import check_served, with_collection
from tenancy.answers import Answer
from tenancy.api.idempotent import Replay
from tenancy.api.once import Once, confirmed, find_record
from tenancy.api.requests import actor_of
from tenancy.api.viewsets import ApiViewSet
from tenancy.catalog import Tenant, get_tenant
from tenancy.context import current_tenant
from tenancy.lifecycle import declare_collection
from tenancy.mongo.documents import TenantCollection
from tenancy.mongo.once import Progress
from tenancy.schemas import Violations

T = TypeVar("T")
VIOLATIONS = "Schema-Violations"


class TenantViewSet(ApiViewSet):
    """A view of the credential's own organization, refused while that is not being served.

    `required` names, for each action, the permission it needs; the undeclared is denied.
    """

    required: ClassVar[dict[str, str]] = {}

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate, check the permission, then the organization."""
        super().initial(request, *args, **kwargs)
        if self.action not in {None, "metadata"}:
            check_served(self.tenant)

    @cached_property
    def tenant(self) -> Tenant:
        """The organization of the credential, at most one TTL old; looked up once a request."""
        return get_tenant(current_tenant())


class DataViewSet(TenantViewSet):
    """A view of the documents of one collection."""

    def allowed_later(self) -> Callable[[], None]:
        """Return what raises once whoever asks may not do this any more, for what takes long.

        It may be kept when the view is gone. Where the caches are young it costs no query.
        """
        checks = [each.later(self.request, self) for each in self.get_permissions()]

        def check() -> None:
            for each in checks:
                each()

        return check

    @cached_property
    def noted(self) -> Violations:
        """What this request has stored although the schema, which only warns, is against it."""
        return Violations()

    def read(self, collection: str, call: Callable[[TenantCollection], T]) -> T:
        """Return `call(documents)`; it may run more than once. See `with_collection`."""
        actor = actor_of(self.request)
        return with_collection(self.tenant.id, collection, call, by=actor, noted=self.noted)

    def warned(self, response: Response) -> Response:
        """Return an answer with the number of documents that the schema only warns of."""
        if self.noted:
            response[VIOLATIONS] = str(len(self.noted))
        return response

    def write(
        self,
        collection: str,
        call: Callable[[TenantCollection], T],
        respond: Callable[[T], Response],
        *,
        creates: bool,
    ) -> Response:
        """Answer with `respond(call(documents))`; with an `Idempotency-Key`, at most once.

        Under a key both run in one transaction, with which the answer is kept; it and they may be
        repeated, so `respond` only makes a response. `creates` says whether a collection that is
        not there yet is made for it.
        """
        record = find_record(self, self.tenant)
        if record is None:
            self._declare(collection, creates=creates)
            return self.warned(respond(self.read(collection, call)))
        once = Once(self, record)
        if creates and collection not in self.tenant.collections:
            found = once.find()
            if isinstance(found, Answer):
                return Replay(found)
            self._declare(collection, creates=True)

        def act(documents: TenantCollection) -> Response:
            return self.warned(respond(confirmed(documents, call(documents))))

        return once.write(lambda do: self.read(collection, do), act)

    def write_in_steps(
        self,
        collection: str,
        work: Callable[[Progress], Response],
        *,
        creates: bool,
        digest: str | None = None,
    ) -> Response:
        """Answer with `work(progress)`, which writes in several transactions; see `Progress`.

        `work` runs `self.read(collection, ...)` for each step, and finds in `progress.state` what
        an earlier attempt under the same `Idempotency-Key` has done; without one nothing is kept.
        The answer is kept when it returns, so nobody else calls `progress.finish`; what it raises
        is an answer, too, if it is final. `digest` stands for what was sent where the body cannot
        be read in advance: `digest_of(request, ...)`.
        """
        record = find_record(self, self.tenant, digest)
        if record is None:
            self._declare(collection, creates=creates)
            return self.warned(work(Progress()))
        once = Once(self, record)
        found = once.find()
        if isinstance(found, Answer):
            return Replay(found)
        self._declare(collection, creates=creates)
        return once.work(found, lambda progress: self.warned(work(progress)))

    def _declare(self, collection: str, *, creates: bool) -> None:
        if creates and collection not in self.tenant.collections:
            declare_collection(self.tenant.id, collection, by=actor_of(self.request))
