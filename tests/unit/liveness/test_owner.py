"""Whether a process still lives, as another one can tell."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from zenml.liveness import is_dead, this_process

LATER = time.time() + 1e6  # later than the last test of a long run
BEFORE = time.time() - 60


@pytest.fixture
def other():
    """A process that has told who it is, and waits."""
    code = "from zenml.liveness import this_process; import sys; print(this_process().started, flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        owner = replace(this_process(), pid=process.pid, started=float(process.stdout.readline()))
        yield process, owner
        process.kill()


def test_this_process_lives_whatever_its_lease_says():
    assert not is_dead(this_process(), BEFORE, time.time())
    assert this_process() == this_process()


def test_a_process_is_dead_when_it_is_killed_although_nobody_has_collected_it(other):
    process, owner = other
    assert not is_dead(owner, BEFORE, time.time())
    process.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # a zombie
    assert is_dead(owner, LATER, time.time())
    process.wait()
    assert is_dead(owner, LATER, time.time())


def test_a_stopped_process_lives(other):
    process, owner = other
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
    assert not is_dead(owner, BEFORE, time.time())


def test_another_process_of_the_same_number_is_not_taken_for_it():
    here = this_process()
    assert is_dead(replace(here, started=here.started - 0.01), LATER, time.time())


def test_the_clock_may_be_set_without_killing_anybody(monkeypatch):
    owner = this_process()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert not is_dead(owner, BEFORE, 0.0)
    assert not is_dead(owner, BEFORE, 1e12)


@pytest.mark.parametrize("change", [{"boot_id": "another"}, {"pid_namespace": "pid:[1]"}, {"kind": "engine"}])
def test_of_a_process_that_cannot_be_seen_the_lease_tells(change):
    owner = replace(this_process(), started=1.0, **change)
    assert not is_dead(owner, LATER, time.time())
    assert is_dead(owner, BEFORE, time.time())


def test_without_an_owner_or_a_lease():
    assert is_dead(None, None, time.time())
    assert not is_dead(None, LATER, time.time())


def test_a_forked_child_is_somebody_else():
    parent = this_process()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, b"1" if this_process() != parent else b"0")
        os._exit(0)
    assert os.read(read, 1) == b"1"
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
