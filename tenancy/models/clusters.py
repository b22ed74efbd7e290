"""The MongoDB deployments there are, and what an organization may use of them."""

from django.db import models

from tenancy.names import KINDS

REGION_MAX_CHARACTERS = 48


class Cluster(models.Model):
    """One MongoDB deployment. `default` is the one of `MONGODB_URI`, or the embedded server.

    `uri_encrypted` is empty for `default` only: no URI of a cluster is stored in clear. `database`
    is where its shared and own collections lie; empty: `TENANCY_DATABASE`. `ceiling` is how many
    collections and indexes it may hold; empty: `TENANCY_CLUSTER_CEILING`.
    """

    DEFAULT = "default"

    alias = models.SlugField(max_length=48, unique=True)
    uri_encrypted = models.TextField(blank=True, editable=False)
    region = models.CharField(max_length=REGION_MAX_CHARACTERS, blank=True)
    database = models.CharField(max_length=48, blank=True)
    dedicated_to = models.OneToOneField(
        "tenancy.Organization",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="dedicated_cluster",
    )
    accepts_new = models.BooleanField(default=True)
    ceiling = models.PositiveIntegerField(null=True, blank=True)
    note = models.TextField(blank=True)

    class Meta:
        ordering = ["alias"]

    def __str__(self) -> str:
        return self.alias


class Plan(models.Model):
    """What an organization may use, and where it is placed. An empty limit is no limit.

    `region`, when set, is where every organization of the plan lives.
    """

    DEFAULT = "standard"

    code = models.SlugField(max_length=48, unique=True)
    default_kind = models.CharField(
        max_length=16, choices=[(kind, kind) for kind in KINDS], default="collection"
    )
    region = models.CharField(max_length=REGION_MAX_CHARACTERS, blank=True)
    max_collections = models.PositiveIntegerField(default=100)
    max_document_bytes = models.PositiveIntegerField(default=1_048_576)
    max_documents = models.PositiveBigIntegerField(null=True, blank=True)
    max_bytes = models.PositiveBigIntegerField(null=True, blank=True)
    max_members = models.PositiveIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    # So many of them within one second, at most.
    burst = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(default_kind__in=KINDS), name="plan_default_kind_known"
            )
        ]

    def __str__(self) -> str:
        return self.code
