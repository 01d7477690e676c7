"""A cluster on this machine that goes on when the run that it was started for ends."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import ClassVar

from zenml.exceptions import ProvisioningError
from zenml.integrations.ray.driver import CONNECT, new_token, settings
from zenml.integrations.ray.place import clear_place, new_place
from zenml.services import LocalDaemonService, LocalDaemonServiceConfig, ServiceType
from zenml.storage.files import replace

_END = 20.0
"""Seconds within which all processes of the cluster end."""


class RayHeadConfig(LocalDaemonServiceConfig):
    """How large the cluster is."""

    cpus: int


class RayHead(LocalDaemonService):
    """A Ray cluster of one node: a process, and those of Ray, which end with it."""

    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="cluster", flavor="ray")

    config: RayHeadConfig

    @classmethod
    def at(cls, folder: str, *, cpus: int) -> RayHead:
        """The one whose files lie in that folder, or are going to."""
        if cls.is_in(folder):
            return cls.load(folder)
        return cls(config=RayHeadConfig(name="ray", root_runtime_path=folder, singleton=True, cpus=cpus))

    @staticmethod
    def is_in(folder: str) -> bool:
        """Whether there is one."""
        return (Path(folder) / "service.json").exists()

    @property
    def address(self) -> str | None:
        """Where it takes connections; None if it does not run."""
        if self.status.process() is None or self.status.runtime_path is None:
            return None
        file = Path(self.status.runtime_path) / "address"
        return file.read_text(encoding="utf-8") if file.exists() else None

    @property
    def token(self) -> str:
        """The file with the word that it wants to hear."""
        return str(Path(self.status.runtime_path or "") / "token")

    def bring_up(self) -> None:
        """Start it, unless it runs, and wait until it takes connections.

        Raises:
            ProvisioningError: it does not start; the message shows the last lines of its log.
        """
        self.start()
        limit = time.monotonic() + CONNECT
        while self.address is None:
            if self.status.process() is None or time.monotonic() > limit:
                lines = "".join(f"\n  {line}" for line in self.get_logs(tail=20))
                raise ProvisioningError(f"The Ray cluster on this machine has not started.{lines}")
            time.sleep(0.1)

    def bring_down(self) -> None:
        """End it, and wait until it has. Raises ProvisioningError."""
        self.stop(_END)
        self._clear()

    def run(self) -> None:
        """Start the cluster, and wait for the end."""
        assert self.status.runtime_path is not None  # noqa: S101 - it is started from there
        folder = Path(self.status.runtime_path)
        (folder / "address").unlink(missing_ok=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        os.environ.update(settings(new_token(folder)))
        import ray  # with these settings

        from zenml.integrations.ray.cluster import own_cluster

        self._clear()  # one that was killed has left its files
        place = new_place()
        replace(folder / "place", place)
        try:
            ray.init(address="local", _temp_dir=place, log_to_driver=False, **own_cluster(self.config.cpus))
            signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray has one of its own
            replace(folder / "address", ray.get_runtime_context().gcs_address)
            while True:
                signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            (folder / "address").unlink(missing_ok=True)
            ray.shutdown()

    def _clear(self) -> None:
        """Remove the files that a cluster which has ended has left."""
        file = Path(self.status.runtime_path or "") / "place"
        if file.exists():
            clear_place(file.read_text(encoding="utf-8"))
            file.unlink()
