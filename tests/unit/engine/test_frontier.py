"""Which steps go on: over random graphs, every step ends once, and nothing runs before what it waits for."""

from __future__ import annotations

from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from zenml.engine.frontier import Frontier
from zenml.enums import ExecutionStatus
from zenml.model.deployment import Deployment, InputSpec, StackSpec, StepSpec

ENDS = ("ends", "fails", "is left out")


@st.composite
def deployments(draw: st.DrawFn) -> Deployment:
    steps: list[StepSpec] = []
    for number in range(draw(st.integers(1, 12))):
        before = [step.name for step in steps]
        upstream = tuple(sorted(draw(st.sets(st.sampled_from(before), max_size=4)))) if before else ()
        read = draw(st.sets(st.sampled_from(upstream))) if upstream else set()
        inputs = {f"from_{name}": InputSpec(name, "output") for name in sorted(read)}
        steps.append(StepSpec(f"s{number}", "module:step", "step", inputs, upstream))
    return Deployment("pipeline", "run", uuid4(), tuple(steps), StackSpec("stack", {}))


@given(deployments(), st.data())
def test_every_step_ends_once_and_in_order(deployment: Deployment, data: st.DataObject) -> None:
    frontier = Frontier(deployment)
    specs = {step.name: step for step in deployment.steps}
    how: dict[str, str] = {}
    ready = frontier.first
    while ready:
        name = ready.pop(data.draw(st.integers(0, len(ready) - 1)))
        assert name not in how
        assert all(upstream in how for upstream in specs[name].upstream)
        how[name] = data.draw(st.sampled_from(ENDS))
        skipped: dict[str, str] = {}
        if how[name] == "ends":
            ready += frontier.end(name)
        elif how[name] == "fails":
            skipped = frontier.fail(name, ExecutionStatus.FAILED)
        else:
            skipped, more = frontier.leave_out(name)
            ready += more
        for other in skipped:
            assert other not in how
            how[other] = "is skipped" if how[name] == "fails" else "is left out"
    assert how.keys() == specs.keys()
    assert frontier.open == []
    for name, end in how.items():
        reads = {source.step for source in specs[name].inputs.values()}
        if any(how[upstream] in ("fails", "is skipped") for upstream in specs[name].upstream):
            assert end in ("is skipped", "is left out")
        elif any(how[upstream] == "is left out" for upstream in reads):
            assert end == "is left out"
        else:
            assert end in ENDS
