"""References to variables that are not set where steps are executed."""

from uuid import uuid4

import pytest

from zenml.enums import StackComponentType
from zenml.exceptions import StackValidationError
from zenml.jobs.secrets import refuse_variables
from zenml.model.deployment import Deployment, StackSpec, StepSpec
from zenml.model.records import ComponentRecord
from zenml.orchestrators import LocalOrchestrator
from zenml.step_operators import VenvStepOperator

HERE, THERE = LocalOrchestrator(name="here"), VenvStepOperator(name="there")


def step(name: str, parameter: str, operator: str | None = None) -> StepSpec:
    return StepSpec(
        name, f"m:{name}", name, parameters={"token": parameter}, secrets=("token",), step_operator=operator
    )


def deployment(*steps: StepSpec, url: str = "https://chat") -> Deployment:
    records = [
        ComponentRecord(type=type_, name=name, flavor="f", uuid=uuid4(), configuration={"url": value})
        for type_, name, value in (
            (StackComponentType.ALERTER, "chat", url),
            # What starts jobs is not used in them.
            (StackComponentType.CONTAINER_REGISTRY, "images", "{{env.REGISTRY_TOKEN}}"),
        )
    ]
    return Deployment("p", "r", uuid4(), steps, StackSpec("s", {record.type: record for record in records}))


def test_each_refers_for_its_own_steps() -> None:
    both = deployment(step("local", "{{env.LOCAL}}"), step("far", "{{env.FAR}}", "there"))
    for component, purpose, other in (
        (HERE, "'local': {{env.LOCAL}}", "FAR"),
        (THERE, "'far': {{env.FAR}}", "LOCAL"),
    ):
        with pytest.raises(StackValidationError) as refused:
            refuse_variables(component, both)
        assert f"  the parameter 'token' of the step {purpose}\n" in str(refused.value)
        assert other not in str(refused.value)


def test_components_that_are_used_in_steps_count() -> None:
    refuse_variables(THERE, deployment(step("far", "{{chat.token}}", "there")))
    with pytest.raises(
        StackValidationError, match=r"  the alerter 'chat': \{\{env\.CHAT}}\nRefer to secrets"
    ):
        refuse_variables(THERE, deployment(step("far", "text", "there"), url="https://{{env.CHAT}}/hook"))
