"""A Dask scheduler and workers on loopback, as processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.services import accepts_connections, free_port

START_SECONDS = 60


class DaskCluster:
    def __init__(self, folder: Path) -> None:
        self.address = f"tcp://127.0.0.1:{free_port()}"
        self._folder = folder
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", self.address.rpartition(":")[2], "--no-dashboard"
        )
        self.workers: list[subprocess.Popen[bytes]] = []

    def add_worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A worker with one thread, in one process: when that is killed, nobody starts it again."""
        number = len(self.workers)
        started = [
            "--host",
            "127.0.0.1",
            "--nthreads",
            "1",
            "--no-nanny",
            "--no-dashboard",
            "--name",
            f"worker-{number}",
        ]
        self.workers.append(self._start("worker", self.address, *started, *arguments))
        return self.workers[-1]

    def worker_of(self, pid: int) -> subprocess.Popen[bytes]:
        """The worker that has started a process, or whose process has."""
        parents = [parent.pid for parent in psutil.Process(pid).parents()]
        return next(worker for worker in self.workers if worker.pid in parents)

    def wait(self, workers: int) -> None:
        """Return when so many workers are there."""
        from distributed import Client

        deadline = time.monotonic() + START_SECONDS
        while not accepts_connections(int(self.address.rpartition(":")[2])):
            assert time.monotonic() < deadline, self.log
            assert self.scheduler.poll() is None, self.log
            time.sleep(0.05)
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=START_SECONDS)

    def stop(self) -> None:
        for process in (*self.workers, self.scheduler):
            with_group = os.getpgid(process.pid) if process.poll() is None else None
            if with_group is not None:
                os.killpg(with_group, signal.SIGKILL)
            process.wait()

    @property
    def log(self) -> str:
        return (self._folder / "dask.log").read_text()

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._folder / "dask.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                start_new_session=True,
            )


@contextmanager
def dask_cluster(folder: Path, workers: int) -> Iterator[DaskCluster]:
    cluster = DaskCluster(folder)
    try:
        for _ in range(workers):
            cluster.add_worker("--resources", "CPU=1 MEMORY=1e9")
        cluster.wait(workers)
        yield cluster
    finally:
        cluster.stop()
