# ruff: noqa: T201 - what a service prints is in its log
"""Services for the tests: their processes import them from here."""

import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

from zenml.services import LocalDaemonService, LocalDaemonServiceConfig, ServiceType


class Sleeper(LocalDaemonService):
    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="sleeper", flavor="test")

    def run(self) -> None:
        print(f"sleeping as {self.config.name}")
        time.sleep(60)


class StubbornConfig(LocalDaemonServiceConfig):
    children_file: str


class Stubborn(LocalDaemonService):
    """Ends at SIGTERM, but has a child that does not."""

    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="stubborn", flavor="test")
    config: StubbornConfig

    def run(self) -> None:
        code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
        child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        Path(self.config.children_file).write_text(str(child.pid), encoding="utf-8")
        time.sleep(60)


class Deaf(LocalDaemonService):
    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="deaf", flavor="test")

    def run(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("deaf")
        time.sleep(60)


class Broken(LocalDaemonService):
    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="broken", flavor="test")

    def run(self) -> None:
        raise OSError("there is no model here")


class Chatty(LocalDaemonService):
    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="chatty", flavor="test")

    def run(self) -> None:
        for number in range(5):
            print(f"line {number}")
            time.sleep(0.05)


class Web(LocalDaemonService):
    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="web", flavor="test")

    def run(self) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if self.path == "/fine" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        assert self.endpoint is not None
        assert self.endpoint.status.port is not None
        print("pid", os.getpid())
        HTTPServer(("127.0.0.1", self.endpoint.status.port), Handler).serve_forever()
