"""What a step prints and logs: shown as it comes, kept in its log, at no risk for the step."""

# ruff: noqa: T201 - printing is the subject

from __future__ import annotations

import contextlib
import io
import logging
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zenml.artifact_stores import BaseArtifactStore, LocalArtifactStore
from zenml.engine import capture_log
from zenml.engine.capture import Capture
from zenml.engine.capture_log import LIMIT_VARIABLE
from zenml.secret import known


class MemoryStore(BaseArtifactStore):
    FLAVOR: ClassVar[str] = "memory"
    SUPPORTED_SCHEMES: ClassVar[set[str]] = {"memory://"}


class BrokenStore(LocalArtifactStore):
    """Fails at each write, and says so in the log: where the step's output must not go around in a circle."""

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        logging.getLogger("store").warning("cannot write %s", Path(name).name)
        raise OSError("no space left")


class StuckStore(LocalArtifactStore):
    gate: ClassVar[threading.Event] = threading.Event()

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        assert self.gate.wait(30)
        return super().open(name, mode)


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="local", path=str(tmp_path / "store"))


@pytest.fixture(autouse=True)
def _no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, nothing in (
        ("_values", set()),
        ("_forms", ()),
        ("_parts", ()),
        ("_pattern", None),
        ("_has_lines", False),
    ):
        monkeypatch.setattr(known, name, nothing)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)


def capture(store: BaseArtifactStore, name: str = "step") -> Capture:
    return Capture(store, f"{store.path}/runs/run/{name}.1", name)


def log_of(store: BaseArtifactStore, name: str = "step") -> str:
    with store.open(f"{store.path}/runs/run/{name}.1/log.txt") as file:
        return str(file.read())


@contextlib.contextmanager
def terminal() -> Iterator[io.StringIO]:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        yield shown


def test_what_is_printed_and_logged_is_shown_and_kept_in_its_order(store: LocalArtifactStore) -> None:
    with terminal() as shown:
        handler = logging.StreamHandler()  # made before the step, as by logging.basicConfig()
        logger = logging.getLogger("of.the.user")
        logger.addHandler(handler)
        try:
            with capture(store):
                print("one")
                print("two", file=sys.stderr)
                logger.warning("three")
                print("four")
                sys.stdout.buffer.write("fünf\n".encode())
                sys.stdout.writelines(["six\n", "seven"])
            print("not the step's")
            assert handler.stream is shown
            assert sys.stdout is shown
        finally:
            logger.removeHandler(handler)
    assert log_of(store) == "one\ntwo\nthree\nfour\nfünf\nsix\nseven\n"
    assert shown.getvalue() == "one\ntwo\nthree\nfour\nfünf\nsix\nsevennot the step's\n"


def test_a_silent_step_has_no_log(store: LocalArtifactStore) -> None:
    with capture(store):
        pass
    assert not Path(store.path).exists()


def test_lines_can_be_read_while_the_step_runs(store: LocalArtifactStore) -> None:
    with terminal() as shown, capture(store):
        print("working")
        limit = time.monotonic() + 10
        while "working" not in shown.getvalue() or not Path(store.path, "runs/run/step.1/log.txt").exists():
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert log_of(store) == "working\n"


def test_other_threads_of_the_program_are_not_the_step(store: LocalArtifactStore) -> None:
    go, said = threading.Event(), threading.Event()

    def other() -> None:
        go.wait(10)
        print("from elsewhere")
        said.set()

    thread = threading.Thread(target=other)
    thread.start()
    with terminal() as shown, capture(store):
        go.set()
        said.wait(10)
        own = threading.Thread(target=print, args=("from a thread of the step",))
        own.start()
        own.join()
        print("from the step")
    thread.join()
    assert log_of(store) == "from a thread of the step\nfrom the step\n"
    assert "from elsewhere\n" in shown.getvalue()


def test_steps_in_several_threads_have_logs_of_their_own(store: LocalArtifactStore) -> None:
    barrier = threading.Barrier(4)

    def run(name: str) -> None:
        barrier.wait()
        with capture(store, name):
            for number in range(200):
                print(name, number)
                if not number % 50:
                    time.sleep(0.001)

    with terminal() as shown:
        threads = [threading.Thread(target=run, args=(f"step_{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sys.stdout is shown
    for n in range(4):
        assert log_of(store, f"step_{n}") == "".join(f"step_{n} {number}\n" for number in range(200))


@pytest.mark.parametrize(
    ("printed", "kept"),
    [
        ("\r10%\r50%\r100%\ndone\n", "100%\ndone\n"),
        ("10%\r50%\r100%\r", "100%\n"),
        ("windows\r\nlines\r\n", "windows\nlines\n"),
        ("before\n\r 1\r 2", "before\n 2\n"),
        ("\r\r\n", "\n"),
    ],
)
def test_of_a_progress_bar_its_last_state_is_kept(store: LocalArtifactStore, printed: str, kept: str) -> None:
    with terminal() as shown, capture(store):
        for character in printed:
            print(character, end="", flush=True)
    assert log_of(store) == kept
    assert shown.getvalue() == printed


@given(
    lines=st.lists(st.text(alphabet="ab", max_size=30), min_size=1, max_size=200), limit=st.integers(0, 400)
)
def test_beyond_its_limit_a_log_keeps_the_first_and_the_last_lines(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], limit: int
) -> None:
    store = LocalArtifactStore(name="local", path=str(tmp_path_factory.mktemp("store")))
    with pytest.MonkeyPatch.context() as patch, terminal():
        patch.setenv(LIMIT_VARIABLE, str(limit))
        with capture(store):
            for number, line in enumerate(lines):
                print(line)
                if not number % 7:
                    sys.stdout.flush()
    kept = log_of(store).splitlines()
    if kept == lines:
        return
    at = next(n for n, line in enumerate(kept) if line.startswith("[..."))
    dropped = len(lines) - (len(kept) - 2)
    assert kept[at] == f"[... {dropped:,} lines are left out here ...]"
    assert kept[-1].startswith(f"[{dropped:,} lines were dropped: a log keeps {limit:,} characters;")
    assert kept[:at] == lines[:at]
    assert kept[at + 1 : -1] == lines[len(lines) - (len(kept) - at - 2) :]
    assert sum(len(line) + 1 for line in (*kept[:at], *kept[at + 1 : -1])) <= limit


def test_a_limit_that_is_no_number_is_said_once(
    store: LocalArtifactStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "ten MB")
    with terminal():
        for name in ("one", "two"):
            with capture(store, name):
                print("said")
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["ZENML_LOG_LIMIT is 'ten MB'; expected a number of characters. Using 10,000,000."]
    assert log_of(store, "two") == "said\n"


def test_a_store_that_fails_costs_the_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = BrokenStore(name="broken", path=str(tmp_path / "store"))
    with terminal() as shown, capture(store):
        for number in range(3):
            print(number, flush=True)
            time.sleep(0.15)
    assert shown.getvalue().startswith("0\n")
    assert "2\n" in shown.getvalue()
    warnings = [record.getMessage() for record in caplog.records if record.name == "zenml.logs"]
    assert warnings == ["The log of the step `step` cannot be written: no space left"]


def test_a_store_that_is_stuck_does_not_hold_the_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_log, "_PATIENCE", 0.2)
    StuckStore.gate.clear()
    store = StuckStore(name="stuck", path=str(tmp_path / "store"))
    began = time.monotonic()
    with terminal():
        for name in ("one", "two", "three"):
            with capture(store, name):
                print("said by", name)
    assert time.monotonic() - began < 5
    StuckStore.gate.set()
    limit = time.monotonic() + 10
    while not Path(store.path, "runs/run/three.1/log.txt").exists():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_a_store_that_cannot_append_gets_the_whole_log(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore(name="memory", path="memory://logs")
    with terminal(), capture(store, "long"):
        print("first")
        limit = time.monotonic() + 10
        while not store.exists("memory://logs/runs/run/long.1/log.txt"):
            assert time.monotonic() < limit
            time.sleep(0.01)
        print("second")
    assert log_of(store, "long") == "first\nsecond\n"


def test_the_error_of_a_step_is_the_end_of_its_log(store: LocalArtifactStore) -> None:
    def fail() -> None:
        print("about to fail")
        raise ValueError("broken")

    with terminal() as shown, pytest.raises(ValueError, match="broken"), capture(store):
        fail()
    assert log_of(store).startswith("about to fail\nTraceback (most recent call last):\n")
    assert log_of(store).endswith("ValueError: broken\n")
    assert shown.getvalue() == "about to fail\n"  # the traceback is shown once, by who shows it


def test_a_secret_is_redacted_where_it_is_split_between_writes(store: LocalArtifactStore) -> None:
    known.remember(["top-secret-value"])
    with terminal() as shown, capture(store):
        for character in "a top-secret-value, twice: top-secret-valuetop-secret-value; top-secret":
            sys.stdout.write(character)
            sys.stdout.flush()
    assert shown.getvalue() == "a ***, twice: ******; top-secret"
    assert log_of(store) == "a ***, twice: ******; top-secret\n"


def test_handlers_that_a_step_has_made_serve_the_next_one(store: LocalArtifactStore) -> None:
    logger = logging.getLogger("made.in.a.step")
    with terminal() as shown:
        with capture(store, "one"):
            handler = logging.StreamHandler()
            logger.addHandler(handler)
            logger.warning("in one")
        logger.warning("between")
        with capture(store, "two"):
            logger.warning("in two")
        logger.removeHandler(handler)
    assert shown.getvalue() == "in one\nbetween\nin two\n"
    assert (log_of(store, "one"), log_of(store, "two")) == ("in one\n", "in two\n")


def test_what_a_step_redirects_goes_where_it_says(store: LocalArtifactStore) -> None:
    with terminal() as shown, capture(store):
        with contextlib.redirect_stdout(io.StringIO()) as own:
            print("mine")
        print("the step's")
    assert own.getvalue() == "mine\n"
    assert log_of(store) == shown.getvalue() == "the step's\n"


def test_a_closed_terminal_does_not_end_the_step(store: LocalArtifactStore) -> None:
    with terminal() as shown, capture(store):
        shown.close()
        print("nobody listens")
    assert log_of(store) == "nobody listens\n"


def test_a_forked_child_adds_to_the_log(store: LocalArtifactStore) -> None:
    with terminal(), capture(store):
        print("before", flush=True)
        child = multiprocessing.get_context("fork").Process(target=print, args=("in the child",))
        child.start()
        child.join()
        assert child.exitcode == 0
        print("after")
    assert sorted(log_of(store).splitlines()) == ["after", "before", "in the child"]


def test_a_process_of_the_steps_own_is_captured_whole(store: LocalArtifactStore, tmp_path: Path) -> None:
    program = """
import os, subprocess, sys
from zenml.artifact_stores import LocalArtifactStore
from zenml.engine.capture import Capture, own_process

store = LocalArtifactStore(name="local", path=sys.argv[1])
with own_process(prefixed=True):
    print("before")
    for name in ("one", "two"):
        with Capture(store, f"{store.path}/runs/run/{name}.1", name):
            print("printed by", name)
            sys.stdout.flush()
            os.write(2, b"written\\n")
            subprocess.run(["sh", "-c", "echo by a child; printf unfinished"], check=True)
    print("between")
"""
    done = subprocess.run(
        [sys.executable, "-c", program, store.path],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ,
    )
    for name in ("one", "two"):
        assert sorted(log_of(store, name).splitlines()) == sorted(
            [f"printed by {name}", "written", "by a child", "unfinished"]
        )
        assert f"[{name}] printed by {name}\n[{name}] by a child\n[{name}] unfinished\n" in done.stdout
        assert f"[{name}] written\n" in done.stderr
    assert done.stdout.startswith("before\n")
    assert done.stdout.endswith("between\n")
