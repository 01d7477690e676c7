"""A disk that is full, at every write of a whole run in turn."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.amount import FULL
from tests.reliability.checks import assert_sound, is_settled, within
from tests.reliability.programs import EXPECTED_FEW
from tests.reliability.zygote import zygote
from zenml.enums import ExecutionStatus
from zenml.testing import isolated_stack, last_run

PAGE = 4096
STEP = 1 if FULL else 4  # pages: what a write takes at least is one


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def leave(pages: int, disk: Path) -> None:
    """Fill the disk but for this many pages."""
    with (disk / "filler").open("ab") as file:
        free = os.statvfs(disk).f_bavail
        file.write(bytes(max(free - pages, 0) * PAGE))


@pytest.mark.timeout(600)
def test_a_run_that_finds_no_room_at_any_of_its_writes(disk: Path, tmp_path: Path) -> None:
    outcomes = []
    with zygote() as processes:
        for pages in range(0, 4000, STEP):
            log = tmp_path / f"log_{pages}"
            with isolated_stack(disk / "world") as stack:
                leave(pages, disk)
                code = processes.start("tests.reliability.programs:run_few", log, name="first").wait()
                outcomes.append(code)
                (disk / "filler").unlink()
                store = stack.metadata_store
                within(1, lambda store=store: is_settled(store, "first"))
                assert_sound(stack)
                run = store.run_by_name("first")
                if code == 0:
                    assert run is not None
                    assert run.status is ExecutionStatus.COMPLETED
                else:
                    told = log.read_text()
                    assert "No space left on device" in told or "room left on the disk" in told, told
                    assert run is None or run.status is not ExecutionStatus.COMPLETED
                # There is room again.
                again = processes.start("tests.reliability.programs:run_few", log, name="second")
                assert again.wait() == 0, log.read_text()
                values = {step.name: step.output.read() for step in last_run().steps}
                assert values == EXPECTED_FEW
                assert_sound(stack)
            shutil.rmtree(disk / "world")
            if code == 0:
                break
    assert outcomes[-1] == 0
    assert len(outcomes) > 10, "what does not fail shows nothing"
