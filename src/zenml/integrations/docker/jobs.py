"""Jobs as containers of a Docker engine."""

from __future__ import annotations

import io
import os
import signal
import tarfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import DeviceRequest, Mount
from docker.utils import parse_repository_tag
from urllib3.exceptions import HTTPError

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.jobs.job import SECRETS_FILE
from zenml.stack.capacity import Reservations

if TYPE_CHECKING:
    from docker import DockerClient

    from zenml.integrations.docker.engine import DockerEngine
    from zenml.model.deployment import ResourceSpec

_LABEL = "zenml.jobs"
_SECRETS = ".zenml-secrets.json"
_SIGNALS = 128
"""What exit codes begin with that tell a signal."""
_STATES = {
    "created": JobState.WAITING,
    "running": JobState.RUNNING,
    "paused": JobState.RUNNING,
    "restarting": JobState.RUNNING,
}


class DockerJobs(JobEngine):
    """Containers of one run. A job is known by its name, which is that of its container."""

    poll_seconds = 0.1

    def __init__(self, client: DockerClient, engine: DockerEngine) -> None:
        self._client = client
        self._engine = engine
        self._id = uuid4().hex
        self._waiting: dict[str, _Pull] = {}
        self._refused: dict[str, str] = {}
        with self._answering():
            info = client.info()
            # Left by processes that were killed: what they ran has ended by itself.
            with suppress(APIError):
                client.containers.prune({"label": _LABEL, "until": "24h"})
        self.max_jobs = engine.max_parallel_steps or info["NCPU"]
        self._reserved = Reservations(engine.capacity(info))
        self._is_rootless = any("rootless" in option for option in info.get("SecurityOptions") or ())

    def has_room(self, need: ResourceSpec | None) -> bool:
        """Whether that is free on the engine's machine."""
        return self._reserved.has_room(need)

    def submit(self, job: Job) -> str:
        """Start a container; where the image is not there yet, as soon as it is."""
        if job.image is None:
            raise RunError(
                f"The {self._engine.TYPE.display} '{self._engine.name}' needs an image: name one in its field "
                "custom_docker_base_image_name."
            )
        devices = self._reserved.take(job.name, job.resources)
        try:
            with self._answering():
                if self._has_image(job.image):
                    self._start(job, devices)
                else:
                    self._waiting[job.name] = _Pull(self._client, job, devices, self._engine.place)
        except BaseException:
            self._reserved.release(job.name)
            raise
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """How containers are, by one request, and one more for each that has ended."""
        with self._answering():
            self._start_pulled()
            listed = self._client.api.containers(all=True, filters={"label": f"{_LABEL}={self._id}"})
            there = {container["Names"][0].lstrip("/"): container["State"] for container in listed}
            return {id_: self._status(id_, there.get(id_)) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Kill the container."""
        if self._waiting.pop(id, None) is not None:
            self._refused[id] = "cancelled before it was started"
            return
        with self._answering(), suppress(APIError):  # it has ended
            self._client.api.kill(id)

    def log(self, id: str, lines: int = 20) -> list[str]:
        """The last lines that the container has printed."""
        with self._answering():
            try:
                printed: bytes = self._client.api.logs(id, tail=lines)
            except NotFound:
                return []
        return printed.decode(errors="replace").splitlines()

    def remove(self, id: str) -> None:
        """Remove the container, with the file of its secrets."""
        self._reserved.release(id)
        self._refused.pop(id, None)
        with self._answering(), suppress(NotFound):
            self._client.api.remove_container(id, force=True, v=True)

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    def _has_image(self, image: str) -> bool:
        try:
            self._client.api.inspect_image(image)
        except ImageNotFound:
            return False
        return True

    def _start_pulled(self) -> None:
        for name, pull in list(self._waiting.items()):
            if pull.is_over:
                del self._waiting[name]
                if pull.refusal is not None:
                    self._refused[name] = pull.refusal
                    continue
                try:
                    self._start(pull.job, pull.devices)
                except RunError as error:
                    self._refused[name] = str(error)

    def _start(self, job: Job, devices: Sequence[str]) -> None:
        environment = dict(job.environment)
        user = self._user()
        if user is not None and not user.startswith("0"):
            # The image does not know that user.
            environment |= {"HOME": "/tmp", "USER": "zenml"}  # noqa: S108 - the container's own
        if job.secrets is not None:
            environment[SECRETS_FILE] = f"/{_SECRETS}"
        try:
            self._client.containers.create(
                job.image,
                list(job.command),
                name=job.name,
                environment=environment,
                user=user,
                labels={
                    _LABEL: self._id,
                    "zenml.pipeline": job.pipeline,
                    "zenml.run": job.run,
                    "zenml.step": job.step,
                },
                network_mode=self._engine.network_mode,
                mounts=[
                    Mount(folder, folder, type="bind") for folder in job.folders if Path(folder).exists()
                ],
                volumes=self._engine.volumes,
                **_limits(job.resources, devices),
                **self._engine.run_args,
            )
            if job.secrets is not None:
                self._client.api.put_archive(
                    job.name, "/", _archive(job.secrets, self._owner(job.image, user))
                )
            self._client.api.start(job.name)
        except APIError as error:
            with suppress(APIError):
                self._client.api.remove_container(job.name, force=True, v=True)
            raise RunError(
                f"The Docker engine at {self._engine.place} does not start a container of the image {job.image}: {_reason(error)}"
            ) from None

    def _user(self) -> str | None:
        """Whom steps run as; None for whom the image says."""
        if self._engine.user is not None or not self._engine.is_here:
            return self._engine.user
        # Such an engine takes its caller for the user 0 of containers.
        if self._is_rootless or not hasattr(os, "getuid"):
            return None
        return f"{os.getuid()}:{os.getgid()}"

    def _owner(self, image: str | None, user: str | None) -> int:
        named: str = user or self._client.api.inspect_image(image)["Config"].get("User") or "0"
        number = named.partition(":")[0]
        if not number.isdecimal():
            raise RunError(
                f"The image {image} is run by a user that it calls {number!r}, who cannot be given a file with secrets: set the field "
                f"`user` of the {self._engine.TYPE.display} '{self._engine.name}' to the number of that user."
            )
        return int(number)

    def _status(self, id_: str, state: str | None) -> JobStatus:
        if id_ in self._waiting:
            return JobStatus(JobState.WAITING, "its image is being pulled")
        if id_ in self._refused:
            return JobStatus(JobState.FAILED, self._refused[id_])
        if state is None:
            return JobStatus(JobState.LOST, "its container was removed by somebody else")
        if state in _STATES:
            return JobStatus(_STATES[state])
        try:
            ended = self._client.api.inspect_container(id_)
        except NotFound:
            return JobStatus(JobState.LOST, "its container was removed by somebody else")
        return _ended(ended["State"], ended["HostConfig"]["Memory"])

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except APIError as error:
            raise RunError(
                f"The Docker engine at {self._engine.place} refuses a request: {_reason(error)}"
            ) from None
        except (DockerException, OSError, HTTPError) as error:
            raise EngineUnreachableError(
                f"The Docker engine at {self._engine.place} does not answer: {error}."
            ) from None


@dataclass
class _Pull:
    """An image on its way to the engine, in a thread: a large one takes minutes, and a run may be cancelled meanwhile."""

    client: DockerClient
    job: Job
    devices: Sequence[str]
    place: str
    refusal: str | None = None

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._pull, name=f"pull-{self.job.name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def _pull(self) -> None:
        repository, tag = parse_repository_tag(self.job.image)
        login = self.job.registry_login
        options = {"auth_config": {"username": login[0], "password": login[1]}} if login else {}
        try:
            answers = self.client.api.pull(repository, tag or "latest", stream=True, decode=True, **options)
            error = next((str(answer["error"]) for answer in answers if "error" in answer), None)
        except APIError as refused:
            error = _reason(refused)
        except (DockerException, OSError, HTTPError, ValueError) as unanswered:
            error = str(unanswered)
        if error is not None:
            self.refusal = (
                f"The image {self.job.image} cannot be pulled by the Docker engine at {self.place}: {error} If its registry asks who is "
                "there, give the stack's container registry a user and a password: `zenml container-registry update NAME --username=... "
                "--password=...`"
            )


def _limits(need: ResourceSpec | None, devices: Sequence[str]) -> dict[str, Any]:
    limits: dict[str, Any] = {}
    if need is not None and need.cpu:
        limits["nano_cpus"] = int(need.cpu * 1e9)
    if need is not None and need.memory:
        # Without more swap: what is beyond the limit fails, and does not make the machine slow.
        limits |= {"mem_limit": need.memory, "memswap_limit": need.memory}
    if devices:
        limits["device_requests"] = [DeviceRequest(device_ids=list(devices), capabilities=[["gpu"]])]
    return limits


def _archive(text: str, owner: int) -> bytes:
    content, packed = text.encode(), io.BytesIO()
    file = tarfile.TarInfo(_SECRETS)
    file.size, file.mode, file.uid = len(content), 0o400, owner
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(file, io.BytesIO(content))
    return packed.getvalue()


def _ended(state: Mapping[str, Any], limit: int) -> JobStatus:
    code = state["ExitCode"]
    if code == 0:
        return JobStatus(JobState.SUCCEEDED, "exit code 0")
    told = f"exit code {code}"
    if state["OOMKilled"]:
        most = f"the {limit / 1e9:.4g} GB that the step asks for" if limit else "there is"
        told += f": out of memory, it needed more than {most}"
    elif code > _SIGNALS:
        told += f": killed by {_signal(code - _SIGNALS)}"
    return JobStatus(JobState.FAILED, f"{told}. {state['Error']}" if state["Error"] else told)


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"the signal {number}"


def _reason(error: APIError) -> str:
    reason = str(error.explanation or error).strip()
    return reason if reason.endswith(".") else f"{reason}."
