"""A real Airflow on loopback, in a folder of its own: scheduler, processor of DAGs and API, as `airflow standalone` starts them."""

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.request import urlopen

from tests.services import ServiceMissingError, free_port

START_SECONDS = 240
STOP_SECONDS = 5


@dataclass(frozen=True)
class Airflow:
    url: str
    dags_folder: str
    password: str
    environment: dict[str, str]
    """For Airflow's own commands."""


@contextmanager
def airflow_server(folder: Path, **variables: str) -> Iterator[Airflow]:
    """Raises ServiceMissingError where Airflow is not installed. It lets in the user ann, with the password; tasks see the variables."""
    if find_spec("airflow") is None:  # not imported: it would take over logging
        raise ServiceMissingError("no package 'airflow': install the dependency group engines")
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    (folder / "dags").mkdir(parents=True)
    password = secrets.token_hex(8)
    (folder / "passwords.json").write_text(json.dumps({"ann": password}))
    settings = {
        "AIRFLOW_HOME": str(folder),
        "AIRFLOW__CORE__DAGS_FOLDER": str(folder / "dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ann:admin",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(folder / "passwords.json"),
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": url,
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "1",
        "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_HOST": "127.0.0.1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    environment = {**os.environ, **settings, "PATH": path, **variables}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "airflow", "standalone"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            cwd=folder,
            start_new_session=True,
        )
    try:
        _await(url, process, folder / "log.txt")
        yield Airflow(url, str(folder / "dags"), password, environment)
    finally:
        _stop(process)


def _await(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    health_url = f"{url}/api/v2/monitor/health"
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, ValueError), urlopen(health_url, timeout=5) as answer:  # noqa: S310
            health = json.load(answer)
            if all(health[part]["status"] == "healthy" for part in ("scheduler", "dag_processor")):
                return
        time.sleep(0.2)
    raise AssertionError(f"Airflow did not start:\n{log.read_text()[-4000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End it with all that it has started, which is in its session, but not all in its process group."""
    import psutil

    with suppress(psutil.NoSuchProcess):
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        for action in (psutil.Process.terminate, psutil.Process.kill):
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    action(one)
            psutil.wait_procs(family, STOP_SECONDS)
    process.wait()
