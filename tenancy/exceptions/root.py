"""What every error has."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True)
class FieldError:
    """One thing wrong with the input: an RFC 6901 `pointer` to it, a stable code, a sentence."""

    pointer: str
    code: str
    message: str


class TenancyError(Exception):
    """The root. `detail` never holds driver, SQL or stack text."""

    code: ClassVar[str] = "internal"
    default_detail: ClassVar[str] = "Something went wrong on our side."

    def __init__(
        self, detail: str = "", *, errors: Iterable[FieldError] = (), hint: str = "",
        extra: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        self.detail = detail or self.default_detail
        self.errors = tuple(errors)
        self.hint = hint
        self.extra = dict(extra or {})
        super().__init__(self.detail)
