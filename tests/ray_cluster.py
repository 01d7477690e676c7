"""Ray nodes on loopback addresses of their own, as processes that end together."""

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tests.services import free_port

START_SECONDS = 90
PROGRAM = Path(sys.executable).parent / "ray"


class RayNode:
    """What `ray start --block` starts: a session of processes."""

    def __init__(self, address: str, log: Path, *arguments: str) -> None:
        self.address = address
        self._log = log
        command = [
            str(PROGRAM),
            "start",
            "--block",
            f"--node-ip-address={address}",
            "--disable-usage-stats",
            "--object-store-memory=80000000",
            f"--dashboard-agent-listen-port={free_port()}",
            "--min-worker-port=0",
            "--max-worker-port=0",
            *arguments,
        ]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                command,
                stdout=file,
                stderr=file,
                env={
                    **os.environ,
                    "RAY_raylet_start_wait_time_s": str(START_SECONDS),
                    "GRPC_ENABLE_FORK_SUPPORT": "0",  # with it, a server of one client in five crashes
                },
                start_new_session=True,
            )

    def wait(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while "Ray runtime started" not in self._log.read_text():
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < deadline, self._log.read_text()
            time.sleep(0.05)

    def kill(self) -> None:
        """As when the machine loses its power."""
        processes = [psutil.Process(self.process.pid)] if self.process.poll() is None else []
        with suppress(psutil.NoSuchProcess):
            processes += processes[0].children(recursive=True) if processes else []
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
        self.process.wait()

    def holds(self, pid: int) -> bool:
        """Whether a process is one of this node's."""
        return self.process.pid in [parent.pid for parent in psutil.Process(pid).parents()]


class RayCluster:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Other tests may have clusters at the same time.
        self._net = f"127.{secrets.randbelow(200) + 20}.{secrets.randbelow(200) + 20}"
        port, self.client_port = free_port(), free_port()
        self.address = f"{self._net}.2:{port}"
        self.client_address = f"ray://{self._net}.2:{self.client_port}"
        self.head = RayNode(
            f"{self._net}.2",
            folder / "head.log",
            "--head",
            "--num-cpus=1",
            f"--port={port}",
            f"--ray-client-server-port={self.client_port}",
            "--include-dashboard=false",
            f"--dashboard-port={free_port()}",
            f"--temp-dir={folder / 'ray'}",
        )
        self.nodes = [self.head]
        self._count = 2

    def add_node(self, *arguments: str) -> RayNode:
        self._count += 1
        number = self._count
        log = self._folder / f"node-{number}.log"
        node = RayNode(f"{self._net}.{number}", log, f"--address={self.address}", "--num-cpus=1", *arguments)
        self.nodes.append(node)
        return node

    def kill(self, node: RayNode) -> None:
        self.nodes.remove(node)
        node.kill()

    def stop(self) -> None:
        for node in reversed(self.nodes):
            node.kill()


@contextmanager
def ray_cluster(*arguments: str) -> Iterator[RayCluster]:
    """Two nodes with one core each; the second one is started with these arguments, too."""
    # The names of Ray's sockets must be short.
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        cluster = RayCluster(Path(folder))
        try:
            cluster.head.wait()
            cluster.add_node(*arguments).wait()
            yield cluster
        finally:
            cluster.stop()
