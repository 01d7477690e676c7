"""What a step operator is: it executes single steps in an environment of its own."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from zenml.enums import Reach, StackComponentType
from zenml.stack import StackValidator
from zenml.stack.executing import ExecutingComponent
from zenml.step_operators.launched_jobs import LaunchedJobs

if TYPE_CHECKING:
    from zenml.jobs import JobEngine
    from zenml.stack import Stack


class BaseStepOperator(ExecutingComponent):
    """Executes single steps in an environment of its own.

    The smallest one uses this machine as it is:

        class Subprocess(BaseStepOperator):
            FLAVOR: ClassVar[str] = "subprocess"
            def launch(self, pipeline_name, run_name, requirements, entrypoint_command):
                subprocess.run(entrypoint_command, check=True)
    """

    TYPE: ClassVar[StackComponentType] = StackComponentType.STEP_OPERATOR

    @property
    def spread(self) -> Reach:
        """What a step there has in common with the caller: every component of the stack must reach that far."""
        return Reach.NETWORK

    @property
    def validator(self) -> StackValidator:
        """Every component of the stack can be used from where the steps are executed."""
        return StackValidator(custom_validation_function=self._all_reach)

    @abstractmethod
    def launch(
        self, pipeline_name: str, run_name: str, requirements: list[str], entrypoint_command: list[str]
    ) -> None:
        """Run the command, with the pip `requirements` installed, and wait until it has ended.

        Its first word is the Python of the calling process: use the one of the environment instead. The command finds all else by itself:
        it records how the step ended, and ends by itself when the run does. It is called in a thread of its own for each step.

        Raises:
            RunError: the command could not be run, or its exit code was not 0.
        """

    def jobs(self) -> JobEngine:
        """What runs the steps of one run: it calls `launch`, in a thread for each."""
        return LaunchedJobs(self.launch)

    def _all_reach(self, stack: Stack) -> tuple[bool, str]:
        short = [
            f"the {type_.display} '{component.name}'"
            for type_, component in stack.components.items()
            if component is not self and component.reach < self.spread and not self.does_without(component)
        ]
        return not short, (
            f"steps that the step operator '{self.name}' executes cannot reach {' and '.join(short)}: "
            "choose components that are not bound to this process or machine."
        )
