"""Which class a flavor stands for: a table of names, imported when one is used."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.enums import StackComponentType
from zenml.exceptions import (
    DoesNotExistException,
    MissingPackageError,
    StackComponentInterfaceError,
    nearest,
    sentence,
)
from zenml.model.records import FlavorRecord
from zenml.stack.integrations import Integration, integrations

if TYPE_CHECKING:
    from zenml.stack.component import StackComponent

_T = StackComponentType

_BUILT_IN: dict[StackComponentType, dict[str, str]] = {
    _T.ALERTER: {
        "email": "zenml.alerters.email_alerter.EmailAlerter",
        "webhook": "zenml.alerters.webhook_alerter.WebhookAlerter",
    },
    _T.ARTIFACT_STORE: {
        "local": "zenml.artifact_stores.local_artifact_store.LocalArtifactStore",
        "fsspec": "zenml.artifact_stores.fsspec_artifact_store.FsspecArtifactStore",
    },
    _T.CONTAINER_REGISTRY: {
        "default": "zenml.container_registries.default_container_registry.DefaultContainerRegistry",
        "aws": "zenml.container_registries.aws_container_registry.AWSContainerRegistry",
        "azure": "zenml.container_registries.azure_container_registry.AzureContainerRegistry",
        "dockerhub": "zenml.container_registries.dockerhub_container_registry.DockerHubContainerRegistry",
        "gcp": "zenml.container_registries.gcp_container_registry.GCPContainerRegistry",
        "github": "zenml.container_registries.github_container_registry.GitHubContainerRegistry",
        "gitlab": "zenml.container_registries.gitlab_container_registry.GitLabContainerRegistry",
        "local": "zenml.container_registries.local_container_registry.LocalContainerRegistry",
    },
    _T.DATA_VALIDATOR: {"local": "zenml.data_validators.local_data_validator.LocalDataValidator"},
    _T.EXPERIMENT_TRACKER: {
        "local": "zenml.experiment_trackers.local_experiment_tracker.LocalExperimentTracker"
    },
    _T.FEATURE_STORE: {"local": "zenml.feature_stores.local_feature_store.LocalFeatureStore"},
    _T.METADATA_STORE: {
        "sqlite": "zenml.metadata_stores.sqlite_metadata_store.SQLiteMetadataStore",
        "mysql": "zenml.metadata_stores.mysql_metadata_store.MySQLMetadataStore",
        "postgresql": "zenml.metadata_stores.postgresql_metadata_store.PostgreSQLMetadataStore",
    },
    _T.MODEL_DEPLOYER: {"local": "zenml.model_deployers.local_model_deployer.LocalModelDeployer"},
    _T.ORCHESTRATOR: {"local": "zenml.orchestrators.local_orchestrator.LocalOrchestrator"},
    _T.SECRETS_MANAGER: {"local": "zenml.secrets_managers.local_secrets_manager.LocalSecretsManager"},
    _T.STEP_OPERATOR: {"venv": "zenml.step_operators.venv_step_operator.VenvStepOperator"},
}

_BASES = {
    _T.ALERTER: "zenml.alerters.BaseAlerter",
    _T.ARTIFACT_STORE: "zenml.artifact_stores.BaseArtifactStore",
    _T.CONTAINER_REGISTRY: "zenml.container_registries.BaseContainerRegistry",
    _T.DATA_VALIDATOR: "zenml.data_validators.BaseDataValidator",
    _T.EXPERIMENT_TRACKER: "zenml.experiment_trackers.BaseExperimentTracker",
    _T.FEATURE_STORE: "zenml.feature_stores.BaseFeatureStore",
    _T.METADATA_STORE: "zenml.metadata_stores.BaseMetadataStore",
    _T.MODEL_DEPLOYER: "zenml.model_deployers.BaseModelDeployer",
    _T.ORCHESTRATOR: "zenml.orchestrators.BaseOrchestrator",
    _T.SECRETS_MANAGER: "zenml.secrets_managers.BaseSecretsManager",
    _T.STEP_OPERATOR: "zenml.step_operators.BaseStepOperator",
}


def built_in_flavors(type_: StackComponentType) -> list[FlavorRecord]:
    """The flavors of a type that come with the framework itself."""
    return [FlavorRecord(type_, name, source) for name, source in _BUILT_IN[type_].items()]


def all_flavors(type_: StackComponentType, custom: Iterable[FlavorRecord] = ()) -> list[FlavorRecord]:
    """The flavors of a type: built-in ones, those of integrations, custom ones. Imports none of them."""
    found = built_in_flavors(type_)
    found += [
        flavor for integration in integrations() for flavor in integration.flavors if flavor.type == type_
    ]
    found += [flavor for flavor in custom if flavor.type == type_]
    return found


def find_flavor(type_: StackComponentType, name: str, custom: Iterable[FlavorRecord] = ()) -> FlavorRecord:
    """The flavor of that type and name. Raises DoesNotExistException, which names the nearest known one."""
    if source := _BUILT_IN[type_].get(name):
        return FlavorRecord(type_, name, source)
    flavors = all_flavors(type_, custom)
    for flavor in flavors:
        if flavor.name == name:
            return flavor
    raise DoesNotExistException(
        f"There is no {type_.display} flavor '{name}'.{nearest(name, [flavor.name for flavor in flavors])} "
        f"List them with `zenml {type_.value.replace('_', '-')} flavor list`."
    )


def load_flavor(flavor: FlavorRecord, root: Path | None = None) -> type[StackComponent]:
    """The class of a flavor; a custom one is imported with `root` (of the repository) first on the path.

    Raises:
        MissingPackageError: it belongs to an integration whose packages are not installed.
        StackComponentInterfaceError: the class cannot be imported, is abstract, or is no component of the flavor's type.
    """
    try:
        class_ = import_class(flavor.source, root)
    except ImportError as error:
        if flavor.integration:
            raise MissingPackageError(
                f"The {flavor.type.display} flavor '{flavor.name}' needs the integration '{flavor.integration}', which cannot "
                f"be imported: {sentence(error)} Install it with `pip install {requirement_line(flavor.integration)}`."
            ) from error
        where = f", with {str(root)!r} first on the path" if root else ""
        raise StackComponentInterfaceError(
            f"The {flavor.type.display} flavor '{flavor.name}' cannot be imported from {flavor.source!r}{where}: {sentence(error)} "
            "Custom flavors are imported relative to the root of the repository: is the module there, and does it import?"
        ) from error
    check_flavor_class(class_, flavor.source, flavor.type)
    return class_  # type: ignore[no-any-return]  # checked in the line above


def check_flavor_class(class_: Any, source: str, type_: StackComponentType | None = None) -> None:
    """See that a class can serve as a flavor of `type_`.

    Raises:
        StackComponentInterfaceError: it cannot; the message says what is missing.
    """
    from zenml.stack.component import StackComponent

    if not inspect.isclass(class_) or not issubclass(class_, StackComponent):
        raise StackComponentInterfaceError(
            f"{source!r} is no stack component: a flavor is a subclass of one of the base classes, such as "
            f"zenml.artifact_stores.BaseArtifactStore."
        )
    if not hasattr(class_, "TYPE") or (type_ is not None and type_ != class_.TYPE):
        expected = _BASES[type_] if type_ else "one of the base classes"
        actual = (
            f"of the type {class_.TYPE.display}" if hasattr(class_, "TYPE") else "a component without TYPE"
        )
        raise StackComponentInterfaceError(f"{source!r} is {actual}; expected a subclass of {expected}.")
    base = import_class(_BASES[class_.TYPE])
    if not issubclass(class_, base):
        raise StackComponentInterfaceError(f"{source!r} must be a subclass of {_BASES[class_.TYPE]}.")
    if not getattr(class_, "FLAVOR", None):
        raise StackComponentInterfaceError(
            f'{source!r} must set the class variable FLAVOR: ClassVar[str] = "my_flavor".'
        )
    if missing := sorted(name for name in class_.__class_vars__ if not hasattr(class_, name)):
        raise StackComponentInterfaceError(
            f"{source!r} must set what {_BASES[class_.TYPE]} declares as a class variable: {', '.join(missing)}."
        )
    if abstract := sorted(getattr(class_, "__abstractmethods__", ())):
        raise StackComponentInterfaceError(
            f"{source!r} is abstract: it must implement {', '.join(abstract)}."
        )


def import_class(source: str, root: Path | None = None) -> Any:
    """The object at an import path "package.module.Name". Raises ImportError, also where the module raises anything else."""
    module, _, name = source.rpartition(".")
    if not module:
        raise ImportError(f"{source!r} is no import path of the form package.module.Class")
    with _first_on_path(root):
        try:
            return getattr(import_module(module), name)
        except AttributeError as error:
            if error.obj is sys.modules.get(module):
                public = [n for n in dir(error.obj) if not n.startswith("_")]
                raise ImportError(f"the module {module!r} has no {name!r}.{nearest(name, public)}") from error
            raise ImportError(f"{type(error).__name__} while importing {module!r}: {error}") from error
        except ImportError:
            raise
        except Exception as error:
            raise ImportError(f"{type(error).__name__} while importing {module!r}: {error}") from error


def requirement_line(integration: str) -> str:
    """The pip requirements of an integration in one line, each in quotes."""
    found = next((i for i in integrations() if i.name == integration), Integration(integration))
    return " ".join(f"'{requirement}'" for requirement in found.requirements)


@contextmanager
def _first_on_path(root: Path | None) -> Iterator[None]:
    if root is None or str(root) in sys.path:
        yield
        return
    # It stays on the path: what is imported may import more, later.
    sys.path.insert(0, str(root))
    yield
