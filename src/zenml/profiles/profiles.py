"""Making, listing and deleting profiles."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zenml.config.global_config import GlobalConfiguration
from zenml.config.profile_config import DEFAULT_PROFILE_NAME, ProfileConfiguration
from zenml.enums import StackComponentType, StoreType
from zenml.exceptions import (
    ConfigurationError,
    EntityExistsError,
    InUseError,
    SecretError,
    ZenMLBaseException,
)
from zenml.model.names import check_name
from zenml.model.records import ComponentRecord, StackRecord
from zenml.profiles.registry import Registry
from zenml.secret.references import resolve
from zenml.storage.files import locked
from zenml.storage.urls import masked

if TYPE_CHECKING:
    from zenml.storage.collection import Backend

logger = logging.getLogger(__name__)

DEFAULT_STACK_NAME = "default"
STORE_TYPE_VARIABLE = "ZENML_DEFAULT_STORE_TYPE"
_FILE_SCHEME = "file://"


def list_profiles() -> list[ProfileConfiguration]:
    """All profiles, sorted by name."""
    return list(GlobalConfiguration().profiles.values())


def get_profile(name: str) -> ProfileConfiguration:
    """The profile of that name. Raises DoesNotExistException, which names the nearest known one."""
    return GlobalConfiguration().get_profile(name)


def create_profile(
    name: str, *, store_type: StoreType | str | None = None, url: str | None = None, activate: bool = False
) -> ProfileConfiguration:
    """Make a profile with a default stack. A store that exists at `url` is reused as it is.

    `store_type` defaults to ZENML_DEFAULT_STORE_TYPE, else local; `url` to a place in the configuration directory.
    An SQL URL may take its password from the environment: `postgresql://user:{{env.PASSWORD}}@host/database`.

    Raises:
        InvalidNameError, EntityExistsError: the name cannot be one, or is taken.
        ConfigurationError: store type or URL cannot be used.
        StoreError, MissingPackageError: the store cannot be reached. In each case nothing is left behind.
    """
    ensure_default_profile()
    with locked(GlobalConfiguration().config_directory / "profiles.lock"):
        return _create(name, store_type, url, activate=activate)


def delete_profile(name: str) -> None:
    """Delete a profile with its folder, and the local stores of its components that nothing else uses.

    A store elsewhere (`--url`) is left as it is, and so is what its components refer to.

    Raises:
        DoesNotExistException: there is none of that name.
        InUseError: it is active, or another profile is kept in its folder.
    """
    from zenml.profiles.active import check_profile_inactive  # which profile is active needs this module

    config = GlobalConfiguration()
    with locked(config.config_directory / "profiles.lock"):
        profile = config.get_profile(name)
        check_profile_inactive(name)
        folder = _folder(config, name)
        others = [other for other in config.profiles.values() if other.name != name]
        for other in others:
            if (place := _place(other)) and place.is_relative_to(folder):
                raise InUseError(
                    f"The profile '{name}' cannot be deleted: the profile '{other.name}' is kept in its folder, {str(folder)!r}."
                )
        place = _place(profile)
        garbage = (
            _own_local_stores(config, profile, others) if place and place.is_relative_to(folder) else set()
        )
        config.delete_profile(name)
        for unneeded in (folder, *sorted(garbage)):
            shutil.rmtree(unneeded, ignore_errors=True)


def ensure_default_profile() -> None:
    """Make and activate the default profile if there is no profile at all. Two processes that come here at once make one."""
    config = GlobalConfiguration()
    if config.profiles:
        return
    with locked(config.config_directory / "profiles.lock"):
        if not config.profiles:
            logger.info("Creating default profile...")
            _create(DEFAULT_PROFILE_NAME, None, None, activate=True)
            logger.info("Created and activated default profile.")


def open_backend(profile: ProfileConfiguration) -> Backend:
    """Where a profile's records are kept.

    Raises:
        ConfigurationError, MissingPackageError: its URL cannot be used here.
    """
    if profile.store_type == StoreType.SQL:
        from zenml.storage.sql import SQLBackend  # loads SQLAlchemy

        return SQLBackend(resolve(profile.store_url, _no_secrets))
    from zenml.storage.yaml_folder import YamlFolder

    return YamlFolder(Path(profile.store_url.removeprefix(_FILE_SCHEME)))


def open_registry(profile: ProfileConfiguration | str, *, root: Path | None = None) -> Registry:
    """The records of a profile, given by name or as it is.

    The settings that make a stack active follow it when it is renamed: those of the profile,
    and of the repository at `root`, else of the one here.
    """
    from zenml.profiles.active import ActivePointers  # which profile is active needs this module

    if isinstance(profile, str):
        profile = get_profile(profile)
    return Registry(open_backend(profile), ActivePointers(profile.name, root))


def shown_url(profile: ProfileConfiguration) -> str:
    """The URL of a profile's store, without a password."""
    return masked(profile.store_url)


def _create(
    name: str, store_type: StoreType | str | None, url: str | None, *, activate: bool
) -> ProfileConfiguration:
    config = GlobalConfiguration()
    check_name(name, "profile")
    if config.has_profile(name):
        raise EntityExistsError(f"Profile '{name}' already exists.")
    type_ = _store_type(store_type)
    folder = _folder(config, name)
    profile = ProfileConfiguration(name, type_, _checked_url(type_, url, folder), DEFAULT_STACK_NAME)
    was_there = folder.exists()
    try:
        logger.info("Initializing profile `%s`...", name)
        registry = Registry(open_backend(profile))
        if not registry.backend.exists():
            logger.info("Initializing store...")
        if not registry.initialize(*_default_stack(config)):
            stacks = [stack.name for stack in registry.stacks()]
            profile = _with_stack(profile, stacks)
        config.add_profile(profile, activate=activate)
    except BaseException:
        if not was_there:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return profile


def _with_stack(profile: ProfileConfiguration, stacks: list[str]) -> ProfileConfiguration:
    if profile.active_stack in stacks:
        return profile
    return replace(profile, active_stack=stacks[0] if stacks else None)


def _default_stack(config: GlobalConfiguration) -> tuple[StackRecord, list[ComponentRecord]]:
    """The default stack as records: instances would cost the first command the import of pydantic."""
    uuid = uuid4()
    path = config.config_directory / "local_stores" / str(uuid)
    t, name = StackComponentType, DEFAULT_STACK_NAME
    components = [
        ComponentRecord(t.ORCHESTRATOR, name, "local", uuid4()),
        ComponentRecord(t.METADATA_STORE, name, "sqlite", uuid4(), {"uri": str(path / "metadata.db")}),
        ComponentRecord(t.ARTIFACT_STORE, name, "local", uuid, {"path": str(path)}),
    ]
    return StackRecord(name, {component.type: component.name for component in components}), components


def _store_type(given: StoreType | str | None) -> StoreType:
    value = given or os.environ.get(STORE_TYPE_VARIABLE) or StoreType.LOCAL
    if value not in StoreType.values():
        source = "" if given else f" (from {STORE_TYPE_VARIABLE})"
        raise ConfigurationError(
            f"There is no store type {str(value)!r}{source}; expected one of {', '.join(StoreType.values())}."
        )
    return StoreType(value)


def _checked_url(type_: StoreType, url: str | None, folder: Path) -> str:
    if type_ == StoreType.LOCAL:
        if url is not None and "://" in url and not url.startswith(_FILE_SCHEME):
            raise ConfigurationError(
                f"A local store is a folder, given as a path or a {_FILE_SCHEME} URL, not {url.partition('://')[0]}://...; "
                "for a database, use `--store-type sql`."
            )
        path = folder if url is None else Path(url.removeprefix(_FILE_SCHEME)).expanduser().absolute()
        if path.exists() and not path.is_dir():
            raise ConfigurationError(f"A local store is a folder, but {str(path)!r} is a file.")
        return f"{_FILE_SCHEME}{path}"
    if url is None:
        return f"sqlite:///{folder / 'zenml.db'}"
    from zenml.storage.sql import checked_url  # loads SQLAlchemy

    parsed = checked_url(resolve(url, _no_secrets))
    if parsed.get_backend_name() != "sqlite":
        if not parsed.database:
            raise ConfigurationError(
                "The URL names no database: expected one such as postgresql://user@host/database."
            )
        return url
    if parsed.database in (None, "", ":memory:"):
        raise ConfigurationError(
            "A SQLite database in memory would be forgotten at once: give a file, as in sqlite:////path/to/zenml.db (four slashes)."
        )
    path = Path(str(parsed.database)).expanduser().absolute()
    return parsed.set(drivername="sqlite", database=str(path)).render_as_string(hide_password=False)


def _folder(config: GlobalConfiguration, name: str) -> Path:
    return config.config_directory / "profiles" / name


def _place(profile: ProfileConfiguration) -> Path | None:
    """The folder or file of this machine that a profile is kept in."""
    if profile.store_type == StoreType.LOCAL:
        return Path(profile.store_url.removeprefix(_FILE_SCHEME))
    if profile.store_url.startswith("sqlite:///"):
        return Path(profile.store_url.removeprefix("sqlite:///").partition("?")[0])
    return None


def _own_local_stores(
    config: GlobalConfiguration, profile: ProfileConfiguration, others: Iterable[ProfileConfiguration]
) -> set[Path]:
    """The folders below `local_stores` that only this profile's components refer to; none, if that cannot be known."""
    stores = config.config_directory / "local_stores"
    try:
        own = _local_stores(stores, profile)
        for other in others:
            own -= _local_stores(stores, other)
    except ZenMLBaseException as error:
        logger.warning(
            "The data of the profile's local components is kept in %s, as it may be in use: %s", stores, error
        )
        return set()
    return own


def _local_stores(stores: Path, profile: ProfileConfiguration) -> set[Path]:
    found = set()
    registry = Registry(open_backend(profile))
    for type_ in StackComponentType:
        for component in registry.components(type_):
            found.add(stores / str(component.uuid))
            for text in _texts(dict(component.configuration)):
                _, inside, rest = text.partition(f"{stores}{os.sep}")
                if inside and (name := rest.partition(os.sep)[0]) not in ("", ".", ".."):
                    found.add(stores / name)
    return {folder for folder in found if folder.is_dir()}


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _no_secrets(name: str, key: str) -> str:
    raise SecretError(
        f"The URL of a profile cannot refer to '{{{{{name}.{key}}}}}': secrets are kept in stacks, and these in the profile. "
        "Use an environment variable, {{env.NAME}}."
    )
