"""Clusters are added once, and their URIs are kept encrypted."""

import os

import pytest
from django.conf import settings

from tenancy import catalog
from tenancy.exceptions import AlreadyExists, ClusterUnavailable
from tenancy.lifecycle.clusters import add_cluster
from tests.conftest import ACTOR
from tests.environment import SECOND_URI

pytestmark = pytest.mark.needs_mongod


def test_uri_is_kept_encrypted(second_cluster):
    uri = os.environ[SECOND_URI]

    assert uri not in second_cluster.uri_encrypted
    assert catalog.cluster_address(second_cluster) == (uri, settings.TENANCY_DATABASE)


def test_alias_is_used_once(second_cluster):
    with pytest.raises(AlreadyExists, match="second"):
        add_cluster("second", os.environ[SECOND_URI], by=ACTOR)


def test_lost_key_is_named_with_its_cluster_and_the_remedy(second_cluster, settings):
    settings.FIELD_ENCRYPTION_KEYS = ["A" * 43 + "="]

    with pytest.raises(ClusterUnavailable, match="“second” cannot be decrypted") as caught:
        catalog.cluster_address(second_cluster)
    assert "FIELD_ENCRYPTION_KEYS" in caught.value.hint


def test_second_mongod_is_another_deployment(second_cluster, mongo, second_client):
    mongo.things.insert_one({})

    assert second_client[settings.TENANCY_DATABASE].list_collection_names() == []
