"""An operator at the admin site, and two organizations without people."""

import uuid

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from accounts.models import User
from tenancy import lifecycle
from tenancy.admin.examinations import forget_examinations
from tenancy.models import AuditEvent, Organization

LIST = "/admin/tenancy/organization/"


@pytest.fixture(autouse=True)
def nothing_known_of_clusters():
    forget_examinations()


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
    return lifecycle.create_organization("Initech", by="command:test")


@pytest.fixture
def hooli():
    return lifecycle.create_organization("Hooli", by="command:test")


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
