"""The global configuration: which profiles there are, and which one is active where nothing else says so."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from zenml.config.profile_config import ProfileConfiguration
from zenml.exceptions import ConfigurationError
from zenml.storage.collection import Collection
from zenml.storage.files import YamlFile
from zenml.storage.memory import DocumentSession

if TYPE_CHECKING:
    from typing_extensions import Self

CONFIG_PATH_VARIABLE = "ZENML_CONFIG_PATH"
_VERSION = 1


class GlobalConfiguration:
    """`config.yaml` of the configuration directory. Nothing is remembered: each use reads the file, each change is one atomic write.

    `GlobalConfiguration()` is one object; its directory is ZENML_CONFIG_PATH, else the one where applications of this system keep
    their settings. `GlobalConfiguration(config_path=...)` is an independent one.

    Every member that reads or writes raises `UnreadableFileError` if the file holds no such configuration, `ConfigurationError` if
    a newer version wrote it, `StoreError` if it cannot be read or written.
    """

    _instance: ClassVar[Any] = None
    _path: Path | None

    def __new__(cls, config_path: str | os.PathLike[str] | None = None) -> Self:
        if config_path is None and cls._instance is not None:
            return cls._instance  # type: ignore[no-any-return]  # ClassVar and Self do not go together
        self = super().__new__(cls)
        self._path = None if config_path is None else Path(config_path).expanduser().absolute()
        if config_path is None:
            cls._instance = self
        return self

    def __repr__(self) -> str:
        return f"GlobalConfiguration({str(self.config_directory)!r})"

    @property
    def config_directory(self) -> Path:
        """The folder of all that lies on this machine."""
        return self._path or default_config_directory()

    @property
    def file(self) -> Path:
        """The file that holds this configuration."""
        return self.config_directory / "config.yaml"

    @property
    def lock(self) -> Path:
        """The file that serializes all who write configuration."""
        return self.config_directory / "config.lock"

    @property
    def profiles(self) -> dict[str, ProfileConfiguration]:
        """All profiles by name, sorted."""
        return {profile.name: profile for profile in _profiles(self._read(), self._file)}

    @property
    def activated_profile(self) -> str | None:
        """The name of the globally active profile, as it is written; it need not exist."""
        return self._read().get("activated_profile") or None

    def has_profile(self, name: str) -> bool:
        """Whether there is a profile of that name."""
        return name in _profiles(self._read(), self._file)

    def get_profile(self, name: str) -> ProfileConfiguration:
        """The profile of that name. Raises DoesNotExistException."""
        return _profiles(self._read(), self._file).get(name)

    def add_profile(self, profile: ProfileConfiguration, *, activate: bool = False) -> None:
        """Keep a new profile. Raises EntityExistsError."""
        with self._change() as data:
            _profiles(data, self._file).add(profile)
            if activate:
                data["activated_profile"] = profile.name

    def delete_profile(self, name: str) -> ProfileConfiguration:
        """Forget a profile; what it keeps stays. Raises DoesNotExistException."""
        with self._change() as data:
            return _profiles(data, self._file).remove(name)

    def activate_profile(self, name: str) -> None:
        """Make a profile the globally active one. Raises DoesNotExistException."""
        with self._change() as data:
            data["activated_profile"] = _profiles(data, self._file).get(name).name

    def activate_stack(self, profile: str, stack: str | None, *, instead_of: str | None = None) -> None:
        """Set a profile's active stack, which is not looked for; with `instead_of` only if it is that one now.

        Raises:
            DoesNotExistException: there is no such profile.
        """
        with self._change() as data:
            profiles = _profiles(data, self._file)
            found = profiles.get(profile)
            if instead_of in (None, found.active_stack):
                profiles.replace(replace(found, active_stack=stack))

    @property
    def _file(self) -> YamlFile:
        # Database URLs may hold passwords: nobody else's business.
        return YamlFile(self.file, self.lock, mode=0o600)

    def _read(self) -> dict[str, Any]:
        return _checked(self._file.read() or _new(), self._file)

    @contextmanager
    def _change(self) -> Iterator[dict[str, Any]]:
        with self._file.change() as data:
            if not data:
                data.update(_new())
            yield _checked(data, self._file)


def default_config_directory() -> Path:
    """ZENML_CONFIG_PATH, else the folder that `click.get_app_dir("zenml")` gives, without the cost of click."""
    if given := os.environ.get(CONFIG_PATH_VARIABLE):
        return Path(given).expanduser().absolute()
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA") or Path.home()) / "zenml"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "zenml"
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "zenml"


def _new() -> dict[str, Any]:
    return {"version": _VERSION, "activated_profile": None, "profiles": {}}


def _profiles(data: dict[str, Any], file: YamlFile) -> Collection[ProfileConfiguration]:
    return Collection(_FileSession(data, file), ProfileConfiguration)


class _FileSession(DocumentSession):
    def __init__(self, data: dict[str, Any], file: YamlFile) -> None:
        super().__init__(data)
        self._file = file

    def where(self, kind: str, key: str) -> str:
        return self._file.where(kind, key)


def _checked(data: dict[str, Any], file: YamlFile) -> dict[str, Any]:
    version = data.get("version", _VERSION)
    if not isinstance(version, int) or version > _VERSION:
        raise ConfigurationError(
            f"{file.path} was written by another version (its format is {version!r}; this one knows up to {_VERSION}), and is left as "
            f"it is. Use that version, or set {CONFIG_PATH_VARIABLE} to another folder."
        )
    if "profiles" not in data:
        raise file.refuse("this is no zenml configuration: 'profiles' is missing.")
    profiles = data["profiles"]
    if not isinstance(profiles, dict) or not all(
        isinstance(k, str) and isinstance(v, dict) for k, v in profiles.items()
    ):
        raise file.refuse("'profiles' must map names to profiles.", "profiles")
    if not isinstance(data.get("activated_profile"), str | None):
        raise file.refuse("'activated_profile' must be a name.", "activated_profile")
    return data
