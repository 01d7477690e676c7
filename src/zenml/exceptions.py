"""Every error that the framework raises on purpose.

ZenMLBaseException
├── DoesNotExistException (KeyError)            a name that nothing has
├── AlreadyExistsException (ValueError)         a name that is taken
│   ├── StackExistsError
│   ├── StackComponentExistsError
│   ├── EntityExistsError
│   ├── SecretExistsError
│   └── DuplicateRunNameError
├── InUseError (ValueError)                     something else still refers to it
├── InvalidNameError (ValueError)               a name that cannot be one
├── ConfigurationError (ValueError)             settings that cannot be used
│   ├── UnreadableFileError                     a file that cannot be read or parsed
│   ├── PipelineConfigurationError
│   ├── DuplicatedConfigurationError
│   └── MissingStepParameterError
├── InitializationException                     `zenml init` where there is a repository already
├── ActiveSettingError                          the active profile or stack does not exist
├── ForbiddenRepositoryAccessError (RuntimeError)
├── StoreError (RuntimeError)                   a database or folder that cannot be used
├── SecretError (ValueError)                    a secret that cannot be kept or resolved
├── ArtifactStoreError (OSError)                an artifact store that cannot be reached or used
│   └── ArtifactStoreDeniedError (PermissionError)
├── ImageError (RuntimeError)                   an image of containers that cannot be built or pushed
├── StackValidationError                        components that do not fit together
├── ProvisioningError                           resources that cannot be started or stopped
├── IntegrationError                            an integration that cannot be used
│   └── MissingPackageError (ImportError)       an optional package that is not installed
├── InterfaceError                              a class or function that breaks its contract
│   ├── StackComponentInterfaceError
│   │   └── ArtifactStoreInterfaceError
│   ├── StepInterfaceError
│   ├── StepContextError
│   ├── PipelineInterfaceError
│   ├── MaterializerInterfaceError
│   └── ArtifactInterfaceError
├── ArtifactError                               a stored value that cannot be used
│   ├── ArtifactGoneError (FileNotFoundError)
│   └── ArtifactCorruptedError
├── DataValidationError (ValueError)            data that are not as they should be
├── RunError (RuntimeError)
│   ├── PipelineNotSucceededException
│   ├── ChangedPipelineError                    a pipeline is not what it was when the run began
│   ├── RunCancelledError
│   ├── StepTimeoutError (TimeoutError)         a step took longer than it may
│   ├── StepCrashedError                        the process of a step died
│   └── StaleAttemptError                       an attempt that has lost its claim
└── (warnings) PickleWarning (UserWarning)
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class ZenMLBaseException(Exception):
    """The root: `except ZenMLBaseException` catches whatever the framework raises on purpose."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or "")
        self.message = message or ""

    def __str__(self) -> str:
        # KeyError, an ancestor of some, would print the message in quotes.
        return self.message


def nearest(name: str, candidates: Iterable[str]) -> str:
    """A hint for an unknown `name`: the nearest known one, else all known ones, as a sentence."""
    known = sorted(candidates)
    if close := difflib.get_close_matches(name, known, n=1, cutoff=0.6):
        return f" Did you mean '{close[0]}'?"
    if not known:
        return ""
    shown = ", ".join(f"'{candidate}'" for candidate in known[:10])
    return f" Known: {shown}{', ...' if len(known) > 10 else ''}."  # noqa: PLR2004 - ten fit on a line


def sentence(text: object) -> str:
    """`text`, ended: another sentence can follow."""
    shown = str(text)
    return shown if shown.endswith((".", "?", "!")) else f"{shown}."


class DoesNotExistException(ZenMLBaseException, KeyError):
    """A name that nothing has."""


class AlreadyExistsException(ZenMLBaseException, ValueError):
    """A name that is taken."""


class StackExistsError(AlreadyExistsException):
    """A stack of that name is registered."""


class StackComponentExistsError(AlreadyExistsException):
    """A component of that type and name is registered."""


class EntityExistsError(AlreadyExistsException):
    """A profile, flavor or other record of that name exists."""


class SecretExistsError(AlreadyExistsException):
    """A secret of that name exists."""


class DuplicateRunNameError(AlreadyExistsException, RuntimeError):
    """A run of that name is recorded in the metadata store."""


class InUseError(ZenMLBaseException, ValueError):
    """Something else still refers to what was to be removed."""


class InvalidNameError(ZenMLBaseException, ValueError):
    """A name that cannot be one: empty, too long, or with characters that leave its folder."""


class ConfigurationError(ZenMLBaseException, ValueError):
    """Settings that cannot be used; the message lists every mistake, by field."""


class UnreadableFileError(ConfigurationError):
    """A file that cannot be read or parsed; the message names path and line. It is never overwritten."""


class PipelineConfigurationError(ConfigurationError):
    """A pipeline's configuration file names something that the pipeline does not have."""


class DuplicatedConfigurationError(ConfigurationError):
    """A parameter is set in code and in a file."""


class MissingStepParameterError(ConfigurationError):
    """A step's parameter has no value."""


class InitializationException(ZenMLBaseException):
    """The folder is a repository already."""


class ActiveSettingError(ZenMLBaseException, RuntimeError):
    """The profile or stack that is named as active does not exist."""


class ForbiddenRepositoryAccessError(ZenMLBaseException, RuntimeError):
    """A step tried to change the repository that it runs in."""


class StoreError(ZenMLBaseException, RuntimeError):
    """A database or a folder cannot be reached, opened or written."""


class SecretError(ZenMLBaseException, ValueError):
    """A secret cannot be kept where it was given, or a reference to one cannot be resolved."""


class ArtifactStoreError(ZenMLBaseException, OSError):
    """An artifact store that cannot be reached or used: its address, its credentials, its bucket."""


class ArtifactStoreDeniedError(ArtifactStoreError, PermissionError):
    """An artifact store that refuses what was asked of it."""


class ImageError(ZenMLBaseException, RuntimeError):
    """An image of containers that cannot be built or pushed; the message shows the last lines."""


class StackValidationError(ZenMLBaseException):
    """The components of a stack do not fit together."""


class ProvisioningError(ZenMLBaseException):
    """A component's resources cannot be started, stopped or removed."""


class IntegrationError(ZenMLBaseException):
    """An integration cannot be used."""


class MissingPackageError(IntegrationError, ImportError):
    """An optional package is not installed; the message says how to install it."""


class InterfaceError(ZenMLBaseException):
    """A class or a function does not keep the contract of its interface."""


class StackComponentInterfaceError(InterfaceError):
    """A component class without TYPE or FLAVOR, or an abstract one where a concrete one is needed."""


class ArtifactStoreInterfaceError(StackComponentInterfaceError, ValueError):
    """An artifact store without SUPPORTED_SCHEMES, or a path outside of them."""


class StepInterfaceError(InterfaceError):
    """A step is defined, configured or called wrongly, or returned something else than it declares."""


class StepContextError(InterfaceError):
    """A step's context was asked for an output that the step does not have."""


class PipelineInterfaceError(InterfaceError):
    """A pipeline is defined or put together wrongly."""


class MaterializerInterfaceError(InterfaceError):
    """A materializer class is defined wrongly, or none is known for a type."""


class ArtifactInterfaceError(InterfaceError):
    """An artifact class is defined or used wrongly."""


class ArtifactError(ZenMLBaseException):
    """A stored value cannot be used."""


class ArtifactGoneError(ArtifactError, FileNotFoundError):
    """A file of a stored value is missing."""

    def __str__(self) -> str:
        return self.message


class ArtifactCorruptedError(ArtifactError):
    """A file of a stored value is not what was recorded."""


class DataValidationError(ZenMLBaseException, ValueError):
    """Data are not as they should be; the message is the report."""


class RunError(ZenMLBaseException, RuntimeError):
    """A run cannot go on, or did not end as asked."""


class PipelineNotSucceededException(RunError):
    """A run ended without success where success was asked for."""


class ChangedPipelineError(RunError):
    """Code or parameters have changed since the run that is to be gone on with."""


class RunCancelledError(RunError):
    """The run was cancelled."""


class StepTimeoutError(RunError, TimeoutError):
    """A step took longer than its `timeout`, and was ended."""

    def __str__(self) -> str:
        return self.message


class StepCrashedError(RunError):
    """The process that executed a step died without recording how."""


class StaleAttemptError(RunError):
    """An attempt has lost its claim on the step: a later one owns it, so this one cannot publish."""


class PickleWarning(UserWarning):
    """A value is stored as a pickle because no safer format is known for its type."""
