from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0005_audit_event_once_in_chain")]

    operations = [
        migrations.AddField("collection", "json_schema", models.TextField(blank=True, default="")),
        migrations.AddField(
            "collection", "schema_digest", models.CharField(blank=True, default="", max_length=64)
        ),
        migrations.AddField(
            "collection",
            "schema_mode",
            models.CharField(
                choices=[("off", "off"), ("warn", "warn"), ("enforce", "enforce")],
                default="off",
                max_length=7,
            ),
        ),
    ]
