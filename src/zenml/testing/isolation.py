"""A world of its own for a test: profile, stack and stores in a temporary folder, nothing of the user's."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.config.global_config import CONFIG_PATH_VARIABLE, GlobalConfiguration
from zenml.config.profile_config import ProfileConfiguration
from zenml.enums import StackComponentType, StoreType
from zenml.exceptions import ConfigurationError, nearest
from zenml.model.records import FlavorRecord
from zenml.profiles.active import REPOSITORY_VARIABLE
from zenml.profiles.profiles import DEFAULT_STACK_NAME, open_registry
from zenml.repository import Repository
from zenml.secret import ArbitrarySecretSchema
from zenml.stack import Stack
from zenml.stack.flavors import all_flavors

if TYPE_CHECKING:
    from zenml.stack import StackComponent

_T = StackComponentType
_PREFIX = "ZENML_"
_KEPT = ("ZENML_PREVENT_PIPELINE_EXECUTION",)  # set in processes that import a test for one of its steps


@contextmanager
def isolated_stack(
    folder: str | os.PathLike[str] | None = None,
    *,
    secrets: Mapping[str, Mapping[str, str]] | None = None,
    **components: StackComponent,
) -> Iterator[Stack]:
    """A world of its own for the length of a `with` block; gives its stack, which is the active one there.

    Profile, artifact store and metadata store lie in a temporary folder. Nothing of the user's configuration is read or written, and no
    environment variable that begins with `ZENML_` counts. Processes that are started inside of the block are part of the world; the
    environment belongs to the whole process, so that two threads cannot have a world each.

    Args:
        folder: where to keep everything, to look at it afterwards; by default a temporary folder that is removed at the end.
        secrets: the keys and values of secrets, by the secrets' names; they are kept in the stack's secrets manager.
        components: what stands in the place of the local components, or beside them, by type: `orchestrator=...`, `alerter=...`.

    Raises:
        ConfigurationError: there is no such type of component.
        StackValidationError: a component is given for another type than its own.
    """
    with ExitStack() as scope:
        if folder is None:
            temporary = tempfile.TemporaryDirectory(prefix="zenml-", ignore_cleanup_errors=True)
            folder = scope.enter_context(temporary)
        root = Path(folder).absolute()
        scope.enter_context(_environment(root))
        stack = Stack.from_components(DEFAULT_STACK_NAME, _components(root, components, secrets))
        for name, content in (secrets or {}).items():
            assert stack.secrets_manager is not None
            stack.secrets_manager.register_secret(
                ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=dict(content))
            )
        _register(root, stack)
        yield stack


def is_isolated() -> bool:
    """Whether this code runs inside of `isolated_stack`."""
    return bool(_worlds)


_worlds: list[Path] = []  # of the process, as its environment is; the innermost last


@contextmanager
def _environment(root: Path) -> Iterator[None]:
    """Let everything in this process use the configuration and the repository below `root`, then what it used before."""
    project = root / "project"
    (project / ".zen").mkdir(parents=True, exist_ok=True)
    saved = {name: value for name, value in os.environ.items() if name.startswith(_PREFIX)}
    for name in saved.keys() - set(_KEPT):
        del os.environ[name]
    os.environ[CONFIG_PATH_VARIABLE] = str(root / "config")
    os.environ[REPOSITORY_VARIABLE] = str(project)
    # A repository that the program has chosen for itself does not count, either.
    repository, Repository._instance = Repository._instance, None  # noqa: SLF001 - has no other name
    _worlds.append(root)
    try:
        yield
    finally:
        _worlds.pop()
        Repository._instance = repository  # noqa: SLF001
        for name in [name for name in os.environ if name.startswith(_PREFIX)]:
            del os.environ[name]
        os.environ.update(saved)


def _components(
    root: Path, given: Mapping[str, StackComponent], secrets: Mapping[str, Any] | None
) -> dict[StackComponentType, StackComponent]:
    for name in given:
        if name not in _T.values():
            raise ConfigurationError(
                f"There is no type of stack component {name!r}.{nearest(name, _T.values())}"
            )
    components: dict[StackComponentType, StackComponent] = {_T(name): c for name, c in given.items()}
    stores = root / "stores"
    if _T.ORCHESTRATOR not in components:
        from zenml.orchestrators import LocalOrchestrator

        components[_T.ORCHESTRATOR] = LocalOrchestrator(name="default")
    if _T.ARTIFACT_STORE not in components:
        from zenml.artifact_stores import LocalArtifactStore

        components[_T.ARTIFACT_STORE] = LocalArtifactStore(name="default", path=str(stores))
    if _T.METADATA_STORE not in components:
        from zenml.metadata_stores import SQLiteMetadataStore

        components[_T.METADATA_STORE] = SQLiteMetadataStore(name="default", uri=str(stores / "metadata.db"))
    if secrets and _T.SECRETS_MANAGER not in components:
        from zenml.secrets_managers import LocalSecretsManager

        # In a file of this world, not in memory: steps in processes of their own find it, too.
        components[_T.SECRETS_MANAGER] = LocalSecretsManager(name="default")
    return components


def _register(root: Path, stack: Stack) -> None:
    """Keep the stack in a profile, for whoever asks for the active stack, here and in processes that are started."""
    profile = ProfileConfiguration("default", StoreType.LOCAL, f"file://{root / 'profile'}", stack.name)
    registry = open_registry(profile)
    manager = stack.secrets_manager
    records = []
    for type_, component in stack.components.items():
        if component.FLAVOR not in {flavor.name for flavor in all_flavors(type_)}:
            class_ = type(component)
            registry.register_flavor(
                FlavorRecord(type_, component.FLAVOR, f"{class_.__module__}.{class_.__qualname__}")
            )
        kept = (
            component if manager is None or type_ is _T.SECRETS_MANAGER else manager.keep_literals(component)
        )
        records.append(kept.to_record())
    registry.initialize(stack.to_record(), records)
    GlobalConfiguration().add_profile(profile, activate=True)
