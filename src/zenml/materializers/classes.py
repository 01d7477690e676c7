"""Import paths of classes, as artifacts are recorded with them."""

from __future__ import annotations

import sys
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from types import ModuleType, NoneType
from typing import Any

from zenml.context import running_step


def import_path(class_: type[Any], root: Path | None = None) -> str:
    """The path that a class is found by: "package.module.Class".

    The main module goes by the name that it has for whoever imports it: that of its file, relative to `root`, else to the source root of
    the running step, else to its folder.
    """
    if class_ is NoneType:  # its own idea of where it lives is wrong
        return "types.NoneType"
    module = class_.__module__
    # By identity, too: a command that imports the program makes it the main module under its own name.
    is_main = module == "__main__" or sys.modules.get(module) is sys.modules["__main__"]
    return f"{main_name(root) if is_main else module}.{class_.__qualname__}"


def class_at(path: str) -> Any:
    """The class of that import path. Raises ImportError."""
    module, names = _located(path)
    found: Any = module
    for name in names:
        try:
            found = getattr(found, name)
        except AttributeError:
            raise ImportError(f"there is no {'.'.join(names)!r} in the module {module.__name__!r}") from None
    return found


def is_importable(class_: type[Any]) -> bool:
    """Whether another process can import the class by its path, as far as this one can tell."""
    if class_.__module__ == "__main__" and _main_file() is None:
        return False
    try:
        return class_at(import_path(class_)) is class_
    except ImportError:
        return False


@lru_cache(maxsize=1024)
def _located(path: str) -> tuple[ModuleType, tuple[str, ...]]:
    """The module that a path leads to, and the names that lead on from there."""
    parts = path.split(".")
    if "<locals>" in parts:
        raise ImportError(f"{path!r} is defined inside a function, where nothing else can import it from")
    for length in range(len(parts) - 1, 0, -1):
        if (module := _module(".".join(parts[:length]))) is not None:
            return module, tuple(parts[length:])
    raise ImportError(f"there is no module for {path!r}")


def _module(name: str) -> ModuleType | None:
    loaded, main = sys.modules.get(name), _main_file()
    if main is not None and main.with_suffix("").parts[-name.count(".") - 1 :] == tuple(name.split(".")):
        file = getattr(loaded, "__file__", None)
        if loaded is None or (file and Path(file).resolve() == main):
            return sys.modules["__main__"]
    try:
        return import_module(name)  # waits for another thread that imports it
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            return None
        raise
    except ImportError:
        raise
    except Exception as error:
        raise ImportError(f"{type(error).__name__} while importing {name!r}: {error}") from error


def _main_file() -> Path | None:
    file = getattr(sys.modules["__main__"], "__file__", None)
    return Path(file).resolve() if file else None


def main_name(root: Path | None) -> str:
    """What the main module would be imported as: relative to `root`, else to the source root of the running step, else to its folder."""
    file = _main_file()
    if root is None and (step := running_step()) is not None and step.deployment.source_root:
        root = Path(step.deployment.source_root)
    if file is not None and root is not None and file.is_relative_to(root):
        return ".".join(file.relative_to(root).with_suffix("").parts)
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return str(spec.name)
    return "__main__" if file is None else file.stem
