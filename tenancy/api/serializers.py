"""The bodies that the organization's own routes take."""

from rest_framework import serializers

from tenancy.api.requests import StrictSerializer
from tenancy.models import SchemaMode
from tenancy.wording import nearest

# Long enough to be told apart from a name that is merely too long: `names` says what is wrong.
NAME_MAX_INPUT = 1_000


class NameField(serializers.CharField):
    """A name as it was typed: `tenancy.names` is who judges it."""

    def __init__(self, **options: object) -> None:
        super().__init__(trim_whitespace=False, allow_blank=True, max_length=NAME_MAX_INPUT)
        if "required" in options:
            self.required = bool(options["required"])

    def to_internal_value(self, data: object) -> str:
        """Return text; numbers and the like are not names."""
        if not isinstance(data, str):
            self.fail("invalid")
        return data


class ExactBooleanField(serializers.BooleanField):
    """`true` or `false` and nothing that looks like them: it may decide over data."""

    def to_internal_value(self, data: object) -> bool:
        """Return a JSON boolean, or refuse."""
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class ExactIntegerField(serializers.IntegerField):
    """A JSON number without a fraction, and nothing that looks like one."""

    def to_internal_value(self, data: object) -> int:
        """Return the number, or refuse."""
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class IndexKeysField(serializers.Field):  # type: ignore[type-arg]
    """A list of `[field, direction]`; what they may be, `lifecycle.index_rules` says."""

    default_error_messages = {"invalid": 'Keys are a list of pairs such as ["status", 1].'}

    def to_internal_value(self, data: object) -> tuple[tuple[str, int], ...]:
        """Return the pairs, or refuse each that is none."""
        if not isinstance(data, list):
            self.fail("invalid")
        message = self.error_messages["invalid"]
        wrong = {str(number): [message] for number, pair in enumerate(data) if not _is_pair(pair)}
        if wrong:
            raise serializers.ValidationError(dict(list(wrong.items())[:10]))
        return tuple((name, direction) for name, direction in data)


def _is_pair(value: object) -> bool:
    if not isinstance(value, list) or len(value) != 2:
        return False
    name, direction = value
    is_number = isinstance(direction, int) and not isinstance(direction, bool)
    return isinstance(name, str) and is_number


class ObjectField(serializers.Field):  # type: ignore[type-arg]
    """A JSON object of any content."""

    default_error_messages = {"invalid": "This is a JSON object."}

    def to_internal_value(self, data: object) -> dict[str, object]:
        """Return the object as it is."""
        if not isinstance(data, dict):
            self.fail("invalid")
        return data


class OrganizationChanges(StrictSerializer):
    """What PATCH /organization takes: at least one of these."""

    name = NameField(required=False)
    settings = ObjectField(required=False)
    two_factor_required = ExactBooleanField(required=False)

    def validate(self, attrs: dict[str, object]) -> dict[str, object]:
        """Refuse a body that changes nothing."""
        if not attrs:
            message = f"Give at least one of {', '.join(self.fields)}."
            raise serializers.ValidationError(message, code="required")
        return attrs


class OrganizationDeletion(StrictSerializer):
    """What DELETE /organization takes: the slug, so that nobody does it by accident."""

    confirm = serializers.CharField()
    purge = ExactBooleanField(default=False)


class NewIndex(StrictSerializer):
    """What POST /collections/{c}/indexes takes."""

    keys = IndexKeysField()
    unique = ExactBooleanField(default=False)
    sparse = ExactBooleanField(default=False)
    ttl_seconds = ExactIntegerField(required=False, allow_null=True, default=None)
    name = NameField(required=False)


class RawJsonField(serializers.Field):  # type: ignore[type-arg]
    """Any JSON as it came: others say what it may be."""

    def to_internal_value(self, data: object) -> object:
        """Return it."""
        return data


class ModeField(serializers.ChoiceField):
    """What a schema does; the nearest is told to who asks for what there is not."""

    default_error_messages = {"invalid_choice": "A mode is one of off, warn, enforce.{nearest}"}

    def to_internal_value(self, data: object) -> str:
        """Return the mode, or refuse."""
        if not isinstance(data, str) or data not in self.choices:
            self.fail("invalid_choice", nearest=nearest(str(data)[:20], list(self.choices)))
        return data


class NewSchema(StrictSerializer):
    """What PUT /collections/{c}/schema takes."""

    json_schema = RawJsonField(allow_null=True)
    mode = ModeField(choices=SchemaMode.choices)


class SchemaTrial(StrictSerializer):
    """What POST /collections/{c}/schema/check takes."""

    json_schema = RawJsonField(required=False)
    cursor = serializers.CharField(required=False)


class NewCollection(StrictSerializer):
    """What POST /collections takes."""

    name = serializers.CharField(max_length=63)
