"""Jobs of a Kubernetes cluster."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zenml.exceptions import RunError
from zenml.integrations.kubernetes import states
from zenml.integrations.kubernetes.api import ApiError
from zenml.integrations.kubernetes.manifests import CONTAINER, JOB, SUBMITTER, job_manifest, secret_manifests
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState, JobStatus
from zenml.logger import get_logger

if TYPE_CHECKING:
    from zenml.integrations.kubernetes.api import Api
    from zenml.integrations.kubernetes.cluster import KubernetesCluster

logger = get_logger("zenml.orchestrators")

_PULL_PATIENCE = 60.0
"""Seconds for which an image that cannot be pulled is waited for: a registry may be away for a moment."""

_END_PATIENCE = 60.0
"""Seconds until a job whose pod is to end counts as ended, also if its node does not say so."""

_POD_PATIENCE = 5.0
"""Seconds after which a Job without a pod is asked for the reason."""

_PAUSES = (0.5, 2.0)
"""Seconds before a Job is sent again to a server that did not answer."""


class KubernetesJobs(JobEngine):
    """Each job is a Job of the cluster with one pod; its secrets are a Secret that the Job owns."""

    def __init__(self, api: Api, cluster: KubernetesCluster) -> None:
        self._api = api
        self._cluster = cluster
        self._submitter = uuid4().hex
        self._pods: dict[str, str] = {}
        self._submitted: dict[str, float] = {}
        self._ending: dict[str, float] = {}
        self._pulling: dict[str, float] = {}
        self._told: set[str] = set()

    def submit(self, job: Job) -> str:
        """Make the Job, and then its Secrets, for which the pod waits: so none is ever left without a Job that takes it along."""
        if job.image is None:
            raise RunError(
                f"There is no image for the step '{job.step}' to run in: set custom_docker_base_image_name of '{self._cluster.name}'."
            )
        made = self._make("batch/v1", "jobs", job_manifest(job, job.image, self._cluster, self._submitter))
        self._submitted[job.name] = time.monotonic()
        try:
            for secret in secret_manifests(job, job.image, made["metadata"]["uid"], self._submitter):
                self._make("v1", "secrets", secret)
        except RunError:
            with suppress(EngineUnreachableError):  # tried again at the end
                self.remove(job.name)
            raise
        return job.name

    def states(self, ids: Sequence[str]) -> Mapping[str, JobStatus]:
        """Asks for the pods of all jobs at once, and for the Jobs themselves when one of them has no pod."""
        pods = {pod["metadata"]["labels"][JOB]: pod for pod in self._list("v1", "pods")}
        self._pods.update((id_, pod["metadata"]["name"]) for id_, pod in pods.items())
        jobs = {}
        if not pods.keys() >= set(ids):
            jobs = {job["metadata"]["name"]: job for job in self._list("batch/v1", "jobs")}
        return {id_: self._state(id_, pods.get(id_), jobs.get(id_)) for id_ in ids}

    def cancel(self, id: str) -> None:
        """Delete the Job; its pod ends within its few seconds of grace."""
        self._ending.setdefault(id, time.monotonic())
        self._delete(id)

    def log(self, id: str, lines: int = 20) -> list[str]:
        """What the pod's container has printed."""
        pod = self._pods.get(id)
        if pod is None:
            return []
        path = f"{self._path('v1', 'pods')}/{pod}/log"
        try:
            return self._api.text(path, container=CONTAINER, tailLines=lines).splitlines()
        except ApiError:  # it has never started, is gone, or logs may not be read
            return []

    def remove(self, id: str) -> None:
        """Delete the Job, its pod and its Secret."""
        self._delete(id)
        for known in (self._pods, self._submitted, self._ending, self._pulling):
            known.pop(id, None)

    def close(self) -> None:
        """Delete what could not be deleted before, and close the connection."""
        with suppress(EngineUnreachableError):
            for id_ in list(self._submitted):
                self.remove(id_)
        self._api.close()

    def _state(self, id_: str, pod: dict[str, Any] | None, job: dict[str, Any] | None) -> JobStatus:
        now = time.monotonic()
        if pod is None and job is None:
            return JobStatus(JobState.LOST, "its Job is not in the cluster any more")
        if pod is not None and "deletionTimestamp" in pod["metadata"]:
            self._ending.setdefault(id_, now)
        if now - self._ending.get(id_, now) > _END_PATIENCE:
            return JobStatus(JobState.LOST, "its node does not say that it has ended")
        if pod is None:
            assert job is not None  # noqa: S101  for the type checker
            status = states.of_job(job)
            if status.state is JobState.WAITING and now - self._submitted.get(id_, now) > _POD_PATIENCE:
                status = JobStatus(JobState.WAITING, self._why_no_pod(id_))
        else:
            status = states.of_pod(pod)
        if not states.is_pulling(status):
            self._pulling.pop(id_, None)
        elif now - self._pulling.setdefault(id_, now) > _PULL_PATIENCE:
            return JobStatus(JobState.FAILED, status.reason)
        if status.state is JobState.WAITING and status.reason and status.reason not in self._told:
            self._told.add(status.reason)
            logger.warning("A step waits for the Kubernetes cluster: %s.", status.reason)
        return status

    def _why_no_pod(self, id_: str) -> str:
        """Such as a quota that is used up, or a policy that refuses it."""
        self._submitted[id_] = time.monotonic()
        try:
            found = self._api.get(
                self._path("v1", "events"), fieldSelector=f"involvedObject.name={id_},type=Warning"
            )
        except ApiError:  # events may not be read
            return ""
        return next((str(event.get("message", "")).rstrip(".") for event in found["items"][::-1]), "")

    def _make(self, version: str, kind: str, manifest: dict[str, Any]) -> dict[str, Any]:
        path = self._path(version, kind)
        made: dict[str, Any]
        for pause in (*_PAUSES, None):
            try:
                made = self._api.post(path, manifest)
            except EngineUnreachableError:
                if pause is None:
                    raise
                time.sleep(pause)
            except ApiError as error:
                if error.reason == "AlreadyExists":  # sent before, by a request that was not answered
                    is_job = kind == "jobs"  # Secrets need not be read
                    made = self._api.get(f"{path}/{manifest['metadata']['name']}") if is_job else manifest
                    break
                raise self._refused(kind, error) from None
            else:
                break
        return made

    def _refused(self, kind: str, error: ApiError) -> RunError:
        where = f"the namespace '{self._cluster.kubernetes_namespace}'"
        remedy = {
            403: f"Whoever runs pipelines needs the right to create {kind} in {where}, and room in its quotas.",
            404: f"Make {where}, or set the component's kubernetes_namespace to another one.",
        }.get(error.status, "Look at the component's configuration and at what the step asks for.")
        return RunError(f"The Kubernetes API server refuses the step: {error}. {remedy}")

    def _list(self, version: str, kind: str) -> list[dict[str, Any]]:
        try:
            found = self._api.get(self._path(version, kind), labelSelector=f"{SUBMITTER}={self._submitter}")
        except ApiError as error:  # it could be listed, before the run
            raise EngineUnreachableError(
                f"The Kubernetes API server does not list {kind}: {error}."
            ) from None
        items: list[dict[str, Any]] = found["items"]
        return items

    def _delete(self, id_: str) -> None:
        try:
            self._api.delete(f"{self._path('batch/v1', 'jobs')}/{id_}")
        except ApiError as error:
            raise EngineUnreachableError(
                f"The Kubernetes API server does not delete the Job {id_!r}: {error}."
            ) from None

    def _path(self, version: str, kind: str) -> str:
        root = "api" if version == "v1" else "apis"
        return f"/{root}/{version}/namespaces/{self._cluster.kubernetes_namespace}/{kind}"
