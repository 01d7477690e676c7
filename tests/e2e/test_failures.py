"""What goes wrong in a run, and what is left of it."""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from zenml.container_registries import BaseContainerRegistry
from zenml.enums import ExecutionStatus
from zenml.exceptions import ArtifactCorruptedError, RunError, StoreError
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.steps import Output, step


class Broken(set[str]):
    """Which hooks and steps break. No plain data: as a set, it would count for the cache by its content."""


class Events(list[str]):
    """What happened. No plain data either."""


EVENTS = Events()
BROKEN = Broken()


@pytest.fixture(autouse=True)
def _nothing_yet() -> None:
    EVENTS.clear()
    BROKEN.clear()


def happens(what: str) -> None:
    EVENTS.append(what)
    if what in BROKEN:
        raise OSError(f"{what} broke")


class Fragile(LocalOrchestrator):
    """Breaks where a test wants it to."""

    FLAVOR: ClassVar[str] = "fragile"

    def prepare_pipeline_run(self) -> None:
        happens("prepare run")

    def cleanup_pipeline_run(self) -> None:
        happens("cleanup run")

    def prepare_step_run(self) -> None:
        happens("prepare step")

    def cleanup_step_run(self) -> None:
        happens("cleanup step")


class Beside(BaseContainerRegistry):
    """Stands beside the orchestrator, and must be cleaned up whatever happens to that."""

    FLAVOR: ClassVar[str] = "beside"

    def cleanup_pipeline_run(self) -> None:
        happens("cleanup registry")


@pytest.fixture
def fragile_stack() -> None:
    repository = Repository()
    for class_ in (Fragile, Beside):
        repository.register_flavor(f"{__name__}.{class_.__name__}")
    active = repository.active_stack
    repository.register_stack(
        Stack(
            "fragile",
            orchestrator=Fragile(name="fragile"),
            metadata_store=active.metadata_store,
            artifact_store=active.artifact_store,
            container_registry=Beside(name="beside", uri="localhost:5000"),
        )
    )
    repository.activate_stack("fragile")


@step
def work() -> int:
    happens("work")
    return 1


@step
def more(value: int) -> int:
    happens("more")
    return value + 1


@pipeline
def working() -> None:
    more(work())


def last_run() -> Any:
    return Repository().get_pipeline("working").runs[-1]


def statuses(run: Any) -> dict[str, str]:
    return {view.name: str(view.status) for view in run.steps}


@pytest.mark.usefixtures("fragile_stack")
@pytest.mark.parametrize(
    ("broken", "events", "steps"),
    [
        (
            "prepare run",
            ["prepare run", "cleanup run", "cleanup registry"],
            {"work": "skipped", "more": "skipped"},
        ),
        (
            "prepare step",
            ["prepare run", "prepare step", "cleanup step", "cleanup run", "cleanup registry"],
            {"work": "failed", "more": "skipped"},
        ),
        (
            "cleanup step",
            ["prepare run", "prepare step", "work", "cleanup step", "cleanup run", "cleanup registry"],
            {"work": "failed", "more": "skipped"},
        ),
    ],
)
def test_a_hook_that_raises_fails_what_it_belongs_to(
    broken: str, events: list[str], steps: dict[str, str]
) -> None:
    BROKEN.add(broken)
    with pytest.raises(OSError, match=f"{broken} broke"):
        working().run()
    assert events == EVENTS
    assert statuses(last_run()) == steps
    assert last_run().status is ExecutionStatus.FAILED
    assert last_run().error.traceback.splitlines()[1].strip().startswith(f'File "{__file__}"')


@pytest.mark.usefixtures("fragile_stack")
def test_a_cleanup_that_raises_fails_the_run_and_keeps_the_others_from_nothing() -> None:
    BROKEN.add("cleanup run")
    with pytest.raises(OSError, match="cleanup run broke"):
        working().run()
    assert EVENTS[-2:] == ["cleanup run", "cleanup registry"]
    assert statuses(last_run()) == {"work": "completed", "more": "completed"}
    assert last_run().status is ExecutionStatus.FAILED


@pytest.mark.usefixtures("fragile_stack")
def test_a_cleanup_that_raises_does_not_hide_the_error_of_a_step(caplog: pytest.LogCaptureFixture) -> None:
    BROKEN.update({"work", "cleanup step", "cleanup run"})
    with caplog.at_level(logging.WARNING, "zenml"), pytest.raises(OSError, match="work broke"):
        working().run()
    assert last_run().get_step("work").error.message == "work broke"
    assert last_run().error.message == "work broke"
    assert "Cleaning up failed as well: OSError: cleanup step broke" in caplog.text
    assert "Cleaning up failed as well: OSError: cleanup run broke" in caplog.text


def test_a_corrupted_input_is_made_anew_by_the_next_run() -> None:
    BROKEN.add("more")
    with pytest.raises(OSError, match="more broke"):
        working().run()
    (file,) = [p for p in Path(last_run().get_step("work").output.uri).rglob("*") if p.is_file()]
    file.write_bytes(bytes(byte ^ 1 for byte in file.read_bytes()))  # of the same size
    BROKEN.clear()
    with pytest.raises(ArtifactCorruptedError, match="'output' is corrupted") as caught:
        working().run()
    assert "step 'more'" in caught.value.__notes__[0]
    assert statuses(last_run()) == {"work": "cached", "more": "failed"}
    working().run()
    assert statuses(last_run()) == {"work": "completed", "more": "completed"}
    working().run()
    assert statuses(last_run()) == {"work": "cached", "more": "cached"}


@pytest.mark.parametrize(("code", "error"), [(0, RunError), (None, RunError), (3, SystemExit)])
def test_exit_in_a_step_ends_the_run_and_is_no_success(
    code: int | None, error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    @step
    def leave() -> int:
        sys.exit(code)

    @pipeline
    def leaving() -> None:
        more(leave())

    with caplog.at_level(logging.INFO, "zenml"), pytest.raises(error, match=r"exit\(\)|3"):
        leaving().run(run_name="left")
    run = Repository().get_pipeline("leaving").get_run("left")
    assert statuses(run) == {"leave": "cancelled", "more": "skipped"}
    assert run.get_step("more").reason == "the run was cancelled"
    assert "Pipeline run `left` was cancelled" in caplog.text


@pytest.fixture
def file_size_limit() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def full_disk(free: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (free, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.mark.usefixtures("file_size_limit")
def test_a_value_that_finds_no_room_fails_its_step_alone() -> None:
    @step(enable_cache=False)
    def large() -> Output(note=str, data=bytes):
        full_disk(free=10_000_000)
        return "small", bytes(20_000_000)

    @pipeline
    def filling() -> None:
        _, data = large()
        measure(data)
        more(work())

    with pytest.raises(OSError, match="File too large"):
        filling().run()
    run = Repository().get_pipeline("filling").runs[-1]
    assert statuses(run) == {
        "large": "failed",
        "work": "completed",
        "measure": "skipped",
        "more": "completed",
    }
    assert run.get_step("large").outputs == {}


@step
def measure(data: bytes) -> int:
    return len(data)


@pytest.mark.usefixtures("file_size_limit")
@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_an_error_is_told_also_when_there_is_no_room_to_record_it(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    @step
    def last_words() -> int:
        full_disk(free=1000)
        raise error("last words")

    @pipeline
    def ending() -> None:
        more(last_words())

    expected = StoreError if error is ValueError else error
    with pytest.raises(expected, match="last words") as caught:
        ending().run()
    if expected is StoreError:
        assert "Is there room left on the disk" in str(caught.value)
        assert "The step 'last_words' had failed: ValueError: last words" in str(caught.value)
    assert "is not recorded: The metadata store 'default'" in caplog.text


def test_an_exception_that_cannot_be_shown_is_recorded_all_the_same() -> None:
    class SpeechlessError(Exception):
        def __str__(self) -> str:
            raise ValueError

    @step
    def fall_silent() -> int:
        raise SpeechlessError

    @pipeline
    def silent() -> None:
        fall_silent()
        more(work())

    with pytest.raises(SpeechlessError):
        silent().run()
    run = Repository().get_pipeline("silent").runs[-1]
    assert statuses(run) == {"fall_silent": "failed", "work": "completed", "more": "completed"}
    assert run.get_step("fall_silent").error.message == "(its text cannot be had: ValueError)"


def test_a_refusal_of_the_framework_is_recorded_without_its_own_frames() -> None:
    @step
    def liar() -> int:
        return "text"  # type: ignore[return-value]

    @pipeline
    def lying() -> None:
        liar()

    with pytest.raises(Exception, match="Wrong type"):
        lying().run()
    error = Repository().get_pipeline("lying").runs[-1].get_step("liar").error
    assert error.traceback.startswith("zenml.exceptions.StepInterfaceError: Wrong type for output 'output'")
