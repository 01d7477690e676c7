"""The closed vocabularies of the framework. Standard library only."""

from __future__ import annotations

from enum import Enum, IntEnum


class _Word(str, Enum):
    """A string enumeration whose members print as their value."""

    def __str__(self) -> str:
        return str(self.value)

    def __format__(self, format_spec: str) -> str:
        return format(str(self.value), format_spec)

    @classmethod
    def names(cls) -> list[str]:
        """The names of all members, in order."""
        return [member.name for member in cls]

    @classmethod
    def values(cls) -> list[str]:
        """The values of all members, in order."""
        return [str(member.value) for member in cls]


class StackComponentType(_Word):
    """The kinds of component that a stack can hold."""

    ALERTER = "alerter"
    ARTIFACT_STORE = "artifact_store"
    CONTAINER_REGISTRY = "container_registry"
    DATA_VALIDATOR = "data_validator"
    EXPERIMENT_TRACKER = "experiment_tracker"
    FEATURE_STORE = "feature_store"
    METADATA_STORE = "metadata_store"
    MODEL_DEPLOYER = "model_deployer"
    ORCHESTRATOR = "orchestrator"
    SECRETS_MANAGER = "secrets_manager"
    STEP_OPERATOR = "step_operator"

    @property
    def plural(self) -> str:
        """The plural of the value: "artifact_stores", "container_registries"."""
        return f"{self.value[:-1]}ies" if self.value.endswith("y") else f"{self.value}s"

    @property
    def display(self) -> str:
        """The value as a person reads it: "artifact store"."""
        return self.value.replace("_", " ")

    @property
    def required(self) -> bool:
        """Whether every stack must have one."""
        return self in _REQUIRED


_REQUIRED = frozenset(
    {StackComponentType.ORCHESTRATOR, StackComponentType.METADATA_STORE, StackComponentType.ARTIFACT_STORE}
)


class StoreType(_Word):
    """Where a profile keeps its records."""

    LOCAL = "local"
    SQL = "sql"


class ExecutionStatus(_Word):
    """What is known of a run, a step or an attempt."""

    PENDING = "pending"
    SUBMITTED = "submitted"
    RUNNING = "running"
    COMPLETED = "completed"
    CACHED = "cached"
    FAILED = "failed"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"
    CRASHED = "crashed"

    @property
    def is_finished(self) -> bool:
        """Whether nothing will change this status any more."""
        return self not in _UNFINISHED

    @property
    def is_successful(self) -> bool:
        """Whether outputs exist: the step ran to its end or was taken from the cache."""
        return self in _SUCCESSFUL


_UNFINISHED = frozenset({ExecutionStatus.PENDING, ExecutionStatus.SUBMITTED, ExecutionStatus.RUNNING})
_SUCCESSFUL = frozenset({ExecutionStatus.COMPLETED, ExecutionStatus.CACHED})


class CheckOutcome(_Word):
    """How a test of a component ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


class Reach(IntEnum):
    """From where a component can be used; a wider reach includes the narrower ones.

    A stack is valid when each component reaches as far as the steps of its orchestrator are spread.
    """

    PROCESS = 1
    """Only the process that made it (an in-memory store)."""
    HOST = 2
    """Every process that sees the same file system paths."""
    NETWORK = 3
    """Every machine that has the credentials."""


class ContainerRegistryFlavor(_Word):
    """The container registry flavors that are built in."""

    AWS = "aws"
    AZURE = "azure"
    DEFAULT = "default"
    DOCKERHUB = "dockerhub"
    GCP = "gcp"
    GITHUB = "github"
    GITLAB = "gitlab"


class LoggingLevels(IntEnum):
    """The levels of the standard library's logging."""

    NOTSET = 0
    DEBUG = 10
    INFO = 20
    WARN = 30
    ERROR = 40
    CRITICAL = 50
