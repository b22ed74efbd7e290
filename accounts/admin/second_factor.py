"""The pages between password and admin site: show a code, or set an authenticator up."""

from typing import Any, cast

import django_otp
from django import forms
from django.contrib import admin
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from accounts import authenticators
from accounts.backends import record_operator_sign_in
from accounts.models import TotpDevice, User
from accounts.profile import check_password_of
from accounts.two_factor import check_code, find_device, spend
from tenancy.admin.records import actor_of
from tenancy.exceptions import NotFound, TenancyError

INPUT_MAX_CHARACTERS = 1_000
CODE_MAX_CHARACTERS = 64
OFFERED = "offered_authenticator"  # in the session: which one was offered for the password
LEAVE = "leave"


class CodeForm(forms.Form):
    """A code of the authenticator, or a recovery code where that is possible."""

    code = forms.CharField(
        max_length=CODE_MAX_CHARACTERS,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "autofocus": True}),
    )


class CurrentPasswordForm(forms.Form):
    """The password once more: a session that somebody else opened enrolls nobody."""

    current_password = forms.CharField(
        label="Password",
        strip=False,
        max_length=INPUT_MAX_CHARACTERS,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password", "autofocus": True}),
    )


def find_own_device(request: HttpRequest) -> TotpDevice | None:
    """Return the authenticator of whoever is signed in; looked up once for a request."""
    if not hasattr(request, "_own_device"):
        request._own_device = find_device(cast(User, request.user).pk)  # type: ignore[attr-defined]  # noqa: SLF001
    return cast(TotpDevice | None, request._own_device)  # type: ignore[attr-defined]  # noqa: SLF001


class Page:
    """A page for an operator whose password was right."""

    template = ""
    title = ""

    def __init__(self, site: admin.AdminSite, request: HttpRequest) -> None:
        self.site, self.request = site, request
        self.user = User.objects.get(pk=cast(User, request.user).pk)

    def answer(self) -> HttpResponse:
        """Return the page, or the way to the one that is needed."""
        if self.request.method == "POST" and LEAVE in self.request.POST:
            logout(self.request)
            return HttpResponseRedirect(reverse("admin:login"))
        return self.act()

    def act(self) -> HttpResponse:
        """Do what the page is for."""
        raise NotImplementedError

    @property
    def wanted(self) -> str:
        """Return where the operator wanted to go; never to another site."""
        url = self.request.POST.get("next") or self.request.GET.get("next") or ""
        is_ours = url_has_allowed_host_and_scheme(
            url, {self.request.get_host()}, require_https=self.request.is_secure()
        )
        return url if is_ours else reverse("admin:index")

    def go_to(self, name: str) -> HttpResponse:
        """Lead to the other of the two pages."""
        query = self.request.GET.urlencode()
        return HttpResponseRedirect(reverse(name) + (f"?{query}" if query else ""))

    def let_in(self, device: TotpDevice) -> None:
        """Remember in the session, under a new key, which authenticator was shown."""
        self.request.session.cycle_key()
        django_otp.login(self.request, device)  # type: ignore[no-untyped-call]
        record_operator_sign_in(self.user, methods="pwd otp")

    def render(self, **context: Any) -> HttpResponse:
        """Show the page."""
        shown = self.site.each_context(self.request) | {
            "title": self.title, "subtitle": None, "next": self.wanted, "leave": LEAVE,
        } | context  # fmt: skip
        return TemplateResponse(self.request, self.template, shown)


class CodePage(Page):
    """Asks for a code."""

    template = "admin/accounts/second_factor.html"
    title = "Second factor"

    def act(self) -> HttpResponse:
        """Let in whoever shows a good code."""
        if getattr(self.request.user, "otp_device", None) is not None:
            return HttpResponseRedirect(self.wanted)
        if find_own_device(self.request) is None:
            return self.go_to("admin:authenticator")
        form = CodeForm(self.request.POST or None)
        if form.is_valid():
            try:
                self.let_in(spend(self.user, form.cleaned_data["code"]))
            except TenancyError as error:
                form.add_error("code", error.detail)
            else:
                return HttpResponseRedirect(self.wanted)
        return self.render(form=form)


class AuthenticatorPage(Page):
    """Sets an authenticator up: password, QR code, first code, recovery codes."""

    template = "admin/accounts/authenticator.html"
    title = "Set up an authenticator"

    def act(self) -> HttpResponse:
        """Take the next of the three steps."""
        if find_own_device(self.request) is not None:
            return self.go_to("admin:second_factor")
        if "code" in self.request.POST:
            return self._confirm(CodeForm(self.request.POST))
        form = CurrentPasswordForm(self.request.POST or None)
        if form.is_valid():
            try:
                check_password_of(self.user, form.cleaned_data["current_password"])
                offer = authenticators.offer_authenticator(self.user)
            except TenancyError as error:
                form.add_error("current_password", error.detail)
            else:
                self.request.session[OFFERED] = offer.device.pk
                return self.render(offer=offer, form=CodeForm())
        return self.render(form=form)

    def _confirm(self, form: CodeForm) -> HttpResponse:
        try:
            device = self._get_offered()
        except NotFound as error:
            return self.render(form=CurrentPasswordForm(), failure=error.detail)
        if form.is_valid():
            try:
                check_code(device, form.cleaned_data["code"])
                codes = authenticators.enable(device, by=actor_of(self.request))
            except TenancyError as error:
                form.add_error("code", error.detail)
            else:
                return self._welcome(device, codes)
        return self.render(offer=authenticators.make_offer(device), form=form)

    def _get_offered(self) -> TotpDevice:
        """Return the authenticator that was offered in this very session. Raises NotFound."""
        device = authenticators.get_offered(self.user)
        if device.pk != self.request.session.get(OFFERED):
            raise NotFound(authenticators.NOT_OFFERED)
        return device

    def _welcome(self, device: TotpDevice, codes: list[str]) -> HttpResponse:
        del self.request.session[OFFERED]
        self.let_in(device)
        return self.render(codes=codes, title="Recovery codes")
