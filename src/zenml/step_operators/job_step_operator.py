"""What step operators have in common whose engine runs jobs."""

from __future__ import annotations

import re
import sys
import time
from abc import abstractmethod
from typing import TYPE_CHECKING
from uuid import uuid4

from zenml.exceptions import RunError
from zenml.jobs import Job, JobState
from zenml.step_operators.base_step_operator import BaseStepOperator

if TYPE_CHECKING:
    from zenml.jobs import JobEngine


class JobStepOperator(BaseStepOperator):
    """Executes steps as jobs of an engine, as many at once as it takes."""

    @abstractmethod
    def jobs(self) -> JobEngine:
        """What runs the steps of one run. Raises StackValidationError if the engine cannot be reached."""

    def launch(
        self, pipeline_name: str, run_name: str, requirements: list[str], entrypoint_command: list[str]
    ) -> None:
        """Run one command as a job, in the image that those for steps begin with; what it prints comes at its end.

        Raises:
            RunError: the engine refuses it, or its exit code was not 0; the message shows the last lines.
        """
        words = re.sub("[^a-z0-9]+", "-", pipeline_name.lower()).strip("-")[:50]
        engine = self.jobs()
        id_ = engine.submit(
            Job(
                name=f"z-{words}-{uuid4().hex[:8]}",
                command=("python", *entrypoint_command[1:]),
                pipeline=pipeline_name,
                run=run_name,
                step="",
                image=self.image_base,
                requirements=tuple(requirements),
            )
        )
        try:
            while not (status := engine.states([id_])[id_]).state.is_finished:
                time.sleep(engine.poll_seconds)
            lines = engine.log(id_)
        except BaseException:
            engine.cancel(id_)
            raise
        finally:
            engine.remove(id_)
            engine.close()
        if status.state is not JobState.SUCCEEDED:
            shown = "".join(f"\n  {line}" for line in lines)
            raise RunError(
                f"A command of the run '{run_name}' has failed: {status.reason or status.state.value}.{shown}"
            )
        if not engine.shows_output:
            sys.stdout.writelines(f"{line}\n" for line in lines)
