"""The caller sent something that can never work."""

from collections.abc import Iterable
from typing import Any

from tenancy.exceptions.root import FieldError, TenancyError


class InvalidInput(TenancyError):
    """The caller sent something that can never work."""

    code = "validation_failed"
    default_detail = "The request is not valid."


class ValidationFailed(InvalidInput):
    """Fields are missing, of a wrong type or out of bounds."""


class InvalidName(ValidationFailed):
    """An organization or collection name that cannot become a physical name."""

    default_detail = "The name cannot be used."


class MalformedJson(InvalidInput):
    """The body is not JSON at all."""

    code = "malformed_json"
    default_detail = "The body is not valid JSON."


class _OutsideOfTheBody(InvalidInput):
    """What is wrong is no part of the body: nothing points at it, so that the message names it."""

    def __init__(self, detail: str = "", *, errors: Iterable[FieldError] = (), **more: Any) -> None:
        told = tuple(errors) or (FieldError("", self.code, detail or self.default_detail),)
        super().__init__(detail, errors=told, **more)


class InvalidParameter(_OutsideOfTheBody):
    """A query parameter or header has a value outside its bounds."""

    code = "invalid_parameter"
    default_detail = "A parameter is not valid."


class UnknownParameter(InvalidParameter):
    """A query parameter that this route does not have."""

    code = "unknown_parameter"
    default_detail = "A parameter is not known here."


class CursorInvalid(_OutsideOfTheBody):
    """A page cursor that was changed, or made for another list."""

    code = "cursor_invalid"
    default_detail = "The cursor does not belong to this list. Start again without it."


class InvalidId(InvalidInput):
    """A document id in a path that names no possible id."""

    code = "invalid_id"
    default_detail = "The id in the path is not valid."


class InvalidDocument(InvalidInput):
    """A document with a key, depth, number or shape that is not stored."""

    code = "invalid_document"
    default_detail = "The document cannot be stored as it is."


class TypeNotAllowed(InvalidDocument):
    """A BSON type that is not accepted from clients, such as JavaScript code."""

    code = "type_not_allowed"
    default_detail = "The document holds a type that is not accepted."


class SchemaViolation(InvalidDocument):
    """A document that the collection's schema, which is enforced, does not allow."""

    code = "schema_violation"
    default_detail = "The document does not satisfy the collection's schema."


class InvalidQuery(InvalidInput):
    """A filter, sort, projection or pipeline of a wrong shape."""


class OperatorNotAllowed(InvalidQuery):
    """An operator that filters, or an expression that pipelines, do not have here."""

    code = "operator_not_allowed"
    default_detail = "The operator is not allowed."


class StageNotAllowed(InvalidQuery):
    """A pipeline stage that is not on the list of those that reach nothing else."""

    code = "stage_not_allowed"
    default_detail = "The stage is not allowed."


class QueryTooComplex(InvalidQuery):
    """A filter or pipeline over the bounds of size, depth or number of predicates."""

    code = "query_too_complex"
    default_detail = "The query is too complex."


class SortNeedsIndex(InvalidQuery):
    """Too many documents to be sorted without an index; `extra["index"]` is what to create."""

    code = "sort_needs_index"
    default_detail = "So many documents cannot be sorted without an index."


class MaxAffectedExceeded(InvalidInput):
    """More documents match than the caller allows to be changed; nothing was."""

    code = "max_affected_exceeded"
    default_detail = "More documents match than max_affected. Nothing was changed."


class ImportStopped(InvalidInput):
    """A line of an import cannot be stored; `extra` has the `problem`, and the `import` so far."""

    code = "import_stopped"
    default_detail = "A line cannot be stored. What came before it is."


class IdempotencyKeyReused(InvalidInput):
    """The `Idempotency-Key` was sent with another request before."""

    code = "idempotency_key_reused"
    default_detail = "This Idempotency-Key was used for another request. Take a new one."


class UnsupportedMediaType(InvalidInput):
    """A body of a media type, or packed in a way, that the route does not take."""

    code = "unsupported_media_type"
    default_detail = "Send the body with Content-Type: application/json."


class PayloadTooLarge(InvalidDocument):
    """A body or document over its limit in bytes."""

    code = "payload_too_large"
    default_detail = "The body is too large."
