from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("tenancy", "0006_collection_schemas")]

    operations = [
        migrations.AddField("index", "failure", models.TextField(blank=True, default="")),
    ]
