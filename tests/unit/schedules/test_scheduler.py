"""The scheduler in a world whose clock stands still unless somebody sleeps: months pass in milliseconds."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.schedules.records import NEW_YEAR, UTC, a_schedule
from zenml.enums import ExecutionStatus, StackComponentType
from zenml.exceptions import StoreError
from zenml.liveness import this_process
from zenml.model.records import StackRecord
from zenml.model.schedules import Firing, ScheduleRecord
from zenml.profiles.registry import Registry
from zenml.schedules import firings, scheduler
from zenml.schedules.firings import claim, end, take_over
from zenml.schedules.scheduler import Scheduler, start_process
from zenml.schedules.times import due_time, next_time, time_after
from zenml.storage.collection import Backend
from zenml.storage.memory import Memory
from zenml.storage.sql import SQLBackend
from zenml.storage.yaml_folder import YamlFolder

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
FOREVER = timedelta(days=100_000)


@dataclass
class World:
    """What a scheduler sees of the world. A run takes `duration`, and ends with the exit code that `exits` has for its time, else 0."""

    registry: Registry
    now: datetime = NEW_YEAR
    until: datetime = NEW_YEAR
    duration: timedelta = timedelta(0)
    exits: dict[datetime, int] = field(default_factory=dict)
    begun: list[tuple[str, datetime]] = field(default_factory=list)
    on_sleep: Callable[[], None] = lambda: None
    scheduler: Scheduler | None = None

    def live(self, until: datetime, **options: Any) -> Scheduler:
        """Let a scheduler run until then."""
        self.until = until
        self.scheduler = Scheduler(
            self.registry, self.start, clock=lambda: self.now, sleep=self.sleep, look_every=FOREVER, **options
        )
        self.scheduler.run()
        return self.scheduler

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.on_sleep()
        if self.now >= self.until and self.scheduler is not None:
            self.now = self.until
            self.scheduler.stop()

    def start(self, schedule: ScheduleRecord, firing: Firing) -> Run:
        return Run(self, schedule.name, firing)

    def times(self, name: str = "nightly") -> list[datetime]:
        return [time for begun, time in self.begun if begun == name]


class Run:
    """A process as far as a scheduler sees it: it takes over and records its end as a real one does."""

    def __init__(self, world: World, name: str, firing: Firing) -> None:
        self._world, self._name, self._firing = world, name, firing
        self._end = world.now + world.duration
        self._code = world.exits.get(firing.time, 0)
        if world.registry.change_schedule(name, take_over(firing.token, world.now)):
            world.begun.append((name, firing.time))

    def poll(self) -> int | None:
        if self._world.now < self._end:
            return None
        if self._code == 0:
            ended = end(self._firing.token, ExecutionStatus.COMPLETED, self._world.now)
            self._world.registry.change_schedule(self._name, ended)
        return self._code

    def wait(self) -> int:
        return self._code

    def terminate(self) -> None:
        self._end, self._code = self._world.now, -15

    def kill(self) -> None:
        self._end, self._code = self._world.now, -9


@pytest.fixture(autouse=True)
def _few_polls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduler, "_SECONDS_BETWEEN_POLLS", 60)


def a_registry(*schedules: ScheduleRecord, backend: Backend | None = None) -> Registry:
    registry = Registry(backend or Memory())
    with registry.backend.transaction(write=True) as session:
        session.put("stacks", "default", {"orchestrator": "default"})
    for schedule in schedules:
        registry.register_schedule(schedule)
    return registry


@pytest.fixture(params=["yaml", "sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Backend:
    if request.param == "yaml":
        return YamlFolder(tmp_path)
    if request.param == "sqlite":
        return SQLBackend(f"sqlite:///{tmp_path}/profile.db")
    return SQLBackend(request.getfixturevalue("postgresql_database"))


NIGHTLY = a_schedule(cron_expression="30 2 * * *", timezone="Europe/Berlin")


def test_half_a_year_of_nights() -> None:
    world = World(a_registry(NIGHTLY), duration=timedelta(minutes=20))
    world.live(until=NEW_YEAR + 182 * DAY)
    assert len(world.times()) == 182
    assert world.times()[0] == datetime(2026, 1, 1, 1, 30, tzinfo=UTC)
    assert world.times()[-1] == datetime(2026, 7, 1, 0, 30, tzinfo=UTC)
    last = world.registry.schedule("nightly").last
    assert last is not None
    assert (last.run, last.status) == ("nightly-2026-07-01T00:30:00Z", ExecutionStatus.COMPLETED)
    assert last.since == datetime(2026, 7, 1, 0, 50, tzinfo=UTC)


def test_each_schedule_goes_its_own_way() -> None:
    hourly = a_schedule("hourly", start=NEW_YEAR, interval=HOUR)
    world = World(a_registry(NIGHTLY, hourly), duration=timedelta(minutes=50))
    world.live(until=NEW_YEAR + 3 * DAY)
    assert len(world.times("hourly")) == 3 * 24
    assert len(world.times("nightly")) == 3


def test_only_those_that_are_named_and_not_paused() -> None:
    registry = a_registry(*(a_schedule(name, start=NEW_YEAR, interval=HOUR) for name in "abc"))
    registry.change_schedule("b", lambda present: replace(present, is_paused=True))
    world = World(registry)
    world.live(until=NEW_YEAR + DAY, names=["a", "b"])
    assert {name for name, _ in world.begun} == {"a"}


@pytest.mark.parametrize(("catchup", "expected"), [(True, [0, 1, 2, 3, 4, 5]), (False, [0, 3, 5])])
def test_a_run_that_takes_longer_than_the_interval(catchup: bool, expected: list[int]) -> None:
    """Runs of one schedule never overlap: what comes meanwhile is late, and is run one by one, or the last of it alone."""
    schedule = a_schedule(start=NEW_YEAR, interval=HOUR, end=NEW_YEAR + 5 * HOUR, catchup=catchup)
    world = World(a_registry(schedule), duration=3.5 * HOUR)
    world.live(until=NEW_YEAR + DAY)
    assert world.times() == [NEW_YEAR + hours * HOUR for hours in expected]


@pytest.mark.parametrize(("catchup", "expected"), [(True, 11), (False, 1)])
def test_what_was_missed_while_nothing_ran(catchup: bool, expected: int) -> None:
    world = World(a_registry(replace(NIGHTLY, catchup=catchup)), duration=timedelta(minutes=1))
    world.live(until=NEW_YEAR + 3 * DAY)
    before = world.times()
    world.now += 11 * DAY
    world.live(until=world.now + HOUR)
    missed = world.times()[len(before) :]
    assert len(missed) == expected
    assert missed[-1] == datetime(2026, 1, 14, 1, 30, tzinfo=UTC)


def test_what_was_missed_while_it_was_paused() -> None:
    registry = a_registry(replace(NIGHTLY, is_paused=True, catchup=True))
    world = World(registry)
    world.live(until=NEW_YEAR + 3 * DAY)
    assert world.begun == []
    registry.change_schedule("nightly", lambda present: replace(present, is_paused=False))
    world.live(until=world.now + HOUR)
    assert len(world.begun) == 3


def test_once_runs_what_is_due_and_ends() -> None:
    """Not what becomes due meanwhile: it would go on for ever."""
    world = World(a_registry(replace(NIGHTLY, catchup=True)), now=NEW_YEAR + 5 * DAY, duration=DAY)
    once = Scheduler(
        world.registry, world.start, clock=lambda: world.now, sleep=world.sleep, look_every=FOREVER
    )
    once.run(once=True)
    assert len(world.begun) == 5
    assert NEW_YEAR + 10 * DAY <= world.now < NEW_YEAR + 10 * DAY + HOUR
    assert not once.failed


def test_a_run_that_fails_is_no_reason_to_stop(caplog: pytest.LogCaptureFixture) -> None:
    schedule = a_schedule(start=NEW_YEAR, interval=DAY, end=NEW_YEAR + 3 * DAY)
    world = World(a_registry(schedule), exits={NEW_YEAR: 1, NEW_YEAR + DAY: -9, NEW_YEAR + 2 * DAY: 143})
    seen = []
    world.on_sleep = lambda: seen.append(world.registry.schedule("nightly").last)
    failing = world.live(until=NEW_YEAR + 5 * DAY)
    assert [(last.status.value, last.error) for last in dict.fromkeys(seen) if last] == [
        ("failed", "Its process ended with exit code 1."),
        ("crashed", "Its process ended with signal 9."),
        ("cancelled", None),
        ("completed", None),
    ]
    assert failing.failed
    assert "the run 'nightly-2026-01-02T00:00:00Z' ended: crashed" in caplog.text


def test_a_run_that_cannot_be_started(tmp_path: Path) -> None:
    """It is not tried again and again."""
    schedule = a_schedule(start=NEW_YEAR, interval=DAY, directory=str(tmp_path / "gone"))
    world = World(a_registry(schedule))
    world.start = lambda schedule, firing: start_process("default", schedule, firing)  # type: ignore[method-assign]
    world.live(until=NEW_YEAR + HOUR)
    last = world.registry.schedule("nightly").last
    assert last is not None
    assert last.status is ExecutionStatus.FAILED
    assert last.error is not None
    assert last.error.startswith("It cannot be started: ")
    assert "No such file or directory" in last.error


def test_one_that_cannot_be_understood_leaves_the_others_alone(caplog: pytest.LogCaptureFixture) -> None:
    world = World(a_registry(a_schedule("bad", cron_expression="61 * * * *"), NIGHTLY))
    world.live(until=NEW_YEAR + 3 * DAY)
    assert len(world.times()) == 3
    said = [record.message for record in caplog.records if "'bad' is left out" in record.message]
    assert len(said) == 1
    assert said[0].startswith(
        "Schedule 'bad' is left out: The schedule 'bad' has '61 * * * *', which is no cron expression: it has a bad minute."
    )


def test_a_database_that_is_away_for_an_hour(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(a_registry(a_schedule(start=NEW_YEAR, interval=timedelta(minutes=30))))
    schedules = world.registry.schedules

    def sometimes() -> list[ScheduleRecord]:
        if HOUR < world.now - NEW_YEAR < 2 * HOUR:
            raise StoreError("The database is away.")
        return schedules()

    monkeypatch.setattr(world.registry, "schedules", sometimes)
    world.until = NEW_YEAR + 4 * HOUR
    world.scheduler = Scheduler(
        world.registry,
        world.start,
        clock=lambda: world.now,
        sleep=world.sleep,
        look_every=timedelta(minutes=1),
    )
    world.scheduler.run()
    assert [(time - NEW_YEAR) / HOUR for time in world.times()] == [0, 0.5, 1, 2, 2.5, 3, 3.5]
    assert [r.message for r in caplog.records if "cannot be read" in r.message] == [
        "The schedules cannot be read: The database is away."
    ]


def test_a_clock_that_is_put_back() -> None:
    world = World(a_registry(a_schedule(start=NEW_YEAR, interval=timedelta(minutes=30))))
    put_back = []

    def put_back_once() -> None:
        if world.now == NEW_YEAR + 2 * HOUR and not put_back:
            put_back.append(world.now)
            world.now -= 0.9 * HOUR

    world.on_sleep = put_back_once
    world.live(until=NEW_YEAR + 3 * HOUR)
    assert put_back
    assert [(time - NEW_YEAR) / HOUR for time in world.times()] == [0, 0.5, 1, 1.5, 2, 2.5]


def test_stopping_cancels_what_runs_and_waits() -> None:
    world = World(a_registry(NIGHTLY), duration=HOUR)
    world.live(until=datetime(2026, 1, 2, 2, 0, tzinfo=UTC))
    last = world.registry.schedule("nightly").last
    assert last is not None
    assert (last.time.day, last.status, last.error) == (2, ExecutionStatus.CANCELLED, None)


def test_stopping_twice_kills() -> None:
    world = World(a_registry(NIGHTLY), duration=HOUR)

    class Stubborn(Run):
        def terminate(self) -> None:
            assert world.scheduler is not None
            world.scheduler.stop()  # as a second Ctrl-C does while the run takes its time

    world.start = lambda schedule, firing: Stubborn(world, schedule.name, firing)  # type: ignore[method-assign]
    world.live(until=datetime(2026, 1, 2, 2, 0, tzinfo=UTC))
    last = world.registry.schedule("nightly").last
    assert last is not None
    assert (last.status, last.error) == (ExecutionStatus.CRASHED, "Its process ended with signal 9.")


def test_deleted_and_replaced_while_it_runs() -> None:
    registry = a_registry(NIGHTLY)
    world = World(registry, duration=HOUR)

    def meddle() -> None:
        if len(world.begun) == 2 and registry.schedules():
            registry.deregister_schedule("nightly")

    world.on_sleep = meddle
    world.live(until=NEW_YEAR + 5 * DAY)
    assert len(world.begun) == 2
    assert registry.schedules() == []


# Two schedulers, and those that die


def a_dead_process(pid: int = 2**22) -> Any:
    return replace(this_process(), pid=pid)


def test_a_claim_is_for_what_was_seen() -> None:
    registry = a_registry(NIGHTLY)
    seen, now = registry.schedule("nightly"), NEW_YEAR + DAY
    time = due_time(seen, now)
    assert time is not None
    assert registry.change_schedule("nightly", claim(seen, time, now)) is not None
    assert registry.change_schedule("nightly", claim(seen, time, now)) is None
    registry.change_schedule("nightly", lambda present: replace(present, last=None, is_paused=True))
    assert registry.change_schedule("nightly", claim(seen, time, now)) is None


def test_a_claim_is_taken_over_once_and_ended_once() -> None:
    registry = a_registry(NIGHTLY)
    seen, now = registry.schedule("nightly"), NEW_YEAR + DAY
    claimed = registry.change_schedule("nightly", claim(seen, now, now))
    assert claimed is not None
    assert claimed.last is not None
    token = claimed.last.token
    assert registry.change_schedule("nightly", take_over("another", now)) is None
    assert registry.change_schedule("nightly", take_over(token, now)) is not None
    assert registry.change_schedule("nightly", take_over(token, now)) is None
    assert registry.change_schedule("nightly", end("another", ExecutionStatus.FAILED, now)) is None
    assert (
        registry.change_schedule("nightly", end(token, ExecutionStatus.COMPLETED, now, run="b")) is not None
    )
    assert registry.change_schedule("nightly", end(token, ExecutionStatus.FAILED, now)) is None
    last = registry.schedule("nightly").last
    assert last is not None
    assert (last.status, last.run) == (ExecutionStatus.COMPLETED, "b")


def test_a_scheduler_that_dies_before_its_process_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time is run by the next scheduler; a process that the first one has started all the same comes too late."""
    world = World(a_registry(NIGHTLY), now=NEW_YEAR + DAY)
    orphans = []
    monkeypatch.setattr(firings, "this_process", a_dead_process)
    dying = Scheduler(world.registry, lambda _, firing: orphans.append(firing), clock=lambda: world.now)  # type: ignore[arg-type,return-value]
    dying._look()
    monkeypatch.undo()
    assert [firing.status for firing in orphans] == [ExecutionStatus.PENDING]
    world.live(until=world.now + HOUR)
    assert world.times() == [datetime(2026, 1, 1, 1, 30, tzinfo=UTC)]
    assert world.registry.change_schedule("nightly", take_over(orphans[0].token, world.now)) is None


def test_a_run_that_was_killed_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = a_registry(replace(NIGHTLY, catchup=True))
    now = NEW_YEAR + DAY
    time = due_time(registry.schedule("nightly"), now)
    assert time is not None
    claimed = registry.change_schedule("nightly", claim(registry.schedule("nightly"), time, now))
    assert claimed is not None
    assert claimed.last is not None
    monkeypatch.setattr(firings, "this_process", a_dead_process)
    registry.change_schedule("nightly", take_over(claimed.last.token, now))
    monkeypatch.undo()
    assert firings.status_of(registry.schedule("nightly"), registry, now) is ExecutionStatus.CRASHED
    world = World(registry, now=now)
    world.live(until=NEW_YEAR + 2 * DAY)
    assert world.times() == [time + DAY]


def test_a_run_of_another_scheduler_is_waited_for() -> None:
    registry = a_registry(NIGHTLY)
    world = World(registry, duration=FOREVER, now=NEW_YEAR + DAY)
    other = Scheduler(registry, world.start, clock=lambda: world.now)
    other._look()
    assert len(world.begun) == 1
    world.live(until=NEW_YEAR + 3 * DAY)
    assert len(world.begun) == 1


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("look"), st.integers(0, 1)),
        st.tuples(st.just("sleep"), st.integers(1, 200)),
        st.tuples(st.just("die before it begins"), st.integers(0, 1)),
        st.tuples(st.just("die while it runs"), st.integers(0, 1)),
    ),
    max_size=40,
)


@given(ACTIONS, st.booleans(), st.integers(0, 100))
def test_two_schedulers_whatever_happens(actions: list[tuple[str, int]], catchup: bool, minutes: int) -> None:
    """No time is begun twice, none before its moment, and with catchup none is left out."""
    schedule = a_schedule(start=NEW_YEAR, interval=HOUR, catchup=catchup)
    world = World(a_registry(schedule), duration=timedelta(minutes=minutes))
    begun_at: list[datetime] = []

    def start(schedule: ScheduleRecord, firing: Firing) -> Run:
        begun_at.append(world.now)
        return world.start(schedule, firing)

    def fresh() -> Scheduler:
        return Scheduler(world.registry, start, clock=lambda: world.now)

    schedulers = [fresh(), fresh()]
    for action, number in actions:
        if action == "sleep":
            world.now += timedelta(minutes=number)
        elif action == "look":
            schedulers[number]._look()
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(firings, "this_process", a_dead_process)
                if action == "die before it begins":
                    schedulers[number]._start = lambda *_: (_ for _ in ()).throw(SystemExit)
                with (
                    pytest.raises(SystemExit)
                    if _would_start(schedulers[number], world) and (action == "die before it begins")
                    else nullcontext()
                ):
                    schedulers[number]._look()
            schedulers[number] = fresh()
    times = world.times()
    assert all(earlier < later for earlier, later in itertools.pairwise(times))
    assert all(time <= at for time, at in zip(times, begun_at, strict=False))
    if catchup:
        assert times == [NEW_YEAR + hours * HOUR for hours in range(len(times))]


def _would_start(scheduler: Scheduler, world: World) -> bool:
    scheduler._reap()
    schedule = world.registry.schedule("nightly")
    return due_time(schedule, world.now) is not None and not scheduler._is_active(schedule, world.now)


def test_many_schedulers_at_once(backend: Backend) -> None:
    """Threads, each with a scheduler of its own, look at one profile at the same moments: each time is begun once."""
    registry = a_registry(a_schedule(start=NEW_YEAR, interval=HOUR, catchup=True), backend=backend)
    world = World(registry, now=NEW_YEAR + 9.5 * HOUR)
    threads = [
        threading.Thread(
            target=Scheduler(registry, world.start, clock=lambda: world.now).run, kwargs={"once": True}
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    Scheduler(registry, world.start, clock=lambda: world.now).run(once=True)
    assert world.times() == [NEW_YEAR + hours * HOUR for hours in range(10)]


# The records


def test_records_are_kept(backend: Backend) -> None:
    registry = a_registry(NIGHTLY, backend=backend)
    assert registry.schedule("nightly") == NIGHTLY
    assert registry.schedules() == [NIGHTLY]
    assert next_time(registry.schedule("nightly")) == time_after(NIGHTLY, NEW_YEAR)
    registry.deregister_schedule("nightly")
    assert registry.schedules() == []


def test_the_name_of_a_schedule(backend: Backend) -> None:
    registry = a_registry(NIGHTLY, backend=backend)
    with pytest.raises(ValueError, match="is registered already") as error:
        registry.register_schedule(NIGHTLY, numbered=True)
    assert str(error.value) == (
        "The schedule 'nightly' is registered already (30 2 * * * (Europe/Berlin), on the stack 'default'): replace it with "
        "Schedule(..., overwrite=True), give this one another name with Schedule(..., name=...), or delete that one with "
        "`zenml schedule delete nightly`."
    )
    other = replace(NIGHTLY, source="other:nightly")
    assert registry.register_schedule(other, numbered=True).name == "nightly-2"
    with pytest.raises(ValueError, match="'nightly-2' is registered already"):
        registry.register_schedule(other, numbered=True)
    with pytest.raises(KeyError, match="'stagging' does not exist. Did you mean 'default'|'stagging'"):
        registry.register_schedule(a_schedule("new", stack="stagging", cron_expression="@daily"))
    with pytest.raises(ValueError, match="cannot be the name of a schedule"):
        registry.register_schedule(a_schedule("../x", cron_expression="@daily"))


def test_a_schedule_that_is_replaced_goes_on() -> None:
    world = World(a_registry(NIGHTLY))
    world.live(until=NEW_YEAR + 3 * DAY)
    kept = world.registry.register_schedule(
        replace(NIGHTLY, cron_expression="0 3 * * *", created=world.now), overwrite=True
    )
    assert kept.last is not None
    world.live(until=NEW_YEAR + 4 * DAY)
    assert [time.hour for time in world.times()] == [1, 1, 1, 2]
    assert world.times()[-1].day == 4


def test_what_was_missed_is_not_forgotten_when_the_same_is_registered_again() -> None:
    registry = a_registry(NIGHTLY)
    kept = registry.register_schedule(replace(NIGHTLY, created=NEW_YEAR + 2 * DAY), overwrite=True)
    assert kept.created == NEW_YEAR
    other = replace(NIGHTLY, created=NEW_YEAR + 2 * DAY, timezone="Asia/Tokyo")
    assert registry.register_schedule(other, overwrite=True).created == NEW_YEAR + 2 * DAY


def test_a_stack_that_schedules_run_on() -> None:
    registry = a_registry(NIGHTLY)
    with registry.backend.transaction(write=True) as session:
        for type_ in StackComponentType:
            session.put("stack_components", f"{type_}/default", {"flavor": "local", "uuid": "0" * 32})
    with pytest.raises(ValueError, match="because the schedule 'nightly' run on it: delete these first"):
        registry.deregister_stack("default")
    components = {type_: "default" for type_ in StackComponentType if type_.required}
    registry.update_stack("default", StackRecord("production", components))
    assert registry.schedule("nightly").stack == "production"
