"""A standalone Spark cluster for tests: a master and a worker of two cores; kept and ended as `tests/services.py` does with its servers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # where this is run as a program

from tests import services
from tests.services import STOP_SECONDS, DatabaseServer, ServiceFailedError, ServiceMissingError, free_port

START_SECONDS = 180


class SparkServer(DatabaseServer):
    name = "spark"
    package = "openjdk-17-jre-headless"

    @property
    def url(self) -> str:
        return f"spark://127.0.0.1:{self.port}"

    def find_programs(self) -> None:
        self.program("java")
        found = importlib.util.find_spec("pyspark")
        if found is None or found.origin is None:
            raise ServiceMissingError("no pyspark: install the group `engines`")
        self._home = Path(found.origin).parent

    def initialize(self) -> None:
        """Nothing: it begins empty."""

    def command(self) -> list[str]:
        """The master."""
        ports = ["--port", str(self.port), "--webui-port", str(free_port())]
        return self._spark("master.Master", "--host", "127.0.0.1", *ports)

    def start(self) -> None:
        self.find_programs()
        self.directory.mkdir(mode=0o700)
        self.port = free_port()
        ports = ["--port", str(free_port()), "--webui-port", str(free_port())]
        room = ["--cores", "2", "--memory", "2g", "--work-dir", str(self.directory / "work")]
        self.processes = [
            self._start(self.command()),
            self._start(self._spark("worker.Worker", self.url, "--host", "127.0.0.1", *ports, *room)),
        ]
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if time.monotonic() > deadline or any(process.poll() is not None for process in self.processes):
                raise ServiceFailedError(f"Spark did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.1)

    def answers(self) -> bool:
        return "Successfully registered with master" in self.log.read_text()

    def stop(self) -> None:
        for process in getattr(self, "processes", ()):
            process.terminate()
        for process in getattr(self, "processes", ()):
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.directory, ignore_errors=True)

    def _spark(self, program: str, *arguments: str) -> list[str]:
        return [str(self._home / "bin" / "spark-class"), f"org.apache.spark.deploy.{program}", *arguments]

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "HOME": str(self.directory),
            "SPARK_HOME": str(self._home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_DAEMON_MEMORY": "256m",
        }
        with self.log.open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                env=environment,
                start_new_session=True,
            )


services.SERVERS["spark"] = SparkServer


if __name__ == "__main__":
    services.keep(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
