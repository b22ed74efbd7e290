"""What an organization has: collections, the indexes it wants on them, how much it uses."""

from django.db import models

from tenancy.models.organizations import Organization


class SchemaMode(models.TextChoices):
    """What is done about documents that do not satisfy their collection's schema."""

    OFF = "off", "off"
    WARN = "warn", "warn"
    ENFORCE = "enforce", "enforce"


class Collection(models.Model):
    """A logical collection of an organization; `main` is always there.

    `json_schema` is the text of a JSON Schema, or empty; `schema_digest` is that of the text.
    """

    organization = models.ForeignKey(
        Organization, on_delete=models.CASCADE, related_name="collections"
    )
    name = models.CharField(max_length=63)
    json_schema = models.TextField(default="", blank=True)
    schema_digest = models.CharField(max_length=64, default="", blank=True)
    schema_mode = models.CharField(max_length=7, choices=SchemaMode.choices, default=SchemaMode.OFF)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="collection_once_in_organization"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Index(models.Model):
    """An index that an organization wants on a collection.

    `keys` are `[field, 1 or -1]` pairs. It is built wherever the collection is the organization's
    own; in a shared collection only this definition is kept. `options` are those of an index that
    an operator made in MongoDB directly, and that has to travel too. One with a `failure`, which
    says why it could not be built, is built nowhere until somebody asks for it again.
    """

    collection = models.ForeignKey(Collection, on_delete=models.CASCADE, related_name="indexes")
    name = models.CharField(max_length=128)
    keys = models.JSONField()
    unique = models.BooleanField(default=False)
    sparse = models.BooleanField(default=False)
    ttl_seconds = models.PositiveIntegerField(null=True, blank=True)
    options = models.JSONField(default=dict, blank=True)
    failure = models.TextField(default="", blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["collection", "name"], name="index_once_in_collection")
        ]

    def __str__(self) -> str:
        return self.name


class Usage(models.Model):
    """How many documents and bytes an organization has; counted along, not scanned."""

    organization = models.OneToOneField(
        Organization, on_delete=models.CASCADE, related_name="usage", primary_key=True
    )
    documents = models.BigIntegerField(default=0)
    bytes = models.BigIntegerField(default=0)
    measured_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.documents} documents, {self.bytes} bytes"
