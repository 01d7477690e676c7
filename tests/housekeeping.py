"""Runs with real files, made in short, for what prunes, deletes, compares and moves them."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, ClassVar
from uuid import UUID, uuid4

from sqlalchemy import update

from tests.metadata_stores import draft, hit, start
from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.enums import ExecutionStatus
from zenml.materializers.values import write_value
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.metadata_stores.schema import runs as runs_table
from zenml.model.deployment import Deployment, InputSpec, OutputSpec, StackSpec, StepSpec
from zenml.model.json import canonical
from zenml.model.runs import (
    LOG_FILE,
    ErrorRecord,
    RunRegistration,
    StepDraft,
    attempt_folder,
    code_folder,
)
from zenml.post_execution import PipelineRunView, run_view

ERROR = ErrorRecord("builtins.ValueError", "too small", "Traceback ...")


class MemoryArtifactStore(BaseArtifactStore):
    """An object store: without folders, and without a rename of its own."""

    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://"}


@dataclass(frozen=True)
class Step:
    """A step of a run: it reads the outputs of earlier steps of the run (`inputs`), and gives `value`, or is a hit (`source`)."""

    name: str
    value: Any = 0
    inputs: Sequence[str] = ()
    source: tuple[str, str] | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    fails: bool = False
    log: str = ""


class World:
    """A metadata store and an artifact store, and what the engine does with them."""

    def __init__(self, folder: Path, *, remote: bool = False) -> None:
        self.metadata = SQLiteMetadataStore(name="metadata", uri=str(folder / "metadata.db"))
        self.artifacts: BaseArtifactStore = (
            MemoryArtifactStore(name="artifacts", path=f"memory://{uuid4()}/store")
            if remote
            else LocalArtifactStore(name="artifacts", path=str(folder / "artifacts"))
        )
        self.stores = (self.metadata, self.artifacts)
        self._uuids: dict[str, UUID] = {}
        self._runs: dict[str, RunRegistration] = {}

    def run(
        self,
        name: str,
        *steps: Step,
        pipeline: str = "digits",
        age: float = 0.0,
        unfinished: bool = False,
        **fields: Any,
    ) -> PipelineRunView:
        """A run of these steps, which ended `age` seconds ago, or did not."""
        self.begin(name, *steps, pipeline=pipeline, **fields)
        for step in steps:
            self.take(name, step)
        if not unfinished:
            failed = any(step.fails for step in steps)
            self.end(name, ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED, age=age)
        return self.view(name)

    def send_code(self, name: str, *, days: int) -> str:
        """What runs of that many days ago were sent with: the archive's path."""
        day = datetime.now(timezone.utc).date() - timedelta(days=days)
        path = f"{code_folder(self.artifacts.path, self.metadata.uuid)}/{day}/{name}.tar"
        self.artifacts.makedirs(path.rpartition("/")[0])
        with self.artifacts.open(path, "w") as file:
            file.write(name)
        return path

    def begin(
        self, name: str, *steps: Step, pipeline: str = "digits", code: str | None = None, **fields: Any
    ) -> None:
        uuid = uuid4()
        specs = tuple(
            StepSpec(
                step.name,
                f"m.{step.name}",
                step.name,
                inputs={f"from_{source}": InputSpec(source, "output") for source in step.inputs},
                upstream=tuple(step.inputs),
                outputs=(OutputSpec("output", "int"),),
                parameters=step.parameters,
            )
            for step in steps
        )
        deployment = Deployment(
            pipeline=pipeline,
            run_name=name,
            run_uuid=uuid,
            steps=specs,
            stack=StackSpec("default", {}),
            code_archive=code,
        )
        self._uuids[name] = uuid
        self._runs[name] = self.metadata.register_run(
            draft(
                name,
                pipeline=pipeline,
                uuid=uuid,
                steps=[StepDraft(s.name, s.entrypoint_name, s.parameters, s.docstring) for s in specs],
                deployment=canonical(deployment.to_document()),
                **fields,
            )
        )

    def take(self, run: str, step: Step) -> None:
        """What the engine does when it comes to a step."""
        ids = self._runs[run].step_run_ids
        if step.source is not None:
            source = self._runs[step.source[0]].step_run_ids[step.source[1]]
            hit(self.metadata, ids[step.name], source, f"key of {source}")
            return
        read = {f"from_{name}": self.output(run, name) for name in step.inputs}
        claim = start(self.metadata, ids[step.name], f"key of {ids[step.name]}", read)
        folder = attempt_folder(self.artifacts.path, self._uuids[run], step.name, -1, claim.number)
        record = write_value("output", step.value, f"{folder}/output", self.artifacts)
        if step.log:
            with self.artifacts.open(f"{folder}/{LOG_FILE}", "w") as file:
                file.write(step.log)
        if step.fails:
            self.metadata.fail_attempt(claim, ERROR)
        else:
            self.metadata.complete_attempt(claim, [record])

    def end(self, run: str, status: ExecutionStatus = ExecutionStatus.COMPLETED, *, age: float = 0.0) -> None:
        run_id = self._runs[run].run_id
        self.metadata.finish_run(run_id, status, ERROR if status is ExecutionStatus.FAILED else None)
        statement = update(runs_table).where(runs_table.c.id == run_id).values(ended=time.time() - age)
        self.metadata._database.write(lambda tx: tx.run(statement, {}))

    def view(self, run: str) -> PipelineRunView:
        return run_view(*self.stores, self._runs[run].run_id)

    def output(self, run: str, step: str) -> int:
        """The id of what a step gave."""
        return self.metadata.outputs(self._runs[run].step_run_ids[step])["output"].id

    def files(self) -> dict[str, bytes]:
        """Every file of the artifact store that is not in the trash, by its path there."""
        root = self.artifacts.path
        found = {}
        for path in self.artifacts.sizes(root):
            if not path.startswith("trash/"):
                with self.artifacts.open(f"{root}/{path}", "rb") as file:
                    found[path] = file.read()
        return found

    def trash(self) -> list[str]:
        return sorted(path for path in self.artifacts.sizes(self.artifacts.path) if path.startswith("trash/"))


def faults(run: PipelineRunView) -> list[Any]:
    """What is wrong with any value that a run made, took or read."""
    values = [a for step in run.steps for a in (*step.outputs.values(), *step.inputs.values())]
    return [fault for artifact in values for fault in artifact.verify()]
