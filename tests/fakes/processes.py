"""Commands that fakes of services run, each as a process of this machine in the place of a container."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_KEPT = ("PATH", "LANG", "TZ")


@dataclass
class Process:
    """A command: `python` is the interpreter of these tests, and the environment is that of a container, not the tests' own.

    `sources` is the folder of the project, which an image has as /app.
    """

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Path | None = None
    started: float = field(default_factory=time.time)
    stopped: bool = False

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True)
        assert self.command[0] == "python"
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
        environment |= {"HOME": str(self.folder), "PYTHONPATH": os.pathsep.join([f"{_ROOT}/src", str(_ROOT)])}
        with (self.folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, *self.command[1:]],
                cwd=self.folder,
                env={
                    **environment,
                    **self.environment,
                    "ZENML_SOURCE_ROOT": str(self.sources or self.folder),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def exit_code(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        if self.exit_code is None:
            self.stopped = True
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def lines(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()
