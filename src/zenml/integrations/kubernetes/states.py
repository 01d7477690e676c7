"""How a job is, read from what a cluster tells of its pod, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zenml.jobs import JobState, JobStatus

PULLING = ("ErrImagePull", "ImagePullBackOff")
"""Why a pod waits whose image cannot be had: it may come yet."""

_HOPELESS = (
    "InvalidImageName",
    "ErrImageNeverPull",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
"""Why a pod waits that will never run."""

_WORDS = {
    "OOMKilled": "it used more memory than it may, let the step ask for more by Resources(memory=...)",
    "Evicted": "its node had too little left",
    "DeadlineExceeded": "it took too long",
    "BackoffLimitExceeded": "its pod has failed, or was deleted",
    "PreemptionByScheduler": "a pod of higher priority took its place",
    "EvictionByEvictionAPI": "its node is being emptied",
    "DeletionByTaintManager": "its node must be left",
    "DeletionByPodGC": "its node is gone",
    "TerminationByKubelet": "its node shuts down, or has too little left",
}


def of_pod(pod: Mapping[str, Any]) -> JobStatus:
    """How a job is whose pod this is."""
    status = pod.get("status", {})
    phase = status.get("phase", "Pending")
    if phase == "Succeeded":
        return JobStatus(JobState.SUCCEEDED)
    if phase == "Failed":
        return JobStatus(JobState.FAILED, _why_failed(status))
    if phase == "Pending":
        waiting = _container_state(status, "waiting")
        reason = waiting.get("reason", "")
        told = _told(reason, waiting.get("message", ""))
        if reason in _HOPELESS:
            return JobStatus(JobState.FAILED, told)
        return JobStatus(JobState.WAITING, told if reason in PULLING else _why_unscheduled(status))
    return JobStatus(JobState.RUNNING)


def of_job(job: Mapping[str, Any]) -> JobStatus:
    """How a job is that has no pod: it has none yet, or not any more."""
    for condition in job.get("status", {}).get("conditions", ()):
        if condition["status"] == "True":
            if condition["type"] == "Complete":
                return JobStatus(JobState.SUCCEEDED)
            if condition["type"] == "Failed":
                return JobStatus(JobState.FAILED, _told(condition.get("reason", "Failed")))
    return JobStatus(JobState.WAITING)


def is_pulling(status: JobStatus) -> bool:
    """Whether the job waits for an image that could not be had so far."""
    return status.state is JobState.WAITING and status.reason.startswith(PULLING)


def _why_failed(status: Mapping[str, Any]) -> str:
    ended = _container_state(status, "terminated")
    parts = [f"exit code {ended['exitCode']}"] if "exitCode" in ended else []
    if ended.get("reason") not in (None, "Error", "Completed"):
        parts.append(_told(ended["reason"], ended.get("message", "")))
    if status.get("reason"):
        parts.append(_told(status["reason"], status.get("message", "")))
    else:
        disruptions = (c for c in status.get("conditions", ()) if c["type"] == "DisruptionTarget")
        parts += [_told(c.get("reason", "Disrupted"), c.get("message", "")) for c in disruptions]
    return "; ".join(parts) or "its pod has failed"


def _why_unscheduled(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions", ()):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return _told(condition.get("reason", "Unschedulable"), condition.get("message", ""))
    return ""


def _container_state(status: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    for container in status.get("containerStatuses", ()):
        found: Mapping[str, Any] = container.get("state", {}).get(kind) or {}
        return found
    return {}


def _told(reason: str, message: str = "") -> str:
    said = ", ".join(filter(None, (_WORDS.get(reason), message.strip().rstrip("."))))
    return f"{reason} ({said})" if said else reason
