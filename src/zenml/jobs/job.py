"""What a job is, and what an engine does with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from zenml.exceptions import RunError, sentence

if TYPE_CHECKING:
    from zenml.model.deployment import ResourceSpec

SECRETS_FILE = "ZENML_SECRETS_FILE"
"""The environment variable that says in a job where its secrets lie."""


_LONGEST_ANSWER = 500


class EngineUnreachableError(RunError):
    """An engine does not answer: what its jobs do is unknown."""


def unusable(service: str, what: str, reason: str, answer: str) -> str:
    """What is said of a service that cannot be used to do something: the reason, and what it has answered."""
    shown = sentence(" ".join(answer.split())[:_LONGEST_ANSWER])
    return f"{service} cannot be used to {what}: {reason} The answer was: {shown}"


class JobState(str, Enum):
    """How far a job is."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    """It has ended with the exit code 0."""
    FAILED = "failed"
    LOST = "lost"
    """The engine does not know it, or not any more."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing of it runs any more."""
        return self not in (JobState.WAITING, JobState.RUNNING)


@dataclass(frozen=True)
class JobStatus:
    """How a job is. `reason` tells a person what the engine knows of it: "exit code 137, out of memory"."""

    state: JobState
    reason: str = ""


@dataclass(frozen=True)
class Job:
    """A command that is to be run once.

    `name` is unique, has at most 63 characters of [a-z0-9-] and begins with a letter. The first word of `command` is "python": that of
    the job's own environment. `secrets` is a text that the engine gives to the job as a file which nobody else can read, whose path is
    in the job's variable ZENML_SECRETS_FILE: it never stands in an argument, a variable or a layer. `folders` of this machine must be
    there under the same paths. `requirements` are pip requirements, for engines that prepare an environment. `timeout` is what the command
    keeps by itself, in seconds: an engine that can may end it some time later. `registry_login` is the user and the password with which
    the image can be pulled, where the stack knows them.
    """

    name: str
    command: tuple[str, ...]
    pipeline: str
    run: str
    step: str
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: str | None = field(default=None, repr=False)
    image: str | None = None
    resources: ResourceSpec | None = None
    folders: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    timeout: float | None = None
    registry_login: tuple[str, str] | None = field(default=None, repr=False)


class JobEngine(ABC):
    """Runs jobs. Every method is called from one thread; each raises EngineUnreachableError when the engine does not answer."""

    max_jobs: int | None = None
    """How many jobs it is given at once; None for an engine that has a queue of its own."""

    poll_seconds: float = 0.5
    """Seconds between two looks at how jobs are."""

    shows_output: bool = False
    """Whether what jobs print is printed here while they run."""

    def has_room(self, need: ResourceSpec | None) -> bool:
        """Whether a job that needs that can be taken beside the others; an engine with a queue of its own takes any."""
        return True

    @abstractmethod
    def submit(self, job: Job) -> str:
        """Give the job to the engine, and return at once; gives what the engine knows it by.

        Raises:
            RunError: the engine refuses it; the message says why, and what to do.
        """

    @abstractmethod
    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """How these jobs are, by one request where the engine has one."""

    @abstractmethod
    def cancel(self, id: str) -> None:
        """End the job within seconds, whatever its command does. One that has ended stays as it is."""

    @abstractmethod
    def log(self, id: str, lines: int = 20) -> list[str]:
        """The last lines that the job has printed; none where the engine does not keep them."""

    def remove(self, id: str) -> None:
        """Forget a job that has ended, and what was made for it."""

    def close(self) -> None:
        """Free what is held."""
