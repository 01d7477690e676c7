"""Models whose JSON names their class, so that reading it gives an object of the same class."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from zenml.exceptions import ConfigurationError
from zenml.stack.flavors import import_class

if TYPE_CHECKING:
    from typing_extensions import Self


class TypedModel(BaseModel):
    """A model whose JSON has a field `type`, the import path of its class.

    Where a field is declared as such a model, reading it gives an object of the named class, if that is a subclass of the declared one.
    """

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        if "type" in cls.model_fields:
            raise TypeError(
                f"{cls.__qualname__} has a field 'type', which names the class in JSON: choose another name."
            )

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"type": f"{type(self).__module__}.{type(self).__qualname__}", **handler(self)}

    @model_validator(mode="wrap")
    @classmethod
    def _of_type(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(data, dict) or "type" not in data:
            return handler(data)
        source = data["type"]
        if source == f"{cls.__module__}.{cls.__qualname__}":
            return handler({key: value for key, value in data.items() if key != "type"})
        try:
            class_ = import_class(source)
        except ImportError as error:
            raise ValueError(f"the class {source!r} cannot be imported: {error}") from None
        if not isinstance(class_, type) or not issubclass(class_, cls):
            raise ValueError(  # noqa: TRY004 - what pydantic collects
                f"{source!r} is no subclass of {cls.__module__}.{cls.__qualname__}"
            )
        return class_.model_validate(data)

    def to_dict(self) -> dict[str, Any]:
        """The object as JSON data."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """The object as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """The object that `to_dict` gave, of the class that is named there.

        Raises:
            ConfigurationError: the data is not that of this class or one below it; the message lists every reason.
        """
        try:
            return cls.model_validate(data)
        except ValidationError as error:
            reasons = "".join(
                f"\n  {'.'.join(str(part) for part in detail['loc']) or 'type'}: {detail['msg'].removeprefix('Value error, ')}"
                for detail in error.errors(include_url=False, include_input=False)
            )
            raise ConfigurationError(f"This is no {cls.__name__}:{reasons}") from None

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The object that `to_json` gave. Raises ConfigurationError as `from_dict` does, and for a text that is no JSON."""
        try:
            data = json.loads(text)
        except ValueError as error:
            raise ConfigurationError(f"This is no {cls.__name__}: the text is no JSON: {error}.") from None
        return cls.from_dict(data)
