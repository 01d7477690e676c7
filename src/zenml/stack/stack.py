"""Stack: components that pipelines run on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, TypeVar, cast

from zenml.enums import StackComponentType
from zenml.exceptions import ProvisioningError, SecretError, StackValidationError, ZenMLBaseException, nearest
from zenml.model.deployment import StackSpec
from zenml.model.names import check_name
from zenml.model.records import FlavorRecord, StackRecord
from zenml.secret.references import resolve
from zenml.stack.checks import TIMEOUT, Finding, check_components, tried
from zenml.stack.component import StackComponent
from zenml.stack.flavors import find_flavor, load_flavor

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from typing_extensions import Self

    from zenml.alerters import BaseAlerter
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.container_registries import BaseContainerRegistry
    from zenml.data_validators import BaseDataValidator
    from zenml.experiment_trackers import BaseExperimentTracker
    from zenml.feature_stores import BaseFeatureStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model_deployers import BaseModelDeployer
    from zenml.orchestrators import BaseOrchestrator
    from zenml.secrets_managers import BaseSecretsManager
    from zenml.step_operators import BaseStepOperator

logger = logging.getLogger(__name__)

_T = StackComponentType
C = TypeVar("C", bound=StackComponent)


class Stack:
    """A named set of components, at most one of each type.

    References to secrets in a component's fields are resolved with the stack's secrets manager.

    Raises:
        StackValidationError: a required component is missing, or a component has another type than its place.
    """

    def __init__(
        self,
        name: str,
        *,
        orchestrator: BaseOrchestrator,
        metadata_store: BaseMetadataStore,
        artifact_store: BaseArtifactStore,
        container_registry: BaseContainerRegistry | None = None,
        secrets_manager: BaseSecretsManager | None = None,
        step_operator: BaseStepOperator | None = None,
        feature_store: BaseFeatureStore | None = None,
        model_deployer: BaseModelDeployer | None = None,
        experiment_tracker: BaseExperimentTracker | None = None,
        alerter: BaseAlerter | None = None,
        data_validator: BaseDataValidator | None = None,
    ) -> None:
        given: dict[StackComponentType, StackComponent | None] = {
            _T.ORCHESTRATOR: orchestrator,
            _T.METADATA_STORE: metadata_store,
            _T.ARTIFACT_STORE: artifact_store,
            _T.CONTAINER_REGISTRY: container_registry,
            _T.SECRETS_MANAGER: secrets_manager,
            _T.STEP_OPERATOR: step_operator,
            _T.FEATURE_STORE: feature_store,
            _T.MODEL_DEPLOYER: model_deployer,
            _T.EXPERIMENT_TRACKER: experiment_tracker,
            _T.ALERTER: alerter,
            _T.DATA_VALIDATOR: data_validator,
        }
        self._take(name, {type_: component for type_, component in given.items() if component is not None})
        if missing := [type_.display for type_ in given if type_.required and type_ not in self._components]:
            raise StackValidationError(
                f"The stack '{name}' has no {' and no '.join(missing)}: every stack needs one."
            )

    @classmethod
    def from_components(cls, name: str, components: Mapping[StackComponentType, StackComponent]) -> Self:
        """A stack of these components. Raises StackValidationError as the constructor does."""
        return cls(name, **cast("dict[str, Any]", {t.value: components.get(t) for t in StackComponentType}))

    @classmethod
    def from_spec(cls, spec: StackSpec, root: Path | None = None) -> Self:
        """The stack of a deployment; custom flavors are imported from `root`."""
        return cls.from_components(
            spec.name,
            {
                type_: load_flavor(find_flavor(type_, record.flavor, spec.flavors), root).from_record(record)
                for type_, record in spec.components.items()
            },
        )

    @classmethod
    def from_spec_in_part(
        cls, spec: StackSpec, root: Path | None = None
    ) -> tuple[Self, dict[StackComponentType, ZenMLBaseException]]:
        """A stack of those components that can be loaded, to look at it or to take it down; and what is wrong with the others."""
        components: dict[StackComponentType, StackComponent] = {}
        broken: dict[StackComponentType, ZenMLBaseException] = {}
        for type_, record in spec.components.items():
            try:
                flavor = find_flavor(type_, record.flavor, spec.flavors)
                components[type_] = load_flavor(flavor, root).from_record(record)
            except ZenMLBaseException as error:
                broken[type_] = error
        part = cls.__new__(cls)
        part._take(spec.name, components)  # noqa: SLF001 - of this class
        return part, broken

    def to_spec(self, flavors: Iterable[FlavorRecord] = ()) -> StackSpec:
        """The stack as plain data, with those custom `flavors` that its components are of."""
        records = {type_: component.to_record() for type_, component in self._components.items()}
        used = {(type_, record.flavor) for type_, record in records.items()}
        return StackSpec(self.name, records, tuple(f for f in flavors if (f.type, f.name) in used))

    def to_record(self) -> StackRecord:
        """The stack as it is kept in a profile: the names of its components."""
        return StackRecord(self.name, {type_: c.name for type_, c in self._components.items()})

    def __repr__(self) -> str:
        parts = ", ".join(f"{type_.value}={c.name!r}" for type_, c in self._components.items())
        return f"Stack(name={self.name!r}, {parts})"

    @property
    def name(self) -> str:
        """The stack's name."""
        return self._name

    @property
    def components(self) -> dict[StackComponentType, StackComponent]:
        """The components that are set, orchestrator, metadata store and artifact store first."""
        return dict(self._components)

    @property
    def orchestrator(self) -> BaseOrchestrator:
        """Decides where steps are executed."""
        return cast("BaseOrchestrator", self._components[_T.ORCHESTRATOR])

    @property
    def metadata_store(self) -> BaseMetadataStore:
        """Remembers what happened."""
        return cast("BaseMetadataStore", self._components[_T.METADATA_STORE])

    @property
    def artifact_store(self) -> BaseArtifactStore:
        """Keeps the values of steps."""
        return cast("BaseArtifactStore", self._components[_T.ARTIFACT_STORE])

    @property
    def container_registry(self) -> BaseContainerRegistry | None:
        """Keeps container images."""
        return cast("BaseContainerRegistry | None", self._components.get(_T.CONTAINER_REGISTRY))

    @property
    def secrets_manager(self) -> BaseSecretsManager | None:
        """Keeps secrets."""
        return cast("BaseSecretsManager | None", self._components.get(_T.SECRETS_MANAGER))

    @property
    def step_operator(self) -> BaseStepOperator | None:
        """Executes single steps elsewhere."""
        return cast("BaseStepOperator | None", self._components.get(_T.STEP_OPERATOR))

    @property
    def feature_store(self) -> BaseFeatureStore | None:
        """Serves features."""
        return cast("BaseFeatureStore | None", self._components.get(_T.FEATURE_STORE))

    @property
    def model_deployer(self) -> BaseModelDeployer | None:
        """Serves models."""
        return cast("BaseModelDeployer | None", self._components.get(_T.MODEL_DEPLOYER))

    @property
    def experiment_tracker(self) -> BaseExperimentTracker | None:
        """Tracks parameters and metrics."""
        return cast("BaseExperimentTracker | None", self._components.get(_T.EXPERIMENT_TRACKER))

    @property
    def alerter(self) -> BaseAlerter | None:
        """Sends messages to people."""
        return cast("BaseAlerter | None", self._components.get(_T.ALERTER))

    @property
    def data_validator(self) -> BaseDataValidator | None:
        """Checks data."""
        return cast("BaseDataValidator | None", self._components.get(_T.DATA_VALIDATOR))

    @property
    def runtime_options(self) -> dict[str, Any]:
        """The arguments of `pipeline.run(...)` that some component understands, with their defaults."""
        return {k: v for component in self._components.values() for k, v in component.runtime_options.items()}

    def requirements(self, exclude_components: Iterable[StackComponentType] = ()) -> set[str]:
        """Pip requirements of the components and of the integrations that they come from."""
        from zenml.stack.integrations import integrations

        excluded = set(exclude_components)
        found: set[str] = set()
        for type_, component in self._components.items():
            if type_ in excluded:
                continue
            found |= component.requirements
            for integration in integrations():
                if any((f.type, f.name) == (type_, component.FLAVOR) for f in integration.flavors):
                    found |= set(integration.requirements)
        return found

    def validate(self) -> None:
        """See that the components fit together: what each demands, and whether each reaches as far as the steps are spread.

        Raises:
            StackValidationError: they do not; the message names every reason.
        """
        reasons: list[str] = []
        spread = self.orchestrator.spread
        for type_, component in self._components.items():
            if component.validator is not None:
                try:
                    component.validator.validate(self)
                except StackValidationError as error:
                    reasons.append(str(error))
            if component.reach < spread and not self.orchestrator.does_without(component):
                reasons.append(
                    f"The {type_.display} '{component.name}' can only be used from the same {component.reach.name.lower()}, but the steps "
                    f"of the orchestrator '{self.orchestrator.name}' run on other ones: choose a {type_.display} that they can reach."
                )
        if reasons:
            raise StackValidationError("\n".join(reasons))

    def check(self, timeout: float = TIMEOUT) -> list[Finding]:
        """Test every component as it is now, and whether they fit together.

        All components are tested beside each other; what has not answered after `timeout` seconds has failed. Nothing is left behind, and
        nothing is sent to people.
        """
        findings = check_components(self._components, timeout)
        if all(type_ in self._components for type_ in _T if type_.required):
            fit = tried("fits together", self.validate)
            findings.append(Finding(None, self._name, "", fit))
        return findings

    def check_running(self) -> None:
        """See that every component can be used now. Raises StackValidationError."""
        if idle := [f"{t.display} '{c.name}'" for t, c in self._components.items() if not c.is_running]:
            raise StackValidationError(
                f"These components of the stack '{self.name}' are not running: {', '.join(idle)}. Start them with `zenml stack up`."
            )

    def prepare_pipeline_deployment(self, pipeline: Any, runtime_configuration: dict[str, Any]) -> None:
        """Call the hook of every component."""
        for component in self._components.values():
            component.prepare_pipeline_deployment(pipeline, self, runtime_configuration)

    def prepare_pipeline_run(self) -> None:
        """Call the hook of every component."""
        for component in self._components.values():
            component.prepare_pipeline_run()

    def cleanup_pipeline_run(self) -> None:
        """Call the hook of every component, also when that of another one raises; the last error is raised when all were called."""
        with ExitStack() as hooks:
            for component in reversed(self._components.values()):
                hooks.callback(component.cleanup_pipeline_run)

    @property
    def step_hooks(self) -> list[StackComponent]:
        """The components that have something to do before or after a step."""
        return [
            component
            for component in self._components.values()
            if type(component).prepare_step_run is not StackComponent.prepare_step_run
            or type(component).cleanup_step_run is not StackComponent.cleanup_step_run
        ]

    @property
    def is_provisioned(self) -> bool:
        """Whether every component's resources are there."""
        return all(component.is_provisioned for component in self._components.values())

    @property
    def is_running(self) -> bool:
        """Whether every component can be used now."""
        return all(component.is_running for component in self._components.values())

    def provision(self) -> None:
        """Make what is not there. Raises ProvisioningError."""
        for component in self._components.values():
            if not component.is_provisioned:
                logger.info("Provisioning resources for %s '%s'.", component.TYPE.display, component.name)
                component.provision()

    def resume(self) -> None:
        """Start what does not run. Raises ProvisioningError."""
        for component in self._components.values():
            if component.is_running:
                continue
            if not component.is_provisioned:
                raise ProvisioningError(
                    f"The {component.TYPE.display} '{component.name}' has no resources to resume: run `zenml stack up`."
                )
            logger.info("Resuming resources for %s '%s'.", component.TYPE.display, component.name)
            component.resume()

    def suspend(self) -> None:
        """Stop what runs and can be stopped, keeping it; of all components, also when one raises ProvisioningError."""
        with ExitStack() as actions:
            for component in reversed(self._components.values()):
                if type(component).suspend is not StackComponent.suspend:
                    actions.callback(_suspend, component)

    def deprovision(self) -> None:
        """Remove what is there and can be removed; of all components, also when one raises ProvisioningError."""
        with ExitStack() as actions:
            for component in reversed(self._components.values()):
                if type(component).deprovision is not StackComponent.deprovision:
                    actions.callback(_deprovision, component)

    def resolve(self, text: str) -> str:
        """The text with what its references stand for: secrets of the secrets manager, variables of the environment.

        Raises:
            SecretError: one is not there.
        """
        return str(resolve(text, self._look_up))

    def _take(self, name: str, components: Mapping[StackComponentType, StackComponent]) -> None:
        self._name = check_name(name, "stack")
        self._secrets: dict[str, dict[str, str]] = {}
        self._components = {type_: self._bound(type_, component) for type_, component in components.items()}

    def _bound(self, type_: StackComponentType, component: C) -> C:
        actual = getattr(component, "TYPE", None)
        if actual is not type_:
            raise StackValidationError(
                f"{component!r} cannot be the {type_.display} of the stack '{self.name}': expected a component of type {type_.value!r}."
            )
        return component.bound(self._look_up) if component.has_references else component

    def _look_up(self, name: str, key: str) -> str:
        reference = f"{{{{{name}.{key}}}}}"
        if self.secrets_manager is None:
            raise SecretError(
                f"The stack '{self.name}' has no secrets manager that could resolve '{reference}': add one with "
                f"`zenml stack update {self.name} --secrets_manager NAME`."
            )
        if name not in self._secrets:
            try:
                self._secrets[name] = self.secrets_manager.get_secret(name).content
            except ZenMLBaseException as error:
                raise SecretError(f"'{reference}' cannot be resolved: {error}") from error
        content = self._secrets[name]
        if key not in content:
            raise SecretError(
                f"'{reference}' cannot be resolved: the secret '{name}' has no key '{key}'.{nearest(key, content)} "
                f"Add it with `zenml secret update {name} --{key}=...`."
            )
        return content[key]


def _suspend(component: StackComponent) -> None:
    if component.is_running:
        logger.info("Suspending resources for %s '%s'.", component.TYPE.display, component.name)
        component.suspend()


def _deprovision(component: StackComponent) -> None:
    if component.is_provisioned:
        logger.info("Deprovisioning resources for %s '%s'.", component.TYPE.display, component.name)
        component.deprovision()
