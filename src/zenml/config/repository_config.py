"""The configuration of a repository: `.zen/config.yaml`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zenml.config.global_config import GlobalConfiguration
from zenml.exceptions import InitializationException, StoreError
from zenml.storage.files import YamlFile, make_folder

FOLDER = ".zen"
_KEYS = ("active_profile_name", "active_stack_name")


@dataclass(frozen=True)
class RepositoryConfiguration:
    """What a repository says is active. The names need not exist; None says nothing."""

    active_profile_name: str | None = None
    active_stack_name: str | None = None


def read(root: Path) -> RepositoryConfiguration:
    """What the repository at `root` says; a folder `.zen` without a file says nothing.

    Raises:
        UnreadableFileError, StoreError: the file cannot be read.
    """
    file = _file(root)
    data = file.read() or {}
    _check(data, file)
    return RepositoryConfiguration(*(data.get(key) or None for key in _KEYS))


@contextmanager
def change(root: Path) -> Iterator[dict[str, Any]]:
    """The settings by key, to change in place; they are written when the block ends without an exception. Unknown keys are kept."""
    file = _file(root)
    with file.change() as data:
        _check(data, file)
        yield data


def create(root: Path, configuration: RepositoryConfiguration) -> None:
    """Make `root` a repository.

    Raises:
        InitializationException: it is one already, or something else has the name `.zen`.
        StoreError: the folder cannot be written.
    """
    folder = root / FOLDER
    if folder.is_dir():
        raise InitializationException(f"Found existing ZenML repository at path '{root}'.")
    if folder.exists():
        raise InitializationException(
            f"'{folder}' is a file, not a folder: remove or rename it to make '{root}' a ZenML repository."
        )
    if not root.is_dir():
        raise StoreError(f"'{root}' is no folder: make it first.")
    make_folder(folder)
    try:
        with change(root) as data:
            data.update(
                active_profile_name=configuration.active_profile_name,
                active_stack_name=configuration.active_stack_name,
            )
    except StoreError:
        folder.rmdir()  # without its file, the folder would make this a repository
        raise


def file_of(root: Path) -> Path:
    """The file that holds the configuration of the repository at `root`."""
    return root / FOLDER / "config.yaml"


def _file(root: Path) -> YamlFile:
    # The lock lies elsewhere: `.zen` holds a single file.
    return YamlFile(file_of(root), GlobalConfiguration().lock)


def _check(data: dict[str, Any], file: YamlFile) -> None:
    for key in _KEYS:
        if not isinstance(data.get(key), str | None):
            raise file.refuse(f"{key!r} must be a name.", key)
