"""StackComponent: the base of every component of a stack."""

from __future__ import annotations

import re
from abc import ABC
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from uuid import UUID, uuid4

from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError, field_validator

from zenml.enums import Reach, StackComponentType
from zenml.exceptions import (
    ConfigurationError,
    ProvisioningError,
    SecretError,
    StackComponentInterfaceError,
    nearest,
)
from zenml.model.names import check_name
from zenml.model.records import ComponentRecord
from zenml.secret.references import Lookup, has_reference, resolve

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from typing_extensions import Self

    from zenml.stack.checks import Check
    from zenml.stack.stack import Stack
    from zenml.stack.validator import StackValidator

_SECRET_NAME = re.compile(r"(^|_)(password|passwd|token|secret)$|_(key|secret|token|password)$|^api_?key$")
_MASK = "***"


def is_secret_name(name: str) -> bool:
    """Whether a text field of that name counts as secret, unless its class says otherwise."""
    return _SECRET_NAME.search(name) is not None


class Secret:
    """Marks a field as secret: `credentials: Annotated[str, Secret()]`."""


class Public:
    """Marks a field as no secret, though its name sounds like one: `partition_key: Annotated[str, Public()]`."""


class StackComponent(BaseModel, ABC):
    """A configured part of a stack.

    A flavor is a subclass of one of the base classes (`BaseArtifactStore` ...) that sets `FLAVOR` and declares its configuration as
    pydantic fields. A component does not change; names of attributes that begin with `_` are not part of its
    configuration. A field may hold references to
    secrets and environment variables, `{{name.key}}` and `{{env.X}}`: they are kept as they are and resolved whenever
    the attribute is read. The smallest flavor:

        class Printer(BaseAlerter):
            FLAVOR: ClassVar[str] = "printer"
            prefix: str = "> "
            def post(self, message, config=None):
                print(self.prefix + message)
                return True

    Raises:
        ConfigurationError: fields are missing, unknown or wrong; the message lists every one.
        StackComponentInterfaceError: the class sets no TYPE or FLAVOR.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, arbitrary_types_allowed=True
    )

    name: str
    uuid: UUID = Field(default_factory=uuid4)

    TYPE: ClassVar[StackComponentType]
    FLAVOR: ClassVar[str]

    _lookup: Lookup | None = None
    _referring: frozenset[str] = frozenset()

    def __init__(self, **fields: Any) -> None:
        for attribute in ("TYPE", "FLAVOR"):
            if not hasattr(type(self), attribute):
                raise StackComponentInterfaceError(
                    f"The component class {type(self).__qualname__!r} must set the class variable {attribute}, "
                    f"as in `{attribute}: ClassVar[str] = ...`."
                )
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigurationError(self._mistakes(fields.get("name"), error)) from None

    def model_post_init(self, context: Any, /) -> None:
        """Remember which fields hold references."""
        super().model_post_init(context)
        self._referring = frozenset(name for name, value in self.__dict__.items() if has_reference(value))

    @field_validator("name")
    @classmethod
    def _check_name(cls, value: str) -> str:
        return check_name(value, "stack component")

    @field_validator("*", mode="wrap")
    @classmethod
    def _keep_references(cls, value: Any, handler: Any) -> Any:
        # What a reference stands for is validated when it is known: at the attribute's first use.
        return value if isinstance(value, str) and has_reference(value) else handler(value)

    if not TYPE_CHECKING:  # mypy would take every attribute to be Any

        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name[0] != "_" and isinstance(value, (str, dict, list, tuple, set)):
                private = super().__getattribute__("__pydantic_private__")
                if private and name in private["_referring"]:
                    return self._resolved(name, value)
            return value

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.uuid)

    def __repr_args__(self) -> Any:
        secret = self.secret_fields()
        yield "type", self.TYPE.value
        yield "flavor", self.FLAVOR
        for name, value in self.__dict__.items():
            yield name, _MASK if name in secret and value is not None else value

    # Hooks. Every one may be left as it is; override what the component needs.

    @property
    def log_file(self) -> str | None:
        """Path of a log file, for `zenml <type> logs`."""
        return None

    @property
    def runtime_options(self) -> dict[str, Any]:
        """The arguments of `pipeline.run(...)` that this component understands, with their default values."""
        return {}

    @property
    def requirements(self) -> set[str]:
        """Pip requirements of the code that runs with this component; those of the flavor's integration come on top."""
        return set()

    @property
    def local_path(self) -> str | None:
        """The folder of this machine that the component keeps its state in."""
        return None

    @property
    def reach(self) -> Reach:
        """From where the component can be used."""
        return Reach.NETWORK if self.local_path is None else Reach.HOST

    @property
    def post_registration_message(self) -> str | None:
        """What the user should know after registering the component."""
        return None

    @property
    def validator(self) -> StackValidator | None:
        """What the component demands of its stack."""
        return None

    def prepare_pipeline_deployment(
        self, pipeline: Any, stack: Stack, runtime_configuration: dict[str, Any]
    ) -> None:
        """Called first in a run, before compiling, with the arguments of `pipeline.run(...)`, which may be changed.

        Must have no side effects elsewhere.
        """

    def prepare_pipeline_run(self) -> None:
        """Called where the run is started, when it is registered."""

    def cleanup_pipeline_run(self) -> None:
        """Called where the run was started, when it has ended, however it ended."""

    def prepare_step_run(self) -> None:
        """Called before each step, in the process that executes it."""

    def cleanup_step_run(self) -> None:
        """Called after each step, in the process that executed it, also when the step failed."""

    def check(self) -> Iterator[Check]:
        """Tests of whether the component can be used now, for `zenml stack check`; each is given when it is done.

        They are made in a thread, beside those of other components, and given up after a while. They leave nothing behind, send
        nothing to people, and show no secret; what raises has failed. Whoever knows more of a component begins with
        `yield from super().check()`.
        """
        from zenml.stack.checks import check_folder

        yield from self._check_state()
        if self.local_path is not None:
            yield check_folder(self.local_path)

    @property
    def is_provisioned(self) -> bool:
        """Whether the resources that the component needs are there."""
        return True

    @property
    def is_running(self) -> bool:
        """Whether the component can be used now."""
        return True

    @property
    def is_suspended(self) -> bool:
        """Whether the resources are there, but stopped."""
        return not self.is_running

    def provision(self) -> None:
        """Make the resources. Raises ProvisioningError."""
        raise ProvisioningError(self._unsupported("provision"))

    def deprovision(self) -> None:
        """Remove the resources. Raises ProvisioningError."""
        raise ProvisioningError(self._unsupported("deprovision"))

    def resume(self) -> None:
        """Start the resources again. Raises ProvisioningError."""
        raise ProvisioningError(self._unsupported("resume"))

    def suspend(self) -> None:
        """Stop the resources, keeping them. Raises ProvisioningError."""
        raise ProvisioningError(self._unsupported("suspend"))

    # Configuration.

    @classmethod
    def secret_fields(cls) -> frozenset[str]:
        """The fields that hold secrets: declared so (`SecretStr`, `Annotated[..., Secret()]`), or named like one."""
        return frozenset(name for name, field in cls.model_fields.items() if _is_secret(name, field))

    def literal_secrets(self) -> dict[str, str]:
        """The secret fields that hold a secret itself instead of a reference to it, with their values."""
        literals = {}
        for name in self.secret_fields():
            value = self.__dict__[name]
            if isinstance(value, SecretStr):
                value = value.get_secret_value()
            if value not in (None, "") and not has_reference(value):
                literals[name] = str(value)
        return literals

    def to_record(self) -> ComponentRecord:
        """The component as it is kept.

        Raises:
            SecretError: a secret field holds a literal: only references are ever kept.
        """
        if literals := self.literal_secrets():
            fields = sorted(literals)
            raise SecretError(
                f"The {self.TYPE.display} '{self.name}' holds a secret in clear in: {', '.join(fields)}. Register the value with "
                f"`zenml secret register {self.name} --{fields[0]}=...` and set the field to "
                f"'{{{{{self.name}.{fields[0]}}}}}'."
            )
        return ComponentRecord(
            type=self.TYPE,
            name=self.name,
            flavor=self.FLAVOR,
            uuid=self.uuid,
            configuration=self.configuration(),
            secret_fields=tuple(sorted(self.secret_fields() & {k for k, v in self.__dict__.items() if v})),
        )

    def configuration(self) -> dict[str, Any]:
        """The fields other than name and uuid as JSON data; references stay references, a field left at None is left out."""
        plain = self.model_dump(mode="json", exclude={"name", "uuid", *self._referring})
        model = type(self).model_fields
        fields = {
            name: plain.get(name, self.__dict__[name]) for name in model if name not in ("name", "uuid")
        }
        return {
            k: v
            for k, v in fields.items()
            if v is not None or model[k].get_default(call_default_factory=True) is not None
        }

    @classmethod
    def from_record(cls, record: ComponentRecord) -> Self:
        """The component of that record.

        Raises:
            ConfigurationError: its fields are not those of this class; the message says how to mend it.
        """
        try:
            return cls(name=record.name, uuid=record.uuid, **record.configuration)
        except ConfigurationError as error:
            command = f"zenml {record.type.value.replace('_', '-')}"
            unknown = [field for field in record.configuration if field not in cls.model_fields]
            missing = [
                field
                for field, info in cls.model_fields.items()
                if info.is_required() and field not in ("name", *record.configuration)
            ]
            mend = (
                [
                    f"\nDrop what its flavor no longer has with `{command} remove-attribute {record.name}"
                    + "".join(f" --{field}" for field in unknown)
                    + "`."
                ]
                if unknown
                else []
            )
            mend += (
                [
                    f"\nSet what its flavor has come to require with `{command} update {record.name}"
                    + "".join(f" --{field}=..." for field in missing)
                    + "`."
                ]
                if missing
                else []
            )
            raise ConfigurationError(f"{error}{''.join(mend)}") from None

    def updated(self, changes: Mapping[str, Any]) -> Self:
        """A component with some fields changed, of the same uuid, validated anew."""
        fields = {k: v for k, v in self.__dict__.items() if k in self.model_fields_set}
        return type(self)(**{**fields, "uuid": self.uuid, **changes})

    @property
    def has_references(self) -> bool:
        """Whether any field refers to a secret or to the environment."""
        return bool(self._referring)

    def bound(self, lookup: Lookup) -> Self:
        """A copy whose references to secrets are resolved with `lookup`."""
        copy = self.model_copy()
        copy._lookup = lookup  # noqa: SLF001  a copy of its own
        return copy

    def _check_state(self) -> Iterator[Check]:
        """What can be said of any component: its references stand for something, and it runs."""
        from zenml.enums import CheckOutcome
        from zenml.stack.checks import Check, tried

        if self._referring:
            yield tried("references", lambda: [getattr(self, name) for name in sorted(self._referring)])
        if not self.is_provisioned:
            reason = "Its resources are not there."
        elif not self.is_running:
            reason = "It is not running."
        else:
            yield Check("running")
            return
        yield Check("running", CheckOutcome.FAILED, reason, "Start it with `zenml stack up`.")

    def _resolved(self, name: str, value: Any) -> Any:
        resolved = resolve(value, self._lookup or self._no_lookup)
        field = type(self).model_fields[name]
        try:
            adapter: TypeAdapter[Any] = TypeAdapter(Annotated[field.annotation, field])  # type: ignore[arg-type]  # built at run time
            return adapter.validate_python(resolved)
        except ValidationError as error:
            reasons = "; ".join(
                detail["msg"] for detail in error.errors(include_input=False, include_url=False)
            )
            raise ConfigurationError(
                f"What {value!r} refers to cannot be the {name} of the {self.TYPE.display} '{self.__dict__['name']}': {reasons}."
            ) from None

    def _no_lookup(self, name: str, key: str) -> str:
        raise SecretError(
            f"The {self.TYPE.display} '{self.__dict__['name']}' refers to the secret '{{{{{name}.{key}}}}}', but it is not part "
            "of a stack with a secrets manager: register one and add it with `zenml stack update STACK --secrets_manager NAME`."
        )

    def _unsupported(self, action: str) -> str:
        return (
            f"The {self.TYPE.display} '{self.name}' of flavor '{self.FLAVOR}' has no resources to {action}."
        )

    @classmethod
    def _mistakes(cls, name: object, error: ValidationError) -> str:
        known = set(cls.model_fields)
        lines = []
        for detail in error.errors(include_url=False, include_input=False):
            field = ".".join(str(part) for part in detail["loc"]) or "configuration"
            if detail["type"] == "extra_forbidden":
                reason = (
                    f"the flavor '{cls.FLAVOR}' has no such field.{nearest(field, known - {'name', 'uuid'})}"
                )
            elif detail["type"] == "missing":
                reason = "is required, but it is not given."
            else:
                reason = detail["msg"].removeprefix("Value error, ").rstrip(".") + "."
            lines.append(f"  {field}: {reason}")
        what = f"{cls.TYPE.display} {name!r}" if name is not None else cls.TYPE.display
        return f"The {what} of flavor '{cls.FLAVOR}' cannot be configured so:\n" + "\n".join(lines)


def _is_secret(name: str, field: FieldInfo) -> bool:
    for mark in field.metadata:
        if isinstance(mark, (Secret, Public)) or mark in (Secret, Public):
            return isinstance(mark, Secret) or mark is Secret
    if "SecretStr" in str(field.annotation):
        return True
    return "str" in str(field.annotation) and is_secret_name(name)
