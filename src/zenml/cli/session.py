"""What a command works on: the active profile and stack, found once, and said in the header."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from zenml.exceptions import DoesNotExistException, nearest
from zenml.profiles import active as settings
from zenml.profiles.profiles import get_profile, open_registry

if TYPE_CHECKING:
    from pathlib import Path

    from zenml.cli.terminal import Terminal
    from zenml.config.profile_config import ProfileConfiguration
    from zenml.enums import StackComponentType
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.model.records import ComponentRecord
    from zenml.post_execution import PipelineRunView
    from zenml.profiles.active import Active
    from zenml.profiles.registry import Registry
    from zenml.repository import Repository
    from zenml.stack import Stack


class Session:
    """The active settings, as they were when the command started."""

    def __init__(self, terminal: Terminal, active: Active) -> None:
        self.terminal = terminal
        self.active = active

    @classmethod
    def open(
        cls, terminal: Terminal, *, header: bool = True, stack: bool = False, profile_must_exist: bool = True
    ) -> Session:
        """Find what is active and, unless `header` is off, say which profile that is, and with `stack` which stack.

        Raises:
            ActiveSettingError: the active profile does not exist, and must; or the stack, where it is said.
        """
        active = settings.resolve(profile_must_exist=profile_must_exist, stack_must_exist=stack)
        if header:
            if active.root is None:
                settings.report_missing_repository()
            if active.profile is not None:
                terminal.say(f"Running with active profile: '{active.profile}' ({active.profile_setting})")
            if stack:
                terminal.say(f"Running with active stack: '{active.stack}'")
        return cls(terminal, active)

    @property
    def root(self) -> Path | None:
        """The root of the repository."""
        return self.active.root

    @property
    def profile(self) -> ProfileConfiguration:
        """The active profile. Raises ActiveSettingError if it does not exist."""
        return settings.active_profile(self.active)

    @cached_property
    def registry(self) -> Registry:
        """The records of the active profile."""
        return open_registry(self.profile)

    def registry_of(self, profile: str | None) -> Registry:
        """The records of the profile of that name, or of the active one."""
        return self.registry if profile is None else open_registry(get_profile(profile))

    @cached_property
    def active_stack(self) -> str:
        """The name of the active stack. Raises ActiveSettingError if it does not exist."""
        return settings.check_stack(self.active, self.profile)

    def active_component(self, type_: StackComponentType) -> str | None:
        """The name of the component of that type in the active stack, if it has one."""
        return self.registry.stack(self.active_stack).components.get(type_)

    def component(self, type_: StackComponentType, name: str | None) -> ComponentRecord:
        """The component of that name, or that of the active stack. Raises DoesNotExistException."""
        if name is None:
            name = self.active_component(type_)
            if name is None:
                raise DoesNotExistException(
                    f"No {type_.display} in active stack '{self.active_stack}': give the NAME of one."
                )
            self.terminal.say(f"No component name given; using `{name}` from active stack.")
        return self.registry.component(type_, name)

    @property
    def repository(self) -> Repository:
        """The same through instances; loads pydantic."""
        from zenml.repository import Repository

        return Repository()

    def activate_stack(self, name: str, *, globally: bool = False) -> None:
        """Make a stack active, in the repository or globally, and say so."""
        root = None if globally else self.root
        winner = settings.activate_stack(self.profile, name, root=root)
        self.terminal.say(f"Active {'global ' if globally else ''}stack set to: '{name}'")
        self.warn_overridden(winner)

    def warn_overridden(self, variable: str | None) -> None:
        """Say that an environment variable wins over what was set."""
        if variable is not None:
            self.terminal.warn(
                f"The environment variable {variable} is set and wins: unset it to use what you have set now."
            )


def active_stack(terminal: Terminal) -> Stack:
    """The active stack, which the header names."""
    return Session.open(terminal, stack=True).repository.active_stack


def active_metadata_store(terminal: Terminal) -> BaseMetadataStore:
    """The metadata store of the active stack, which the header names."""
    return active_stack(terminal).metadata_store


def active_run(terminal: Terminal, name: str) -> PipelineRunView:
    """The run of that name on the active stack, which the header names. Raises DoesNotExistException."""
    return find_run(active_stack(terminal), name)


def find_run(stack: Stack, name: str) -> PipelineRunView:
    """The run of that name on the active stack. Raises DoesNotExistException."""
    from zenml.post_execution import run_of

    run = run_of(stack.metadata_store, stack.artifact_store, name)
    if run is None:
        known = [known.name for known in stack.metadata_store.runs(limit=1000, newest_first=True)]
        raise DoesNotExistException(f"There is no run '{name}' on the active stack.{nearest(name, known)}")
    return run
