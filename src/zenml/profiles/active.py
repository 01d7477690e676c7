"""Which profile, stack and repository are active, and which setting decided it: see docs/adr/0011-precedence-of-settings.md."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from zenml.config import repository_config
from zenml.config.global_config import GlobalConfiguration
from zenml.config.repository_config import RepositoryConfiguration
from zenml.exceptions import ActiveSettingError, DoesNotExistException, InUseError, StoreError, nearest
from zenml.profiles.profiles import ensure_default_profile, open_backend
from zenml.profiles.registry import Registry

if TYPE_CHECKING:
    from zenml.config.profile_config import ProfileConfiguration

logger = logging.getLogger(__name__)

PROFILE_VARIABLE = "ZENML_ACTIVATED_PROFILE"
STACK_VARIABLE = "ZENML_ACTIVATED_STACK"
REPOSITORY_VARIABLE = "ZENML_REPOSITORY_PATH"
WARNINGS_VARIABLE = "ZENML_ENABLE_REPO_INIT_WARNINGS"

Setting = Literal["environment", "local", "global"]


@dataclass(frozen=True)
class Active:
    """What is active. Names are as they are set: whether they exist is what `resolve` was asked to see.

    `profile_setting` and `stack_setting` are "environment", "local" (of the repository at `root`) or "global";
    `profile_source`, `stack_source` and `root_source` name the variable or the file that decided. None: nothing is set.
    """

    profile: str | None
    profile_setting: Setting
    profile_source: str
    stack: str | None
    stack_setting: Setting
    stack_source: str
    root: Path | None
    root_source: str


def resolve(
    *, root: Path | None = None, profile_must_exist: bool = True, stack_must_exist: bool = True
) -> Active:
    """What is active here, by the environment, the working directory, the repository's and the global configuration.

    `root` is that of a repository to use instead of the one that is found. Makes the default profile if there is none at all.

    Raises:
        ActiveSettingError: the active profile or stack is not set or does not exist, and must; the message says how to mend it.
    """
    ensure_default_profile()
    found, root_source = (root, "given") if root is not None else _find_root()
    active = _settings(found, root_source)
    if profile_must_exist:
        profile = active_profile(active)
        if stack_must_exist:
            check_stack(active, profile)
    return active


def active_profile(active: Active) -> ProfileConfiguration:
    """The active profile.

    Raises:
        ActiveSettingError: it does not exist; the message says how to mend it.
    """
    if active.profile is None:
        raise ActiveSettingError(
            "No profile is active: choose one with `zenml profile set NAME` (`zenml profile list` shows all)."
        )
    try:
        return GlobalConfiguration().get_profile(active.profile)
    except DoesNotExistException:
        known = nearest(active.profile, GlobalConfiguration().profiles)
        raise ActiveSettingError(
            f"The active profile '{active.profile}', set by {active.profile_source}, does not exist.{known} "
            f"{_mend(active.profile_setting, PROFILE_VARIABLE, 'zenml profile set')} `zenml profile list` shows all; "
            "`zenml profile create` makes one."
        ) from None


def check_stack(active: Active, profile: ProfileConfiguration) -> str:
    """The name of the active stack.

    Raises:
        ActiveSettingError: it does not exist; the message says how to mend it.
    """
    if active.stack is None:
        raise ActiveSettingError(
            f"No stack is active in the profile '{profile.name}': choose one with `zenml stack set NAME` (`zenml stack list` shows all)."
        )
    with open_backend(profile).transaction(write=False) as session:
        if session.get("stacks", active.stack) is None:
            known = nearest(active.stack, session.list("stacks"))
            raise ActiveSettingError(
                f"The active stack '{active.stack}', set by {active.stack_source}, does not exist in the profile '{profile.name}'.{known} "
                f"{_mend(active.stack_setting, STACK_VARIABLE, 'zenml stack set')} `zenml stack list` shows all; "
                "`zenml stack register` makes one."
            )
    return active.stack


def activate_profile(name: str, *, root: Path | None) -> str | None:
    """Make a profile active in the repository at `root`, with its own active stack, or without `root` globally.

    Gives the name of the environment variable that wins over this setting for now, or None.

    Raises:
        DoesNotExistException: there is no such profile.
    """
    profile = GlobalConfiguration().get_profile(name)
    if root is None:
        GlobalConfiguration().activate_profile(name)
    else:
        with repository_config.change(root) as data:
            data.update(active_profile_name=profile.name, active_stack_name=profile.active_stack)
    return _overridden(PROFILE_VARIABLE, name)


def activate_stack(profile: ProfileConfiguration, name: str, *, root: Path | None) -> str | None:
    """Make a stack active in the repository at `root`, together with its profile, or without `root` in the profile.

    In a repository that says another profile is active, which the environment overrides, it is the profile too: its own stack counts there.
    Gives the name of the environment variable that wins over this setting for now, or None.

    Raises:
        DoesNotExistException: the profile has no such stack.
    """
    Registry(open_backend(profile)).stack(name)
    if root is None or repository_config.read(root).active_profile_name not in (None, profile.name):
        GlobalConfiguration().activate_stack(profile.name, name)
    else:
        with repository_config.change(root) as data:
            data.update(active_profile_name=profile.name, active_stack_name=name)
    return _overridden(STACK_VARIABLE, name)


def initialize_repository(root: Path | None = None) -> RepositoryConfiguration:
    """Make a folder (the working directory) a repository. It starts with what is active around it.

    Raises:
        InitializationException: it is one already.
        StoreError: it cannot be written.
    """
    root = (root or Path.cwd()).resolve()
    outer = _find_upwards(root.parent)
    ensure_default_profile()
    active = _settings(outer, "", environment={})
    configuration = RepositoryConfiguration(active.profile, active.stack)
    repository_config.create(root, configuration)
    return configuration


def find_repository(path: Path | None = None) -> Path | None:
    """The root of the repository, or None.

    Only `path` is looked at if it is given, or what ZENML_REPOSITORY_PATH names; else the working directory and its parents, nearest first.
    """
    if path is not None:
        return path.resolve() if is_repository_directory(path) else None
    return _find_root()[0]


def is_repository_directory(path: Path) -> bool:
    """Whether there is a folder `.zen`."""
    return (path / repository_config.FOLDER).is_dir()


def report_missing_repository() -> None:
    """Tell the user, once in a process, that there is no repository here. Off with ZENML_ENABLE_REPO_INIT_WARNINGS=false."""
    global _reported  # noqa: PLW0603 - once in a process
    if _reported or os.environ.get(WARNINGS_VARIABLE, "").lower() in ("0", "n", "no", "false"):
        return
    _reported = True
    if given := os.environ.get(REPOSITORY_VARIABLE):
        logger.warning(
            "There is no ZenML repository at %s, which the environment variable '%s' names. If you want to create "
            "one there, run zenml init in it.",
            given,
            REPOSITORY_VARIABLE,
        )
    else:
        logger.warning(
            "Unable to find ZenML repository in your current working directory (%s) or any parent directories. If you want to use "
            "an existing repository which is in a different location, set the environment variable '%s'. If you want to create a "
            "new repository, run zenml init.",
            _cwd(),
            REPOSITORY_VARIABLE,
        )
    logger.info("Running without an active repository root.")


def check_profile_inactive(name: str) -> None:
    """Raises InUseError if the profile is the active one, globally, here, or by the environment."""
    if GlobalConfiguration().activated_profile == name:
        raise InUseError(
            f"Profile '{name}' cannot be deleted because it's globally active. Choose a different active global profile first by "
            "running 'zenml profile set --global PROFILE'."
        )
    root = find_repository()
    if root is not None and repository_config.read(root).active_profile_name == name:
        raise InUseError(
            f"Profile '{name}' cannot be deleted because it's locally active. Choose a different active profile first by running "
            "'zenml profile set PROFILE'."
        )
    if os.environ.get(PROFILE_VARIABLE) == name:
        raise InUseError(
            f"Profile '{name}' cannot be deleted because {PROFILE_VARIABLE} makes it active: unset it first."
        )


class ActivePointers:
    """The settings that point at stacks of a profile: the profile's own, and that of the repository at `root`, else of the one here."""

    def __init__(self, profile: str, root: Path | None = None) -> None:
        self._profile = profile
        self._root = root or find_repository()

    def check_inactive(self, stack: str) -> None:
        """Raises InUseError if the stack is active, globally or locally."""
        for setting, option in self._pointing_at(stack):
            raise InUseError(
                f"Stack '{stack}' cannot be deleted because it's {setting}ly active in the profile '{self._profile}'. Choose a different "
                f"active stack first by running 'zenml stack set {option}STACK'."
            )

    def follow(self, old: str, new: str) -> None:
        """Let what points at `old` point at `new`."""
        for setting, _ in list(self._pointing_at(old)):
            if setting == "local" and self._root is not None:
                with repository_config.change(self._root) as data:
                    data["active_stack_name"] = new
            else:
                GlobalConfiguration().activate_stack(self._profile, new, instead_of=old)

    def _pointing_at(self, stack: str) -> Iterator[tuple[Setting, str]]:
        if GlobalConfiguration().get_profile(self._profile).active_stack == stack:
            yield "global", "--global "
        if self._root is not None and repository_config.read(self._root) == RepositoryConfiguration(
            self._profile, stack
        ):
            yield "local", ""


_reported = False


def _settings(
    root: Path | None, root_source: str, environment: os._Environ[str] | dict[str, str] = os.environ
) -> Active:
    config = GlobalConfiguration()
    local = repository_config.read(root) if root else RepositoryConfiguration()
    local_source = str(repository_config.file_of(root)) if root else ""
    profile: str | None
    profile_setting: Setting
    if name := environment.get(PROFILE_VARIABLE):
        profile, profile_setting, profile_source = (
            name,
            "environment",
            f"the environment variable {PROFILE_VARIABLE}",
        )
    elif local.active_profile_name:
        profile, profile_setting, profile_source = local.active_profile_name, "local", local_source
    else:
        profile, profile_setting, profile_source = config.activated_profile, "global", str(config.file)
    stack: str | None
    stack_setting: Setting
    if name := environment.get(STACK_VARIABLE):
        stack, stack_setting, stack_source = name, "environment", f"the environment variable {STACK_VARIABLE}"
    elif local.active_stack_name and local.active_profile_name == profile:
        stack, stack_setting, stack_source = local.active_stack_name, "local", local_source
    else:
        known = config.profiles.get(profile) if profile else None
        stack, stack_setting, stack_source = known.active_stack if known else None, "global", str(config.file)
    return Active(
        profile, profile_setting, profile_source, stack, stack_setting, stack_source, root, root_source
    )


def _find_root() -> tuple[Path | None, str]:
    if given := os.environ.get(REPOSITORY_VARIABLE):
        path = Path(given).expanduser()
        return (
            path.resolve() if is_repository_directory(path) else None
        ), f"the environment variable {REPOSITORY_VARIABLE}"
    return _find_upwards(_cwd()), "the working directory"


def _find_upwards(path: Path) -> Path | None:
    return next(
        (folder.resolve() for folder in (path, *path.parents) if is_repository_directory(folder)), None
    )


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise StoreError("The working directory does not exist any more: change to another one.") from None


def _mend(setting: Setting, variable: str, command: str) -> str:
    if setting == "environment":
        return f"Set {variable} to an existing one, or unset it."
    return f"Choose an existing one with `{command} NAME`."


def _overridden(variable: str, name: str) -> str | None:
    return variable if os.environ.get(variable) not in (None, "", name) else None
