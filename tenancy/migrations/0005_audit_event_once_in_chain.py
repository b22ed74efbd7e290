from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0004_identity")]

    operations = [
        migrations.AddConstraint(
            "auditevent",
            models.UniqueConstraint(fields=("chain", "sequence"), name="audit_event_once_in_chain"),
        ),
    ]
