"""An operator at the admin site, and two organizations without people."""

import threading
import uuid

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tenancy.admin.examinations import forget_examinations
from tenancy.models import AuditEvent, Organization
from tests.conftest import found_organization

LIST = "/admin/tenancy/organization/"


def end_examinations():
    for thread in threading.enumerate():
        if thread.name == "examination":
            thread.join(60)
            assert not thread.is_alive()


@pytest.fixture(autouse=True)
def nothing_known_of_clusters():
    forget_examinations()
    yield
    end_examinations()  # else they would count in the next test, and take its places


@pytest.fixture
def root():
    return User.objects.create(email="root@example.com", is_staff=True, is_superuser=True)


@pytest.fixture
def operator(root):
    client = Client()
    client.force_login(root)
    return client


def operator_who_may(*codenames):
    user = User.objects.create(email=f"{uuid.uuid4().hex}@example.com", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def initech():
    return found_organization("Initech")


@pytest.fixture
def hooli():
    return found_organization("Hooli")


def detail(organization):
    return reverse("admin:tenancy_organization_change", args=[organization.pk])


def act_url(organization, act):
    return reverse("admin:tenancy_act", args=[organization.pk, act])


def status(organization):
    return Organization.objects.get(pk=organization.pk).status


def audit_of(organization):
    return list(AuditEvent.objects.filter(organization=organization).values_list("action", "actor"))


def text_of(response):
    return response.content.decode()
