"""Long-running processes: started, asked, stopped, found again."""

import json
import os
import shutil
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from tests.unit.services.daemons import Broken, Chatty, Deaf, Sleeper, Stubborn, StubbornConfig, Web
from zenml.exceptions import ConfigurationError, InterfaceError, ProvisioningError, UnreadableFileError
from zenml.services import (
    BaseService,
    HTTPEndpointHealthMonitor,
    HTTPEndpointHealthMonitorConfig,
    LocalDaemonService,
    LocalDaemonServiceConfig,
    LocalDaemonServiceEndpoint,
    LocalDaemonServiceEndpointConfig,
    ServiceConfig,
    ServiceEndpointProtocol,
    ServiceState,
    ServiceType,
    TCPEndpointHealthMonitor,
)


@pytest.fixture
def config(tmp_path: Path) -> Iterator[LocalDaemonServiceConfig]:
    """Services live in tmp_path; what a test leaves running is ended."""
    yield LocalDaemonServiceConfig(name="tester", root_runtime_path=str(tmp_path / "services"))
    for file in (tmp_path / "services").glob("*/service.json"):
        LocalDaemonService.load(str(file.parent)).stop(timeout=5, force=True)


def web(config: LocalDaemonServiceConfig, path: str = "fine", port: int | None = None, **more: bool) -> Web:
    return Web(
        config=config,
        endpoint=LocalDaemonServiceEndpoint(
            config=LocalDaemonServiceEndpointConfig(
                name="web", protocol=ServiceEndpointProtocol.HTTP, port=port, **more
            ),
            monitor=HTTPEndpointHealthMonitor(
                config=HTTPEndpointHealthMonitorConfig(healthcheck_uri_path=path)
            ),
        ),
    )


def test_a_service_is_started_found_again_by_another_process_and_stopped(
    config: LocalDaemonServiceConfig,
) -> None:
    service = web(config)
    assert service.is_stopped
    service.start(timeout=20)
    assert service.is_running
    assert service.status.pid not in (None, os.getpid())

    found = LocalDaemonService.load(str(service.status.runtime_path))
    assert isinstance(found, Web)
    assert found.uuid == service.uuid
    assert found.status.pid == service.status.pid
    assert found.endpoint is not None
    assert found.endpoint.is_active()

    found.stop(timeout=10)
    assert service.status.pid is None
    assert LocalDaemonService.load(str(service.status.runtime_path)).is_stopped


def test_it_survives_the_process_that_started_it(config: LocalDaemonServiceConfig, tmp_path: Path) -> None:
    code = (
        "from tests.unit.services.daemons import Sleeper; from zenml.services import LocalDaemonServiceConfig\n"
        f"service = Sleeper(config=LocalDaemonServiceConfig(root_runtime_path={config.root_runtime_path!r}))\n"
        "service.start(timeout=20); print(service.status.runtime_path)"
    )
    root = Path(__file__).parents[3]
    ran = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert LocalDaemonService.load(ran.stdout.strip()).is_running


def test_its_files_are_the_users_alone(config: LocalDaemonServiceConfig) -> None:
    service = Sleeper(config=config)
    service.start(timeout=20)
    folder = Path(str(service.status.runtime_path))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {
        stat.S_IMODE((folder / name).stat().st_mode)
        for name in ("service.json", "process.json", "service.log")
    } == {0o600}
    assert {file.name for file in folder.iterdir()} == {
        "lock",
        "process.json",
        "service.json",
        "service.log",
    }


def test_a_singleton_lives_in_the_given_folder_itself_whose_rights_are_kept(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    config = LocalDaemonServiceConfig(root_runtime_path=str(tmp_path), singleton=True)
    service = Sleeper(config=config)
    service.start(timeout=20)
    assert LocalDaemonService.load(str(tmp_path)).is_running
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    service.stop(timeout=10)
    again = Sleeper(config=LocalDaemonServiceConfig())
    again.start(timeout=20)
    again.stop(timeout=10)
    assert Path(str(again.status.runtime_path)).name.startswith("zenml-service-")
    shutil.rmtree(str(again.status.runtime_path))


def test_a_start_that_fails_shows_the_end_of_the_log(config: LocalDaemonServiceConfig) -> None:
    service = Broken(config=config, endpoint=LocalDaemonServiceEndpoint(monitor=TCPEndpointHealthMonitor()))
    with pytest.raises(ProvisioningError) as caught:
        service.start(timeout=20)
    assert "The service 'tester' (Broken) did not start: its process has ended." in str(caught.value)
    assert "OSError: there is no model here" in str(caught.value)
    assert service.is_failed


def test_an_answer_that_does_not_come_in_time_is_reported_with_the_reason(
    config: LocalDaemonServiceConfig,
) -> None:
    service = web(config, path="nothing-here")
    with pytest.raises(
        ProvisioningError, match=r"did not answer within 2 seconds: .*answers with 404 instead of 200"
    ):
        service.start(timeout=2)
    assert service.status.state is ServiceState.PENDING_STARTUP


def test_starting_twice_starts_one_process(config: LocalDaemonServiceConfig) -> None:
    service = Sleeper(config=config)
    service.start(timeout=20)
    pid = service.status.pid
    service.start(timeout=20)
    assert service.status.pid == pid


def test_a_number_that_another_process_has_got_is_left_alone(config: LocalDaemonServiceConfig) -> None:
    service = Sleeper(config=config)
    service.start(timeout=20)
    service.stop(timeout=10)
    innocent = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True
    )
    try:
        # As if the number had been given out again: the process is another one, started at another time.
        started = psutil.Process(innocent.pid).create_time() - 3600
        Path(str(service.status.pid_file)).write_text(json.dumps({"pid": innocent.pid, "started": started}))
        assert service.status.pid is None
        assert service.is_stopped
        service.stop(timeout=1, force=True)
        assert innocent.poll() is None
    finally:
        innocent.communicate(b"\n")


def test_the_whole_group_ends(config: LocalDaemonServiceConfig, tmp_path: Path) -> None:
    children = tmp_path / "children"
    service = Stubborn(
        config=StubbornConfig(root_runtime_path=config.root_runtime_path, children_file=str(children))
    )
    service.start(timeout=20)
    while not children.exists() or not children.read_text():
        time.sleep(0.05)
    child = psutil.Process(int(children.read_text()))
    service.stop(timeout=10)
    deadline = time.monotonic() + 10
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_process_that_does_not_end_is_killed_after_the_timeout(config: LocalDaemonServiceConfig) -> None:
    service = Deaf(config=config)
    service.start(timeout=20)
    while "deaf" not in service.get_logs():
        time.sleep(0.05)
    service.stop(timeout=0.5)
    assert service.is_stopped


def test_the_log_is_read_from_its_end_and_followed(config: LocalDaemonServiceConfig) -> None:
    service = Chatty(config=config)
    service.start()
    assert list(service.get_logs(follow=True)) == [f"line {number}" for number in range(5)]
    assert list(service.get_logs(tail=2)) == ["line 3", "line 4"]
    assert list(service.get_logs(tail=0)) == []


def test_a_silent_daemon_has_no_log_and_can_be_stopped(config: LocalDaemonServiceConfig) -> None:
    service = Sleeper(config=config.model_copy(update={"silent_daemon": True}))
    service.start(timeout=20)
    assert service.status.log_file is None
    assert list(service.get_logs()) == []
    service.stop(timeout=10)
    assert service.is_stopped


def test_a_taken_port_is_replaced_unless_that_is_forbidden(config: LocalDaemonServiceConfig) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        service = web(config, port=port)
        service.start(timeout=20)
        assert service.endpoint is not None
        assert service.endpoint.status.port not in (None, port)
        with pytest.raises(
            ProvisioningError, match=rf"the port {port} is taken, and `allocate_port` is false"
        ):
            web(config, port=port, allocate_port=False).start(timeout=20)


def test_a_tcp_monitor_sees_whether_anybody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = LocalDaemonServiceEndpoint(monitor=TCPEndpointHealthMonitor())
        assert endpoint.check_status() == (ServiceState.ERROR, "the endpoint has no address")
        endpoint.status.hostname, endpoint.status.port = server.getsockname()
        assert endpoint.is_active()
    assert endpoint.is_inactive()
    assert "takes no connection" in endpoint.status.last_error


def test_two_processes_that_start_one_service_start_it_once(config: LocalDaemonServiceConfig) -> None:
    service = Sleeper(config=config)
    service.save()
    copies = [LocalDaemonService.load(str(service.status.runtime_path)) for _ in range(4)]
    threads = [threading.Thread(target=copy.start) for copy in copies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({copy.status.pid for copy in copies}) == 1
    log = list(copies[0].get_logs())
    assert len(log) <= 1


# Classes in JSON


def test_json_names_classes_and_gives_them_back(config: LocalDaemonServiceConfig) -> None:
    service = web(config)
    copy = BaseService.from_json(service.to_json())
    assert type(copy) is Web
    assert copy == service
    assert type(copy.config) is LocalDaemonServiceConfig
    assert copy.endpoint is not None
    assert type(copy.endpoint.monitor) is HTTPEndpointHealthMonitor
    assert service.to_dict()["type"] == "tests.unit.services.daemons.Web"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("subprocess.Popen", "'subprocess.Popen' is no subclass of zenml.services.service.BaseService"),
        ("zenml.services.ServiceConfig", "is no subclass of"),
        ("nowhere.to.be.Found", "the class 'nowhere.to.be.Found' cannot be imported"),
    ],
)
def test_nothing_but_services_is_made_from_json(source: str, reason: str) -> None:
    with pytest.raises(ConfigurationError, match="This is no BaseService") as caught:
        BaseService.from_dict({"type": source, "args": ["true"]})
    assert reason in str(caught.value)


def test_all_mistakes_are_listed() -> None:
    with pytest.raises(ConfigurationError) as caught:
        ServiceConfig.from_dict({"name": 3, "descripton": "x"})
    assert "name: Input should be a valid string" in str(caught.value)
    assert "descripton: Extra inputs are not permitted" in str(caught.value)


def test_a_half_written_file_is_reported_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "service.json").write_text('{"type":')
    with pytest.raises(UnreadableFileError, match=r"service\.json' cannot be read: .* the text is no JSON"):
        LocalDaemonService.load(str(tmp_path))


def test_a_class_without_a_service_type_is_refused() -> None:
    class Untyped(LocalDaemonService):
        def run(self) -> None: ...

    with pytest.raises(InterfaceError, match=r"'.*Untyped' must set the class variable SERVICE_TYPE"):
        Untyped()


def test_a_class_that_the_daemon_cannot_import_is_refused(config: LocalDaemonServiceConfig) -> None:
    class Local(Sleeper):
        SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(type="local", flavor="test")

    with pytest.raises(ProvisioningError, match="Define the class at the top of a module"):
        Local(config=config).start()


def test_type_is_no_name_for_a_field() -> None:
    with pytest.raises(TypeError, match="has a field 'type', which names the class in JSON"):

        class Wrong(ServiceConfig):
            type: str
