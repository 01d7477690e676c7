"""Which schema class a type of secret stands for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import ClassVar, TypeVar

from zenml.exceptions import AlreadyExistsException, DoesNotExistException, InterfaceError, nearest
from zenml.secret.base_secret_schema import BaseSecretSchema

S = TypeVar("S", bound=type[BaseSecretSchema])


class SecretSchemaClassRegistry:
    """The schemas that this process knows: the built-in ones, and those that a module registered when it was imported."""

    _classes: ClassVar[dict[str, type[BaseSecretSchema]]] = {}

    @classmethod
    def register_class(cls, secret: type[BaseSecretSchema]) -> None:
        """Add a schema.

        Raises:
            AlreadyExistsException: another class has its TYPE.
            InterfaceError: it has no TYPE.
        """
        type_ = getattr(secret, "TYPE", None)
        if not isinstance(type_, str) or not type_:
            raise InterfaceError(
                f'{_path(secret)} must set the class variable TYPE: ClassVar[str] = "my_schema".'
            )
        known = cls._classes.get(type_)
        if known is not None and _path(known) != _path(secret):  # the same path: its module is imported anew
            raise AlreadyExistsException(
                f"{_path(secret)} cannot be registered: {_path(known)} is the secret schema '{type_}' already. Choose another TYPE."
            )
        cls._classes[type_] = secret

    @classmethod
    def get_class(cls, secret_schema: str) -> type[BaseSecretSchema]:
        """The schema of that type. Raises DoesNotExistException, which names the nearest known one."""
        try:
            return cls.all_classes()[secret_schema]
        except KeyError:
            raise DoesNotExistException(
                f"There is no secret schema '{secret_schema}'.{nearest(secret_schema, cls._classes)} "
                "A schema of your own is known once the module that registers it is imported."
            ) from None

    @classmethod
    def all_classes(cls) -> dict[str, type[BaseSecretSchema]]:
        """All known schemas by type."""
        # Here, because these modules register themselves with this one.
        import_module("zenml.secret.arbitrary_secret_schema")
        import_module("zenml.secret.schemas")
        return dict(cls._classes)


def register_secret_schema_class(cls: S) -> S:
    """Class decorator: add a schema to the registry. Raises as `SecretSchemaClassRegistry.register_class`."""
    SecretSchemaClassRegistry.register_class(cls)
    return cls


def restore_secret(type_: str, name: str, content: Mapping[str, str]) -> BaseSecretSchema:
    """The secret that a secrets manager kept as its type, name and content.

    Where no class of that type is registered, as in a process that never imports it, the secret has any keys and keeps its type.

    Raises:
        SecretError: the content does not fit the schema.
    """
    from zenml.secret.arbitrary_secret_schema import ArbitrarySecretSchema

    class_ = SecretSchemaClassRegistry.all_classes().get(type_)
    if class_ is not None and not issubclass(class_, ArbitrarySecretSchema):
        return class_(name=name, **content)
    if class_ is None:
        class_ = type(
            "UnregisteredSecretSchema", (ArbitrarySecretSchema,), {"TYPE": type_, "__module__": __name__}
        )
    return class_(name=name, arbitrary_kv_pairs=dict(content))


def _path(class_: type) -> str:
    return f"{class_.__module__}.{class_.__qualname__}"
