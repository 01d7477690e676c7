"""What the local orchestrator has for steps, and that it never gives more."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, StackValidationError
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model.deployment import Deployment, ResourceSpec, StackSpec, StepSpec
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack, capacity
from zenml.stack.capacity import Capacity, Reservations

NEEDS = st.none() | st.builds(
    ResourceSpec,
    cpu=st.none() | st.sampled_from([0.1, 0.2, 0.3, 0.5, 1, 2]),
    memory=st.none() | st.integers(0, 10),
    gpu=st.integers(0, 3),
    custom=st.dictionaries(st.sampled_from(["license", "disk"]), st.sampled_from([0.1, 0.7, 1, 2])),
)


class Machine(RuleBasedStateMachine):
    """Steps come and go; `under_way` is what we know of them."""

    def __init__(self) -> None:
        super().__init__()
        self.there = Capacity(2, 10, ("3", "GPU-5", "7"), {"license": 2, "disk": 1})
        self.reservations = Reservations(self.there)
        self.under_way: dict[int, tuple[ResourceSpec | None, tuple[str, ...]]] = {}
        self.count = 0

    @rule(need=NEEDS)
    def start(self, need: ResourceSpec | None) -> None:
        specs = [spec for spec, _ in self.under_way.values() if spec is not None]
        fits = need is None or not self.there.lacks([*specs, need])
        assert self.reservations.has_room(need) is fits
        if fits:
            self.count += 1
            self.under_way[self.count] = need, self.reservations.take(self.count, need)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.under_way)))
        del self.under_way[key]
        self.reservations.release(key)

    @invariant()
    def nothing_is_given_twice(self) -> None:
        specs = [spec for spec, _ in self.under_way.values() if spec is not None]
        assert sum(spec.cpu or 0 for spec in specs) <= 2.000001
        assert sum(spec.memory or 0 for spec in specs) <= 10
        for token, amount in self.there.tokens.items():
            assert sum(spec.custom.get(token, 0) for spec in specs) <= amount + 1e-6
        given = [device for _, devices in self.under_way.values() for device in devices]
        assert len(given) == len(set(given)) == sum(spec.gpu for spec in specs)
        assert set(given) <= set(self.there.devices)


TestReservations = Machine.TestCase


@given(st.lists(NEEDS.filter(lambda need: need is not None), max_size=4))
def test_what_is_lacking_is_named(needs: list[ResourceSpec]) -> None:
    nothing = Capacity(0, 0)
    named = {reason.partition(":")[0] for reason in nothing.lacks(needs)}
    asked = {
        name
        for need in needs
        for name, amount in {
            "cpu": need.cpu,
            "memory": need.memory,
            "gpu": need.gpu,
            **need.custom,
        }.items()
        if amount
    }
    assert named == asked


def test_tenths_of_a_core_are_not_lost_to_rounding() -> None:
    assert not Capacity(1, 0).lacks([ResourceSpec(cpu=0.1)] * 10)
    assert Capacity(1, 0).lacks([ResourceSpec(cpu=0.1)] * 11) == ["cpu: 1.1, of 1"]


def deployment(*steps: StepSpec) -> Deployment:
    return Deployment("p", "r", uuid4(), steps, StackSpec("s", {}))


def test_a_step_that_needs_more_than_there_is_is_refused() -> None:
    orchestrator = LocalOrchestrator(
        name="small", cpus=2, memory="8GB", gpus=1, resources={"license": 1}, max_workers=4
    )
    fits = StepSpec("fits", "m:f", "f", resources=ResourceSpec(2, 8 * 10**9, 1, {"license": 1}))
    big = StepSpec("big", "m:b", "b", resources=ResourceSpec(4, 16 * 10**9))
    many = StepSpec("many", "m:m", "m", resources=ResourceSpec(gpu=2, custom={"license": 2, "tape": 1}))
    elsewhere = StepSpec("far", "m:f", "f", resources=ResourceSpec(cpu=64), step_operator="cluster")
    orchestrator.check_deployment(deployment(fits, elsewhere))
    with pytest.raises(StackValidationError) as refusal:
        orchestrator.check_deployment(deployment(fits, big, many))
    assert str(refusal.value) == (
        "The orchestrator 'small' has less than these steps need:\n"
        "  the step 'big' needs cpu: 4, of 2\n"
        "  the step 'big' needs memory: 16 GB, of 8 GB\n"
        "  the step 'many' needs gpu: 2, of 1\n"
        "  the step 'many' needs license: 2, of 1\n"
        "  the step 'many' needs tape: 1, of 0\n"
        "Let them ask for less, or say what there is in the fields cpus, memory, gpus and resources of the orchestrator."
    )


def test_a_machine_is_not_asked_where_nobody_needs_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capacity, "devices", lambda: pytest.fail("devices were looked for"))
    LocalOrchestrator(name="plain", max_workers=2).check_deployment(
        deployment(StepSpec("a", "m:a", "a"), StepSpec("b", "m:b", "b", resources=ResourceSpec(cpu=0.1)))
    )


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"max_workers": 0}, "max_workers: Input should be greater than or equal to 1."),
        ({"cpus": -1}, "cpus: Input should be greater than or equal to 0."),
        ({"memory": "much"}, "memory: could not parse value and unit from byte string."),
        ({"gpus": -1}, "gpus: Input should be greater than or equal to 0."),
        ({"resources": {"license": -1}}, "resources.license: Input should be greater than or equal to 0."),
        ({"grace_seconds": "inf"}, "grace_seconds: Input should be a finite number."),
        ({"max_worker": 2}, "max_worker: the flavor 'local' has no such field. Did you mean 'max_workers'?"),
    ],
)
def test_wrong_fields_are_refused(fields: dict[str, object], reason: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        LocalOrchestrator(name="wrong", **fields)
    assert reason in str(refusal.value)


def test_it_is_kept_and_read_again() -> None:
    made = LocalOrchestrator(name="two", max_workers=2, memory="4GiB", resources={"license": 1})
    assert made.configuration()["memory"] == 4 * 2**30
    assert LocalOrchestrator.from_record(made.to_record()) == made


def test_components_that_workers_cannot_reach_are_refused(tmp_path: Path) -> None:
    class Near(LocalArtifactStore):
        @property
        def reach(self) -> Reach:
            return Reach.PROCESS

    orchestrator = LocalOrchestrator(name="one")
    stack = Stack(
        "near",
        orchestrator=orchestrator,
        metadata_store=SQLiteMetadataStore(name="rows", uri=str(tmp_path / "rows.db")),
        artifact_store=Near(name="memory", path=str(tmp_path)),
    )
    limited = deployment(StepSpec("limited", "m:l", "l", timeout=5))
    orchestrator.executor(deployment(StepSpec("free", "m:f", "f")), stack, pytest.fail).close()
    with pytest.raises(StackValidationError) as refusal:
        orchestrator.executor(limited, stack, pytest.fail)
    assert str(refusal.value) == (
        "The artifact store 'memory' can only be used from the same process, but steps with a timeout or resources have one of their own: "
        "choose another artifact store, which they can reach."
    )


# The machine


def test_devices_are_those_that_are_visible(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for value, expected in [("", ()), ("-1", ()), ("2", ("2",)), ("0, GPU-8a", ("0", "GPU-8a"))]:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", value)
        assert capacity.devices() == expected
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert capacity.devices() == (), "no driver"
    program = tmp_path / "nvidia-smi"
    program.write_text(
        "#!/bin/sh\necho 'GPU 0: Tesla T4 (UUID: GPU-1)'\necho 'GPU 1: Tesla T4 (UUID: GPU-2)'\n"
    )
    program.chmod(0o755)
    assert capacity.devices() == ("0", "1")
    program.write_text("#!/bin/sh\necho 'No devices were found'\nexit 6\n")
    assert capacity.devices() == (), "a driver without devices"


def test_control_groups_limit_what_there_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bound = capacity.cores()
    assert bound <= len(os.sched_getaffinity(0))
    group = tmp_path / "a" / "b"
    group.mkdir(parents=True)
    own = tmp_path / "own"
    own.write_text("12:cpu:/elsewhere\n0::/a/b\n")
    monkeypatch.setattr(capacity, "_CGROUPS", tmp_path)
    monkeypatch.setattr(capacity, "_OWN_CGROUP", own)
    (group / "cpu.max").write_text("max 100000\n")
    (group / "memory.max").write_text("max\n")
    unlimited = capacity.memory()
    (tmp_path / "a" / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "a" / "memory.max").write_text("1000000\n")
    assert capacity.cores() == 0.5
    assert capacity.memory() == 1_000_000 < unlimited


def test_what_several_places_lack() -> None:
    wide, deep = Capacity(8, 4 * 10**9), Capacity(2, 64 * 10**9, ("0",), {"license": 1})

    def refusal(*places: Capacity, **need: float) -> str:
        with pytest.raises(StackValidationError) as refused:
            capacity.refuse_unmet(
                {"train": ResourceSpec(**need)},
                places,
                lacking="No node has what these need",
                remedy="Ask for less.",
            )
        first, *reasons, last = str(refused.value).splitlines()
        assert (first, last) == ("No node has what these need:", "Ask for less.")
        return "; ".join(reason.removeprefix("  the step 'train' needs ") for reason in reasons)

    # What none has at all is told by the most that one has; what one alone does not have, by the nearest.
    assert refusal(wide, deep, cpu=16, gpu=2) == "cpu: 16, of 8; gpu: 2, of 1"
    assert refusal(wide, deep, cpu=4, gpu=1) == "gpu: 1, of 0"
    assert refusal(cpu=1) == "cpu: 1, of 0"
    capacity.refuse_unmet({"train": ResourceSpec(2, gpu=1)}, [wide, deep], lacking="", remedy="")
