"""What a secret looks like: its keys, and which of them must be there."""

from __future__ import annotations

from abc import ABC
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_serializer

from zenml.exceptions import InvalidNameError, SecretError, nearest
from zenml.model.names import check_name
from zenml.secret.known import remember
from zenml.secret.references import ENVIRONMENT

_MASK = "***"


class BaseSecretSchema(BaseModel, ABC):
    """A named secret: keys with their values.

    A schema is a subclass that sets `TYPE` and declares the keys as fields. Whoever asks for a field or for `content` gets the
    values; texts of it, dumps and errors never show them. The smallest schema:

        @register_secret_schema_class
        class TokenSecretSchema(BaseSecretSchema):
            TYPE: ClassVar[str] = "token"
            token: str

    Raises:
        SecretError: keys are missing, unknown or wrong; the message lists every one, without the values.
        InvalidNameError: the name cannot be one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    TYPE: ClassVar[str]

    name: str

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise SecretError(self._mistakes(fields.get("name"), error)) from None
        remember(self.content.values())

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_secret_name(value)

    @property
    def content(self) -> dict[str, str]:
        """The values in clear, by key; a key that is not set is left out."""
        return {
            key: str(value)
            for key in type(self).model_fields
            if key != "name" and (value := getattr(self, key)) is not None
        }

    @classmethod
    def get_schema_keys(cls) -> list[str]:
        """The keys that the schema knows."""
        return [key for key in cls.model_fields if key != "name"]

    def __repr_args__(self) -> Any:
        yield "name", self.name
        for key in self.content:
            yield key, _MASK

    # BaseModel's own would print the fields.
    def __str__(self) -> str:
        return repr(self)

    @model_serializer
    def _masked(self) -> dict[str, str]:
        return {"name": self.name} | dict.fromkeys(self.content, _MASK)

    @classmethod
    def _mistakes(cls, name: object, error: ValidationError) -> str:
        lines = []
        for detail in error.errors(include_url=False, include_input=False, include_context=False):
            key = ".".join(str(part) for part in detail["loc"]) or "content"
            if detail["type"] == "extra_forbidden":
                reason = f"the schema has no such key.{nearest(key, cls.get_schema_keys())}"
            elif detail["type"] == "missing":
                reason = "is required, but it is not given."
            else:
                reason = detail["msg"].removeprefix("Value error, ").rstrip(".") + "."
            lines.append(f"  {key}: {reason}")
        what = f"The secret {name!r}" if name is not None else "The secret"
        return f"{what} does not fit the schema '{cls.TYPE}':\n" + "\n".join(lines)


def check_secret_name(name: object) -> str:
    """Give `name` back if a secret may have it. Raises InvalidNameError."""
    if name == ENVIRONMENT:
        raise InvalidNameError(
            f"'{ENVIRONMENT}' cannot be the name of a secret: '{{{{{ENVIRONMENT}.X}}}}' refers to the environment variable X."
        )
    return check_name(name, "secret")
