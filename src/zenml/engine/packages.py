"""Installed packages: which of them a project imports, and which it lacks."""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Collection, Iterable
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)")

_IN_RECORD = re.compile(r"(?m)^([A-Za-z_]\w*)(?:/__init__)?\.(?:py|[\w.-]*so|pyd),")


def environment_of(modules: Collection[str]) -> dict[str, str]:
    """Versions: of Python, the platform, and the packages that bring these modules, by their distributions' names."""
    found = {"python": platform.python_version(), "platform": _platform()}
    names = {module.partition(".")[0] for module in modules} - sys.stdlib_module_names - {"zenml"}
    packages = {package for name in names if (package := _distribution(name)) is not None}
    return found | dict(sorted(packages))


def missing_packages(requirements: Iterable[str]) -> list[str]:
    """Those pip requirements that are not met here, each with what is there instead.

    Lines that name no package (options, addresses, paths) are left out; versions are compared where the package `packaging` is.
    """
    return [problem for line in sorted(set(requirements)) if (problem := _problem(line)) is not None]


def _problem(line: str) -> str | None:
    match = _NAME.fullmatch(line)
    if match is None or " @ " in line or "://" in line:
        return None
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        requirement = None
    else:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            return None
        if requirement.marker is not None and not requirement.marker.evaluate():
            return None
    name = match[1]
    try:
        present = version(name)
    except PackageNotFoundError:
        return line
    if requirement is None or requirement.specifier.contains(present, prereleases=True):
        return None
    return f"{line} ({present} is installed)"


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
