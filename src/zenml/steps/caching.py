"""What else an earlier result of a step depends on, besides its code, parameters and inputs."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from zenml.exceptions import StepInterfaceError
from zenml.model.json import canonical


@dataclass(frozen=True)
class Cache:
    """What an earlier result depends on: `@step(cache=Cache(files=("data/*.csv",), expires=timedelta(days=7)))`.

    Args:
        files: files that the step reads by itself: paths or shell patterns, relative to the source root (the repository, else the
            program's folder); `**` matches folders in folders. Of a folder, all files below it count.
        function: called without arguments when the pipeline is put together; its result, JSON data, counts.
        packages: distributions whose installed version counts.
        expires: how old a result may be.

    Raises:
        StepInterfaceError: an argument is of the wrong kind.
    """

    files: tuple[str, ...] = ()
    function: Callable[[], Any] | None = None
    packages: tuple[str, ...] = ()
    expires: timedelta | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be meant."""
        for name in ("files", "packages"):
            value = getattr(self, name)
            if isinstance(value, str) or not all(isinstance(one, str) for one in value):
                raise StepInterfaceError(f"{name!r} of Cache is {value!r}, expected a tuple of texts.")
            object.__setattr__(self, name, tuple(value))
        if self.function is not None and not callable(self.function):
            raise StepInterfaceError(
                f"'function' of Cache is {self.function!r}, expected a function without arguments."
            )
        expires: Any = self.expires
        if expires is not None and not (isinstance(expires, timedelta) and expires > timedelta(0)):
            raise StepInterfaceError(
                f"'expires' of Cache is {self.expires!r}, expected a positive timedelta."
            )

    def parts(self, step: str, root: Path) -> dict[str, str]:
        """The parts of the cache key of a step of that name: what they are, and a digest or version.

        Raises:
            StepInterfaceError: a file or package is missing, or the function fails or gives no JSON data.
        """
        parts: dict[str, str] = {}
        for pattern in self.files:
            for name, path in _matches(step, pattern, root).items():
                parts[f"file {name}"] = _file_digest(path)
        if self.function is not None:
            parts[f"cache function {_name(self.function)}"] = self._function_digest(step)
        for package in self.packages:
            parts[f"package {package}"] = _version(step, package)
        return parts

    def _function_digest(self, step: str) -> str:
        assert self.function is not None  # noqa: S101  asked by the caller
        name = _name(self.function)
        try:
            value = self.function()
        except Exception as error:
            raise StepInterfaceError(
                f"The cache function '{name}' of the step '{step}' failed: {type(error).__name__}: {error}"
            ) from error
        try:
            return hashlib.sha256(canonical(value).encode("utf-8", "surrogatepass")).hexdigest()
        except (TypeError, ValueError) as error:
            raise StepInterfaceError(
                f"The cache function '{name}' of the step '{step}' gave {value!r}, expected JSON data: {error}"
            ) from error


def _matches(step: str, pattern: str, root: Path) -> dict[str, Path]:
    """The files of a pattern, by the names that they have in keys: the same wherever the project lies."""
    found: set[Path] = set()
    for match in glob.glob(pattern, root_dir=root, recursive=True):  # noqa: PTH207  absolute patterns, too
        path = root / match
        found.update(file for file in (path.rglob("*") if path.is_dir() else (path,)) if file.is_file())
    if not found:
        raise StepInterfaceError(
            f"The step '{step}' depends on the files {pattern!r}, but there are none in {str(root)!r}: make them, or mend the pattern "
            "of its `Cache`."
        )
    return {
        (file.relative_to(root) if file.is_relative_to(root) else file).as_posix(): file
        for file in sorted(found)
    }


def _file_digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _version(step: str, package: str) -> str:
    from importlib.metadata import PackageNotFoundError, version  # few steps need it

    try:
        return version(package)
    except PackageNotFoundError:
        raise StepInterfaceError(
            f"The step '{step}' depends on the version of the package '{package}', which is not installed here: install it, or take it "
            "out of its `Cache`."
        ) from None


def _name(function: Callable[[], Any]) -> str:
    return getattr(function, "__qualname__", type(function).__qualname__)
