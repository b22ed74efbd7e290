"""The bodies that the organization's own routes take."""

from rest_framework import serializers

from tenancy.api.requests import StrictSerializer

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


class OrganizationChanges(StrictSerializer):
    """What PATCH /organization takes."""

    name = NameField()


class OrganizationDeletion(StrictSerializer):
    """What DELETE /organization takes: the slug, so that nobody does it by accident."""

    confirm = serializers.CharField()
    purge = ExactBooleanField(default=False)


class NewCollection(StrictSerializer):
    """What POST /collections takes."""

    name = serializers.CharField(max_length=63)
