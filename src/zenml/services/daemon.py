"""Services that are processes of this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from abc import abstractmethod
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, SerializeAsAny

from zenml.exceptions import ConfigurationError, ProvisioningError, UnreadableFileError
from zenml.services.endpoint import LocalDaemonServiceEndpoint  # noqa: TC001 - the type of a field, evaluated at run time
from zenml.services.service import BaseService, ServiceConfig
from zenml.services.status import ServiceState, ServiceStatus
from zenml.storage.files import locked, make_folder, replace

if TYPE_CHECKING:
    import psutil
    from typing_extensions import Self

_SERVICE_FILE = "service.json"
_PROCESS_FILE = "process.json"
_LOG_FILE = "service.log"
_LOCK = "lock"
_LAUNCH = 60.0
_KILLED = 5.0
"""Seconds within which the system has removed processes that were killed."""

_FOLLOW = 0.1
# The time of a process's start is computed from that of the boot, which moves a little with the clock.
_TOLERANCE = 2.0


class LocalDaemonServiceConfig(ServiceConfig):
    """How the process is started.

    Its files lie in a folder named by the service's uuid below `root_runtime_path`, in that folder itself if `singleton`, else in
    a temporary one. With `silent_daemon` it has no log.
    """

    silent_daemon: bool = False
    root_runtime_path: str | None = None
    singleton: bool = False


class LocalDaemonServiceStatus(ServiceStatus):
    """Where the files of the process lie. They outlive the process that started it."""

    runtime_path: str | None = None
    silent_daemon: bool = False

    @property
    def config_file(self) -> str | None:
        """The service itself, as JSON."""
        return self._file(_SERVICE_FILE)

    @property
    def log_file(self) -> str | None:
        """What the process writes to standard output and error."""
        return None if self.silent_daemon else self._file(_LOG_FILE)

    @property
    def pid_file(self) -> str | None:
        """Number and time of start of the process, as JSON."""
        return self._file(_PROCESS_FILE)

    @property
    def pid(self) -> int | None:
        """The number of the process if it runs; another process that got its number since is not taken for it."""
        found = self.process()
        return found.pid if found is not None else None

    def process(self) -> psutil.Process | None:
        """The process, if it runs."""
        import psutil

        if self.pid_file is None:
            return None
        try:
            recorded = json.loads(Path(self.pid_file).read_bytes())
            process = psutil.Process(recorded["pid"])
            same = abs(process.create_time() - recorded["started"]) < _TOLERANCE
        except (FileNotFoundError, ValueError, KeyError, psutil.NoSuchProcess):
            return None
        return process if same and _lives(process) else None

    def _file(self, name: str) -> str | None:
        return str(Path(self.runtime_path) / name) if self.runtime_path else None


class LocalDaemonService(BaseService):
    """A process of this machine that goes on when the one that started it ends.

    The smallest one sleeps; whatever `run` writes to standard output is in its log, and SIGTERM ends it:

        class Sleeper(LocalDaemonService):
            SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="sleeper", flavor="local")
            def run(self):
                time.sleep(3600)

    The class must be importable: the process imports it anew, with this process's `sys.path`. If it has an endpoint, `run` binds
    `self.endpoint.status.port`, which is chosen before the start; without one, it counts as active as soon as its process lives.
    """

    config: SerializeAsAny[LocalDaemonServiceConfig] = Field(default_factory=LocalDaemonServiceConfig)
    status: SerializeAsAny[LocalDaemonServiceStatus] = Field(default_factory=LocalDaemonServiceStatus)
    endpoint: SerializeAsAny[LocalDaemonServiceEndpoint] | None = None

    @abstractmethod
    def run(self) -> None:
        """What the process does, until it ends."""

    @classmethod
    def load(cls, runtime_path: str) -> Self:
        """The service whose files lie in that folder.

        Raises:
            UnreadableFileError: there is no such file, or it is not that of a service of this class or one below it.
        """
        path = Path(runtime_path) / _SERVICE_FILE
        try:
            return cls.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ConfigurationError) as error:
            raise UnreadableFileError(f"The service in {str(path)!r} cannot be read: {error}") from error

    def save(self) -> None:
        """Write the service into its folder, which is made if it has none."""
        path = self._runtime_path() / _SERVICE_FILE
        replace(path, self.to_json(), mode=0o600)

    def check_status(self) -> tuple[ServiceState, str]:
        """Whether the process runs."""
        if self.status.process() is not None:
            return ServiceState.ACTIVE, ""
        if self.admin_state is ServiceState.ACTIVE:
            return ServiceState.ERROR, "its process has ended"
        return ServiceState.INACTIVE, ""

    def provision(self) -> None:
        """Start the process, unless it runs."""
        if type(self).__module__ == "__main__" or "<locals>" in type(self).__qualname__:
            raise ProvisioningError(
                f"{self} cannot be started: its process cannot import the class {type(self).__qualname__!r} from "
                f"{type(self).__module__!r}. Define the class at the top of a module, and import it from there."
            )
        runtime_path = self._runtime_path()
        with locked(runtime_path / _LOCK):
            if self.status.process() is not None:
                self.save()
                return
            if self.endpoint is not None:
                self.endpoint.prepare_for_start()
                self.endpoint.admin_state = ServiceState.ACTIVE
            self.status.clear_error()
            self.status.silent_daemon = self.config.silent_daemon
            self.save()
            self._launch(runtime_path)

    def deprovision(self, force: bool = False) -> None:
        """Send SIGTERM to the process and all of its group; with `force`, SIGKILL."""
        if self.status.runtime_path is None or not Path(self.status.runtime_path).is_dir():
            return
        with locked(Path(self.status.runtime_path) / _LOCK):
            if self.endpoint is not None:
                self.endpoint.admin_state = ServiceState.INACTIVE
            self.save()
            process = self.status.process()
            if process is not None:
                _signal_group(process, signal.SIGKILL if force else signal.SIGTERM)

    def stop(self, timeout: float = 0, force: bool = False) -> None:
        """As the base says; processes of the daemon's group that have not ended with it are ended by force."""
        members = _group(self.status.process()) if timeout > 0 else []
        super().stop(timeout, force)
        for member in members:
            if _lives(member):
                member.kill()
        # Killed is not yet gone: until then, a port that it listened on is taken.
        deadline = time.monotonic() + _KILLED
        while any(map(_lives, members)) and time.monotonic() < deadline:
            time.sleep(0.005)

    def get_logs(self, follow: bool = False, tail: int | None = None) -> Iterator[str]:
        """The lines of the log."""
        path = self.status.log_file
        if path is None or not Path(path).exists():
            return
        with Path(path).open(encoding="utf-8", errors="replace") as file:
            lines: Iterator[str] = file if tail is None else iter(deque(file, maxlen=max(tail, 0)))
            yield from (line.rstrip("\n") for line in lines)
            rest = ""
            while follow:
                alive = self.status.process() is not None
                for line in file:
                    rest += line
                    if rest.endswith("\n"):
                        yield rest.rstrip("\n")
                        rest = ""
                if not alive:
                    break
                time.sleep(_FOLLOW)
            if rest:
                yield rest

    def _runtime_path(self) -> Path:
        if self.status.runtime_path is None:
            root = self.config.root_runtime_path
            if root is None:
                self.status.runtime_path = tempfile.mkdtemp(prefix="zenml-service-")
            else:
                folder = Path(root).expanduser().absolute()
                self.status.runtime_path = str(folder if self.config.singleton else folder / str(self.uuid))
        path = Path(self.status.runtime_path)
        make_folder(path.parent)
        path.mkdir(mode=0o700, exist_ok=True)  # a folder that somebody else has made keeps its rights
        return path

    def _launch(self, runtime_path: Path) -> None:
        descriptor = os.open(
            os.devnull if self.status.silent_daemon else runtime_path / _LOG_FILE,
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            0o600,
        )
        path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
        try:
            # The launcher forks the daemon and ends, so that no process here has to wait for it.
            ended = subprocess.run(
                [sys.executable, "-m", "zenml.services.daemon_entrypoint", str(runtime_path)],
                stdin=subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
                timeout=_LAUNCH,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ProvisioningError(f"{self} cannot be started: {error}") from error
        finally:
            os.close(descriptor)
        if ended.returncode:
            raise ProvisioningError(
                f"{self} cannot be started: its launcher ended with the exit code {ended.returncode}."
                + self._log_end()
            )


def record_process(runtime_path: str, pid: int) -> None:
    """Note in a service's folder which process it is."""
    import psutil

    started = psutil.Process(pid).create_time()
    replace(Path(runtime_path) / _PROCESS_FILE, json.dumps({"pid": pid, "started": started}), mode=0o600)


def _lives(process: psutil.Process) -> bool:
    import psutil

    try:
        # The first thread may be gone before the others.
        return process.is_running() and (
            process.status() != psutil.STATUS_ZOMBIE or process.num_threads() > 1
        )
    except psutil.NoSuchProcess:
        return False


def _group(leader: psutil.Process | None) -> list[psutil.Process]:
    """The processes of the group that `leader` leads. Each knows when it started: another one of its number is not it."""
    import psutil

    members = []
    for process in psutil.process_iter() if leader is not None else ():
        with contextlib.suppress(ProcessLookupError):
            if leader is not None and os.getpgid(process.pid) == leader.pid:
                members.append(process)
    return members


def _signal_group(leader: psutil.Process, number: signal.Signals) -> None:
    """Send a signal to the group that `leader`, which lives, leads."""
    with contextlib.suppress(ProcessLookupError):
        if os.getpgid(leader.pid) == leader.pid:
            os.killpg(leader.pid, number)
        else:
            leader.send_signal(number)
