"""Installed packages: which of them a project imports."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version

_IN_RECORD = re.compile(r"(?m)^([A-Za-z_]\w*)(?:/__init__)?\.(?:py|[\w.-]*so|pyd),")


def environment_of(modules: Collection[str]) -> dict[str, str]:
    """Versions: of Python, the platform, and the packages that bring these modules, by their distributions' names."""
    found = {"python": platform.python_version(), "platform": _platform()}
    names = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"zenml"}
    packages = {package for name in names if (package := _distribution(name)) is not None}
    return found | dict(sorted(packages))


@lru_cache(maxsize=1)
def _platform() -> str:
    return platform.platform()


@lru_cache(maxsize=1024)
def _distribution(module: str) -> tuple[str, str] | None:
    """Name and version of the distribution that brings a module."""
    try:
        # Most go by the name of what they bring.
        return module, version(module)
    except PackageNotFoundError:
        distribution = _by_module().get(module)
        return None if distribution is None else (distribution.metadata["Name"], distribution.version)


@lru_cache(maxsize=1)
def _by_module() -> dict[str, Distribution]:
    # importlib.metadata.packages_distributions takes much longer: it parses what it reads.
    return {name: distribution for distribution in distributions() for name in _brings(distribution)}


def _brings(distribution: Distribution) -> Iterable[str]:
    listed = distribution.read_text("top_level.txt")
    if listed is not None:
        return listed.split()
    return set(_IN_RECORD.findall(distribution.read_text("RECORD") or ""))
