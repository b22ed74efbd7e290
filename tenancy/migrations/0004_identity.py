"""Idempotency keys, the two-factor policy, bursts, and the audit as a chain."""

import hashlib
import json
import uuid

from django.db import migrations, models


def chain_events(apps, schema_editor):
    """Give every event there is its place in the chain of its organization, the oldest first.

    The hash is computed as `tenancy.audit.hash_of` does it.
    """
    event_model = apps.get_model("tenancy", "AuditEvent")
    chain_model = apps.get_model("tenancy", "AuditChain")
    heads = {}
    for event in event_model.objects.order_by("at", "pk").iterator():
        event.chain = str(event.organization_id) if event.organization_id else "service"
        length, head = heads.get(event.chain, (0, ""))
        event.sequence = length + 1
        covered = [
            head,
            event.chain,
            event.sequence,
            event.at.isoformat(),
            event.actor,
            event.action,
            event.details,
            "",
            "",
        ]
        text = json.dumps(covered, sort_keys=True, separators=(",", ":"))
        event.hash = hashlib.sha256(text.encode()).hexdigest()
        event.save()
        heads[event.chain] = (event.sequence, event.hash)
    chain_model.objects.bulk_create(
        chain_model(key=key, length=length, head=head) for key, (length, head) in heads.items()
    )


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0003_pause_until")]

    operations = [
        migrations.CreateModel(
            name="AuditChain",
            fields=[
                ("key", models.CharField(max_length=36, primary_key=True, serialize=False)),
                ("length", models.PositiveBigIntegerField(default=0)),
                ("head", models.CharField(blank=True, max_length=64)),
            ],
        ),
        migrations.CreateModel(
            name="IdempotencyRecord",
            fields=[
                (
                    "id",
                    models.UUIDField(
                        default=uuid.uuid4, editable=False, primary_key=True, serialize=False
                    ),
                ),
                ("scope", models.CharField(max_length=100)),
                ("key", models.CharField(max_length=255)),
                ("digest", models.CharField(max_length=64)),
                ("resource", models.UUIDField(default=uuid.uuid4)),
                ("attempts", models.PositiveIntegerField(default=1)),
                ("lease_until", models.DateTimeField(null=True)),
                ("status", models.PositiveSmallIntegerField(null=True)),
                ("answer_encrypted", models.TextField(blank=True)),
                ("created_at", models.DateTimeField(auto_now_add=True)),
                ("expires_at", models.DateTimeField(db_index=True)),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("scope", "key"), name="idempotency_key_once_in_scope"
                    )
                ],
            },
        ),
        migrations.AddField(
            "organization", "two_factor_required", models.BooleanField(default=False)
        ),
        migrations.AddField("organization", "settings", models.JSONField(blank=True, default=dict)),
        migrations.AddField("plan", "burst", models.PositiveIntegerField(blank=True, null=True)),
        migrations.AddField(
            "auditevent",
            "chain",
            models.CharField(default="", max_length=36),
            preserve_default=False,
        ),
        migrations.AddField(
            "auditevent",
            "sequence",
            models.PositiveBigIntegerField(default=0),
            preserve_default=False,
        ),
        migrations.AddField(
            "auditevent", "request_id", models.CharField(blank=True, max_length=64)
        ),
        migrations.AddField(
            "auditevent", "address", models.GenericIPAddressField(blank=True, null=True)
        ),
        migrations.AddField(
            "auditevent", "address_salt", models.CharField(blank=True, max_length=32)
        ),
        migrations.AddField(
            "auditevent", "address_digest", models.CharField(blank=True, max_length=64)
        ),
        migrations.AddField(
            "auditevent",
            "hash",
            models.CharField(default="", max_length=64),
            preserve_default=False,
        ),
        migrations.AlterField("auditevent", "at", models.DateTimeField()),
        migrations.AddField(
            "erasurerecord", "audit_addresses", models.PositiveIntegerField(default=0)
        ),
        migrations.RunPython(chain_events, migrations.RunPython.noop),
    ]
