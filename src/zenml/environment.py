"""What surrounds the code that is running: the step, and the machine."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.context import running_step

if TYPE_CHECKING:
    from zenml.context import RunningStep


def is_this_machine(host: str | None) -> bool:
    """Whether a host's name or address is this machine's loopback: what listens there is here, unless a tunnel leads elsewhere."""
    import ipaddress  # few processes ask

    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


class Environment:
    """Facts about where this code runs, found out at each use."""

    @property
    def step_is_running(self) -> bool:
        """Whether this code is part of a running step."""
        return running_step() is not None

    @property
    def step_environment(self) -> RunningStep:
        """The running step: `pipeline_name`, `run_name`, `step_name`. Raises KeyError outside of one."""
        step = running_step()
        if step is None:
            raise KeyError("No step is running: the step environment exists inside of steps only.")
        return step

    @staticmethod
    def in_docker() -> bool:
        """Whether this is a Docker container."""
        return Path("/.dockerenv").exists()

    @staticmethod
    def in_notebook() -> bool:
        """Whether this is a Jupyter kernel."""
        ipython = sys.modules.get("IPython")
        return ipython is not None and type(ipython.get_ipython()).__name__ == "ZMQInteractiveShell"

    @staticmethod
    def in_google_colab() -> bool:
        """Whether this is a notebook of Google Colab."""
        return "google.colab" in sys.modules

    @staticmethod
    def in_paperspace_gradient() -> bool:
        """Whether this is a machine of Paperspace Gradient."""
        return "PAPERSPACE_NOTEBOOK_REPO_ID" in os.environ

    @staticmethod
    def python_version() -> str:
        """The version of Python, as in "3.11.7"."""
        return platform.python_version()

    @staticmethod
    def get_system_info() -> dict[str, Any]:
        """Name and version of the operating system."""
        return {"os": platform.system().lower(), "release": platform.release(), "machine": platform.machine()}
