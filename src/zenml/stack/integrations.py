"""Manifests of integrations: what each one brings, as strings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from zenml.exceptions import DoesNotExistException, IntegrationError, nearest

if TYPE_CHECKING:
    from zenml.model.records import FlavorRecord

GROUP = "zenml.integrations"
"""The entry-point group in which other distributions name their manifests."""


@dataclass(frozen=True)
class Integration:
    """What an integration brings. Making one imports nothing.

    `requirements` are pip requirements; `flavors` name classes by import path; `materializers` maps the import path
    of a type ("pandas.DataFrame" as
    "pandas.core.frame.DataFrame": module and qualified name of the class) to that of its materializer.
    """

    name: str
    requirements: tuple[str, ...] = ()
    flavors: tuple[FlavorRecord, ...] = ()
    materializers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        """Whether all requirements are met: packages, versions and extras."""
        from zenml.stack.packages import missing_packages

        return not missing_packages(self.requirements)


def built_in_integrations() -> tuple[Integration, ...]:
    """The manifests in the tree."""
    # By name: the integrations lie above this layer, and their manifest is a table of strings.
    manifests: tuple[Integration, ...] = import_module("zenml.integrations").INTEGRATIONS
    return manifests


@cache
def integrations() -> tuple[Integration, ...]:
    """All manifests: those in the tree, then those that installed distributions name in the group `zenml.integrations`.

    Raises:
        IntegrationError: an entry point cannot be loaded, or is no Integration.
    """
    from importlib.metadata import entry_points

    found = list(built_in_integrations())
    for entry_point in entry_points(group=GROUP):
        try:
            manifest = entry_point.load()
        except Exception as error:
            raise IntegrationError(
                f"The integration {entry_point.name!r} ({entry_point.value}) cannot be loaded: {error}. Update or "
                f"uninstall the distribution that brings it."
            ) from error
        if not isinstance(manifest, Integration):
            raise IntegrationError(
                f"The entry point {entry_point.name!r} ({entry_point.value}) of the group {GROUP!r} is a "
                f"{type(manifest).__name__}; expected a zenml.stack.Integration."
            )
        found.append(manifest)
    return tuple(found)


def find_integrations(names: Iterable[str] = (), *, without: Iterable[str] = ()) -> list[Integration]:
    """The integrations of these names, or all, but those of `without`, sorted by name.

    Raises:
        DoesNotExistException: a name is none of an integration; the message names the nearest.
    """
    known = {integration.name: integration for integration in integrations()}
    wanted, unwanted = list(names), set(without)
    unknown = [name for name in dict.fromkeys([*wanted, *unwanted]) if name not in known]
    if unknown:
        raise DoesNotExistException(
            " ".join(f"There is no integration '{name}'.{nearest(name, known)}" for name in sorted(unknown))
        )
    return [known[name] for name in sorted(set(wanted or known) - unwanted)]
