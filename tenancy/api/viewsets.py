"""DRF's viewset, whose parts are made once: they keep nothing of a request."""

from collections.abc import Iterable
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request, wrap_attributeerrors
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from tenancy.answers import add_headers

# By classes, and by routes: as many as the code has of them.
_parts: dict[tuple[type, ...], list[Any]] = {}
_said: dict[tuple[Any, ...], dict[str, str]] = {}


def _made(classes: Iterable[Any]) -> list[Any]:
    """Return one instance of each class, always the same ones."""
    key = tuple(classes)
    found = _parts.get(key)
    if found is None:
        found = _parts[key] = [each() for each in key]
    return found


class ApiRequest(Request):
    """DRF's request, with what is asked of it most at hand.

    It looks elsewhere for whatever it does not find in itself, and that is slow.
    """

    @property
    def method(self) -> str | None:  # type: ignore[override]
        """The method."""
        return self._request.method

    @property
    def META(self) -> dict[str, Any]:  # type: ignore[override]  # noqa: N802 -- Django's name
        """What the server says of the request, its headers included."""
        return self._request.META

    @property
    def user(self) -> Any:
        """Who asks, found out once."""
        if "_user" not in self.__dict__:
            with wrap_attributeerrors():
                self._authenticate()  # type: ignore[attr-defined]
        return self._user

    @user.setter
    def user(self, value: Any) -> None:
        self._user = self._request.user = value


class ApiViewSet(ViewSet):
    """A viewset as DRF has it, without the work that comes out the same for every request."""

    action_map: dict[str, str]

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        """Return DRF's request, and take note of the action."""
        action = self.action_map.get((request.method or "").lower())
        self.action = "metadata" if request.method == "OPTIONS" else action  # type: ignore[assignment]
        return ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context={"view": self, "args": self.args, "kwargs": self.kwargs},
        )

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """Answer a request, and let go of everything of it once it has its answer."""
        answer: HttpResponseBase = super().dispatch(request, *args, **kwargs)
        if not answer.streaming:
            answer._resource_closers.append(self._let_go)  # type: ignore[attr-defined] # noqa: SLF001 -- as Django does
        return answer

    def _let_go(self) -> None:
        """Undo the circles that DRF draws: a body would stay in memory until Python looks for such.

        View, request and answer name each other, and the view its own methods.
        """
        mine = vars(self)
        for each, name in (("request", "parser_context"), ("response", "renderer_context")):
            getattr(mine.get(each), name, {}).clear()
        mine.clear()

    def get_authenticators(self) -> list[Any]:
        """Return who finds out who asks."""
        return _made(self.authentication_classes)

    def get_permissions(self) -> list[Any]:
        """Return who decides whether they may."""
        return _made(self.permission_classes)

    def get_throttles(self) -> list[Any]:
        """Return who counts."""
        return _made(self.throttle_classes)

    def get_parsers(self) -> list[Any]:
        """Return who reads bodies."""
        return _made(self.parser_classes)

    def get_renderers(self) -> list[Any]:
        """Return who writes answers."""
        return _made(self.renderer_classes)

    def get_content_negotiator(self) -> Any:
        """Return who finds a renderer."""
        return _made((self.content_negotiation_class,))[0]

    @property
    def default_response_headers(self) -> dict[str, str]:
        """What every answer of the route says: DRF finds the methods out with every request."""
        route = (type(self), *self.action_map)
        found = _said.get(route)
        if found is None:
            found = _said[route] = super().default_response_headers
        return found.copy()

    def finalize_response(  # type: ignore[override]
        self, request: Request, response: Any, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Return an answer with what every answer of the route says."""
        if isinstance(response, Response):
            return super().finalize_response(request, response, *args, **kwargs)
        add_headers(response, self.headers)
        answer: HttpResponseBase = response
        return answer

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Find out who asks, whether they may, and count: DRF's steps but for versions."""
        self.format_kwarg = None
        found = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = found
        self.perform_authentication(request)
        self.check_permissions(request)
        self.check_throttles(request)
