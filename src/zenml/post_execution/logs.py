"""The logs of steps: what each attempt has printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zenml.enums import ExecutionStatus
from zenml.exceptions import DoesNotExistException, nearest
from zenml.model.runs import LOG_FILE, attempt_folder

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.model.runs import RunRecord, StepRunRecord
    from zenml.post_execution.view import Stores

_INSTANCE = re.compile(r"(?P<step>.+)\[(?P<index>\d+)\]")


@dataclass(frozen=True)
class StepLog:
    """The log of one attempt of a step, which may be under way, or of none, where it was never started.

    `step` is the step that was asked for, `label` its name, with the index of an instance. `run` is the run whose attempt it is: for a
    cached step an earlier one. `attempt` is 0, and `path` empty, without an attempt.
    """

    step: StepRunRecord
    label: str
    run: str
    attempt: int
    path: str
    _stores: Stores

    @property
    def is_cached(self) -> bool:
        """Whether it is the log of another run's step."""
        return self.step.source is not None

    def of_attempt(self, number: int) -> StepLog:
        """That of another attempt. Raises DoesNotExistException."""
        return log_of(self._stores, self.step, number)

    def read(self, offset: int = 0) -> bytes:
        """What it holds from that byte on; nothing where there is no log."""
        store: BaseArtifactStore = self._stores.artifacts
        if not self.path:
            return b""
        try:
            with store.open(self.path, "rb") as file:
                file.seek(offset)
                return bytes(file.read())
        except FileNotFoundError:
            return b""

    def text(self) -> str | None:
        """All that it holds; None where there is no log."""
        content = self.read()
        return content.decode("utf-8", "replace") if content else None

    def absence(self) -> str:
        """Why there is no log, as a sentence."""
        if not self.path:
            reasons = {
                ExecutionStatus.PENDING: "has not started",
                ExecutionStatus.CACHED: "was taken over from a run that is not recorded here",
            }
            reason = reasons.get(self.step.status, f"was {self.step.status} before it started")
            return f"`{self.label}` {reason}: it has no log."
        stored = self._stores.metadata.outputs(self.step.id).values()
        root = self._stores.artifacts.path
        for artifact in stored:
            if artifact.store != root:
                return f"The log of `{self.label}` is in another artifact store: {artifact.store}."
            if any(not self._stores.artifacts.exists(f"{artifact.uri}/{f.path}") for f in artifact.manifest):
                return f"The log of `{self.label}` is gone, like its values: it was at {self.path}."
        if self.step.status is ExecutionStatus.FAILED:  # which every log of a failed step says at least
            return f"The log of `{self.label}` is gone: it was at {self.path}."
        if not self.step.status.is_finished:
            return f"`{self.label}` has printed nothing so far."
        return f"`{self.label}` has printed nothing."


def log_of(stores: Stores, step: StepRunRecord, attempt: int | None = None) -> StepLog:
    """The log of an attempt of a step, the last one unless its number is given; for a cached step, of the step that really ran.

    Raises:
        DoesNotExistException: the step has no such attempt.
    """
    label = step.name if step.map_index < 0 else f"{step.name}[{step.map_index}]"
    source = step if step.source is None else stores.metadata.step(step.source)
    run: RunRecord = stores.metadata.run(source.run_id)
    if attempt is not None and not 0 < attempt <= source.attempts:
        raise DoesNotExistException(
            f"The step '{label}' has no attempt {attempt}: it was started {source.attempts} times."
        )
    number = attempt or source.attempts
    folder = attempt_folder(stores.artifacts.path, run.uuid, source.name, source.map_index, number)
    return StepLog(step, label, run.name, number, f"{folder}/{LOG_FILE}" if number else "", stores)


def logged_steps(stores: Stores, run_id: int, name: str | None = None) -> Iterator[StepRunRecord]:
    """The steps of a run that can have logs, or those called `name`: "train", with all instances if it is mapped, or "train[3]".

    Raises:
        DoesNotExistException: there is none of that name.
    """
    records = stores.metadata.steps(run_id)
    known = {record.name: record for record in records}
    if name is None:
        for record in records:
            yield from stores.metadata.instances(run_id, record.name) or [record]
        return
    found = _INSTANCE.fullmatch(name)
    if name in known:
        yield from stores.metadata.instances(run_id, name) or [known[name]]
        return
    if not found or found["step"] not in known:
        raise DoesNotExistException(f"The run has no step '{name}'.{nearest(name, known)}")
    instances = {record.map_index: record for record in stores.metadata.instances(run_id, found["step"])}
    if int(found["index"]) not in instances:
        raise DoesNotExistException(
            f"The step '{found['step']}' has no instance {found['index']}: it has {len(instances)} of them."
        )
    yield instances[int(found["index"])]
