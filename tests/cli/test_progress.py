"""The live display: it stays on one screen, however large the run."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable

from rich.console import Console

from zenml.cli.progress import LiveObserver
from zenml.enums import ExecutionStatus
from zenml.model.runs import ErrorRecord

ERROR = ErrorRecord("ValueError", "no\x1b[31m data")


class Spec:
    def __init__(self, name: str) -> None:
        self.name = name


class Plan:
    def __init__(self, *names: str) -> None:
        self.run_name = "monday"
        self.steps = tuple(map(Spec, names))


def display(
    plan: Plan, tell: Callable[[LiveObserver], None], *, height: int = 24, width: int = 100
) -> list[str]:
    """The lines that stand there after an observer was told."""
    console = Console(
        file=io.StringIO(), width=width, height=height, force_terminal=True, no_color=True, record=True
    )
    observer = LiveObserver(console, clock=lambda: 100.0)
    observer.run_started(plan)  # type: ignore[arg-type]  # what it looks at
    tell(observer)
    console.print(observer._display())
    return console.export_text().splitlines()


def cells(lines: list[str]) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("┃").split("│")] for line in lines if line.startswith("┃")][
        1:
    ]


def test_instances_are_counted_and_have_rows_while_they_run() -> None:
    def tell(observer: LiveObserver) -> None:
        observer.step_started("load")
        observer.step_finished("load", ExecutionStatus.COMPLETED, 1.0, None)
        observer.step_expanded("train", 10)
        for index in range(5):
            observer.step_started(f"train[{index}]")
        observer.step_finished("train[0]", ExecutionStatus.COMPLETED, 1.0, None)
        observer.step_finished("train[1]", ExecutionStatus.FAILED, 2.0, ERROR)
        observer.step_cached("train[5]")
        observer.step_retried("train[2]", 2, ERROR, 1.5)
        observer.step_started("train[2]")

    assert cells(display(Plan("load", "train", "choose"), tell)) == [
        ["load", "completed", "1.000s", ""],
        ["train ×10", "running", "0.000s", "4 pending, 3 running, 1 completed, 1 failed, 1 cached"],
        ["choose", "pending", "", ""],
        ["train[1]", "failed", "2.000s", "ValueError: no\\x1b[31m data"],
        ["train[2]", "running", "0.000s", "attempt 2, after ValueError: no\\x1b[31m data"],
        ["train[3]", "running", "0.000s", ""],
        ["train[4]", "running", "0.000s", ""],
    ]


def test_a_mapped_step_that_has_ended() -> None:
    def tell(observer: LiveObserver) -> None:
        observer.step_expanded("train", 2)
        observer.step_started("train[0]")
        observer.step_finished("train[0]", ExecutionStatus.COMPLETED, 1.0, None)
        observer.step_started("train[1]")
        observer.step_finished("train[1]", ExecutionStatus.CRASHED, 1.0, ERROR)
        observer.step_finished("train", ExecutionStatus.FAILED, 2.0, ERROR)

    assert cells(display(Plan("train"), tell)) == [
        ["train ×2", "failed", "2.000s", "1 completed, 1 crashed; ValueError: no\\x1b[31m data"],
        ["train[1]", "crashed", "1.000s", "ValueError: no\\x1b[31m data"],
    ]


def test_a_retried_step_that_went_well_has_no_note() -> None:
    def tell(observer: LiveObserver) -> None:
        observer.step_started("load")
        observer.step_retried("load", 2, ERROR, 0.0)
        observer.step_finished("load", ExecutionStatus.COMPLETED, 1.0, None)

    assert cells(display(Plan("load"), tell)) == [["load", "completed", "1.000s", ""]]


def test_of_ten_thousand_steps_those_are_shown_that_run_and_that_failed() -> None:
    def tell(observer: LiveObserver) -> None:
        for index in range(4000):
            observer.step_started(f"s{index}")
            failed = index % 100 == 7
            status = ExecutionStatus.FAILED if failed else ExecutionStatus.COMPLETED
            observer.step_finished(f"s{index}", status, 1.0, ERROR if failed else None)
        for index in range(5000, 6000):
            observer.step_skipped(f"s{index}", "its condition does not hold")
        observer.step_started("s4000")
        observer.step_started("s4001")

    lines = display(Plan(*(f"s{i}" for i in range(10_000))), tell, height=24)
    rows = cells(lines)
    assert len(lines) < 24
    assert [row[:2] for row in rows[:3]] == [["s4000", "running"], ["s4001", "running"], ["s7", "failed"]]
    assert {row[1] for row in rows[2:]} == {"failed"}
    assert lines[-1].strip() == (
        "10000 steps: 3960 completed, 40 failed, 2 running, 4998 pending, 1000 skipped"
    )


def test_a_thousand_instances_at_once_stay_on_the_screen() -> None:
    def tell(observer: LiveObserver) -> None:
        observer.step_expanded("train", 1000)
        for index in range(1000):
            observer.step_started(f"train[{index}]")
        for index in range(500):
            observer.step_finished(f"train[{index}]", ExecutionStatus.FAILED, 1.0, ERROR)

    for height in (5, 12, 24, 60):
        lines = display(Plan("load", "train"), tell, height=height)
        assert len(lines) < max(height, 11)
        assert "500 running, 500 failed" in "".join(lines)


def test_the_display_may_look_at_any_moment() -> None:
    """rich looks from a thread of its own, while the run goes on."""
    console = Console(file=io.StringIO(), width=100, height=24, force_terminal=True)
    observer = LiveObserver(console)
    observer.run_started(Plan(*(f"s{i}" for i in range(50)), "train"))  # type: ignore[arg-type]
    over = threading.Event()

    def look() -> None:  # an exception in a thread fails the test
        while not over.is_set():
            console.print(observer._display())

    looking = threading.Thread(target=look)
    looking.start()
    for index in range(50):
        observer.step_started(f"s{index}")
        observer.step_finished(f"s{index}", ExecutionStatus.FAILED, 1.0, ERROR)
    observer.step_expanded("train", 3000)
    for index in range(3000):
        observer.step_started(f"train[{index}]")
        if index % 3:
            observer.step_finished(f"train[{index}]", ExecutionStatus.FAILED, 1.0, ERROR)
    over.set()
    looking.join()
