"""What every secrets manager does."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pydantic import model_validator

from zenml.enums import StackComponentType
from zenml.exceptions import DoesNotExistException, SecretError, SecretExistsError, nearest
from zenml.secret import ARBITRARY_SECRET_SCHEMA_TYPE, BaseSecretSchema
from zenml.secret.references import ENVIRONMENT, references
from zenml.secret.registry import restore_secret
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.model.records import ComponentRecord
    from zenml.stack import Check

C = TypeVar("C", bound=StackComponent)


class BaseSecretsManager(StackComponent):
    """Keeps secrets by name, each with its schema.

    What was registered is given back as it was: any name that a secret may have, any text as a value. A verb that fails
    changes nothing, and no error, log or text shows a value. Two processes that write at once lose nothing: an update
    touches the keys that it names and no others. A manager that cannot be reached, or that refuses its credentials,
    raises `SecretError` or `StoreError`. The smallest one, for tests:

        class Memory(BaseSecretsManager):
            FLAVOR: ClassVar[str] = "memory"
            _secrets: dict[str, BaseSecretSchema] = PrivateAttr(default_factory=dict)

            def register_secret(self, secret):
                if secret.name in self._secrets:
                    raise self._taken(secret.name)
                self._secrets[secret.name] = secret
            def get_secret(self, secret_name):
                if secret_name not in self._secrets:
                    raise self._missing(secret_name)
                return self._secrets[secret_name]
            def get_all_secret_keys(self):
                return sorted(self._secrets)
            def update_secret(self, secret):
                self._secrets[secret.name] = self._merged(self.get_secret(secret.name), secret)
            def delete_secret(self, secret_name):
                del self._secrets[self.get_secret(secret_name).name]
            def delete_all_secrets(self):
                self._secrets.clear()
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.SECRETS_MANAGER

    @model_validator(mode="after")
    def _check_references(self) -> Self:
        for field, value in self.__dict__.items():
            for name, key in references(value):
                if name != ENVIRONMENT:
                    raise ValueError(
                        f"the {field} refers to the secret '{{{{{name}.{key}}}}}', but what opens a {self.TYPE.display} cannot be kept in "
                        f"one: refer to an environment variable, as in '{{{{{ENVIRONMENT}.X}}}}'"
                    )
        return self

    def to_record(self) -> ComponentRecord:
        """The component as it is kept. Raises SecretError if a secret field holds a literal."""
        if literals := self.literal_secrets():
            raise _in_clear(self, literals)
        return super().to_record()

    def check(self) -> Iterator[Check]:
        """List the names of the secrets."""
        from zenml.stack.checks import tried

        yield from self._check_state()
        yield tried("lists", lambda: f"{len(self.get_all_secret_keys())} names")

    @abstractmethod
    def register_secret(self, secret: BaseSecretSchema) -> None:
        """Keep a new secret. Raises SecretExistsError if its name is taken."""

    @abstractmethod
    def get_secret(self, secret_name: str) -> BaseSecretSchema:
        """The secret of that name. Raises DoesNotExistException, which names the nearest known one."""

    @abstractmethod
    def get_all_secret_keys(self) -> list[str]:
        """The names of all secrets, sorted."""

    @abstractmethod
    def update_secret(self, secret: BaseSecretSchema) -> None:
        """Set the keys of `secret` in the kept secret of its name; its other keys stay.

        A secret of any keys (`ArbitrarySecretSchema`) leaves the kept secret's schema as it is; one of another schema takes its place.

        Raises:
            DoesNotExistException: there is no secret of that name.
            SecretError: the result would not fit the schema.
        """

    @abstractmethod
    def delete_secret(self, secret_name: str) -> None:
        """Remove a secret. Raises DoesNotExistException, which names the nearest known one."""

    @abstractmethod
    def delete_all_secrets(self) -> None:
        """Remove all secrets."""

    def keep_literals(self, component: C) -> C:
        """Move what secret fields of `component` hold in clear into the secret `<name>_<type>`; give the component with references instead.

        Raises:
            SecretError: the component is a secrets manager: what opens it cannot be inside.
        """
        literals = component.literal_secrets()
        if not literals:
            return component
        if isinstance(component, BaseSecretsManager):
            raise _in_clear(component, literals)
        name = f"{component.name}_{component.TYPE.value}"
        secret = restore_secret(ARBITRARY_SECRET_SCHEMA_TYPE, name, literals)
        try:
            self.register_secret(secret)
        except SecretExistsError:
            self.update_secret(secret)
        return component.updated({field: f"{{{{{name}.{field}}}}}" for field in literals})

    # For those who write a secrets manager.

    @staticmethod
    def _merged(kept: BaseSecretSchema, changes: BaseSecretSchema) -> BaseSecretSchema:
        """The kept secret after `update_secret(changes)`. Raises SecretError if it would not fit its schema."""
        schema = kept if changes.TYPE == ARBITRARY_SECRET_SCHEMA_TYPE else changes
        return restore_secret(schema.TYPE, kept.name, {**kept.content, **changes.content})

    def _taken(self, name: str) -> SecretExistsError:
        """The error for a name that is taken."""
        return SecretExistsError(
            f"The secret '{name}' already exists in the {self.TYPE.display} '{self.name}': choose another name, or "
            f"change it with `zenml secret update {name} --KEY=VALUE`."
        )

    def _missing(self, name: str) -> DoesNotExistException:
        """The error for a name that no secret has."""
        return DoesNotExistException(
            f"The {self.TYPE.display} '{self.name}' has no secret '{name}'.{nearest(name, self.get_all_secret_keys())} "
            f"Register it with `zenml secret register {name} --KEY=VALUE`."
        )


def _in_clear(manager: BaseSecretsManager, literals: Iterable[str]) -> SecretError:
    return SecretError(
        f"The {manager.TYPE.display} '{manager.name}' holds a secret in clear in: {', '.join(sorted(literals))}. What opens a "
        f"{manager.TYPE.display} cannot be kept in one: refer to an environment variable, as in '{{{{{ENVIRONMENT}.X}}}}'."
    )
