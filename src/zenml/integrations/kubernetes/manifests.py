"""What a cluster is sent: a Job for each attempt, and a Secret with what it may know."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

from zenml.jobs.job import SECRETS_FILE

if TYPE_CHECKING:
    from zenml.integrations.kubernetes.cluster import KubernetesCluster
    from zenml.jobs import Job
    from zenml.model.deployment import ResourceSpec

SUBMITTER = "zenml/submitter"
"""The label that all Jobs and pods have in common which one process has made for one run."""

JOB = "zenml/job"
"""The label of a pod that names its Job."""

CONTAINER = "step"

KEPT_SECONDS = 3600
"""For how long a cluster keeps a Job that has ended, when the process that would have removed it is gone."""

_OVERTIME = 600
"""Seconds after which a cluster ends a pod that should have kept its timeout itself; pulling the image counts."""

_GRACE = 3
"""Seconds that a pod has to end by itself when it is deleted."""

_SECRETS = "/var/run/zenml"
_KEY = "secrets.json"
_LOGIN = "-login"
_OWN_NAMES = frozenset({"ephemeral-storage"})


def job_manifest(job: Job, image: str, cluster: KubernetesCluster, submitter: str) -> dict[str, Any]:
    """A Job whose pod runs the command once."""
    metadata = {
        "labels": _labels(job, submitter),
        "annotations": {"zenml/pipeline": job.pipeline, "zenml/run": job.run, "zenml/step": job.step},
    }
    pod: dict[str, Any] = {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": _GRACE,
        "enableServiceLinks": False,
        "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [_container(job, image, cluster)],
    }
    if cluster.run_as_user is not None:
        # The group is that of the secrets, which nobody else can read.
        user = {"runAsUser": cluster.run_as_user, "runAsNonRoot": True, "fsGroup": cluster.run_as_user}
        pod["securityContext"] |= user
    if job.timeout is not None:
        pod["activeDeadlineSeconds"] = int(job.timeout) + _OVERTIME
    if cluster.service_account_name is None:
        pod["automountServiceAccountToken"] = False
    else:
        pod["serviceAccountName"] = cluster.service_account_name
    if cluster.node_selector:
        pod["nodeSelector"] = cluster.node_selector
    if cluster.tolerations:
        pod["tolerations"] = cluster.tolerations
    logins = [*cluster.image_pull_secrets, *([f"{job.name}{_LOGIN}"] if job.registry_login else [])]
    if logins:
        pod["imagePullSecrets"] = [{"name": name} for name in logins]
    if job.secrets is not None:
        pod["volumes"] = [{"name": "secrets", "secret": {"secretName": job.name, "defaultMode": 0o400}}]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job.name, **metadata},
        "spec": {
            "backoffLimit": 0,
            "ttlSecondsAfterFinished": KEPT_SECONDS,
            "template": {"metadata": metadata, "spec": pod},
        },
    }


def secret_manifests(job: Job, image: str, uid: str, submitter: str) -> list[dict[str, Any]]:
    """What of the job is secret, as Secrets that go with the Job of this uid."""
    found = []
    if job.registry_login is not None:
        login = json.dumps({"auths": {_registry(image): _login(*job.registry_login)}})
        found.append((f"{job.name}{_LOGIN}", "kubernetes.io/dockerconfigjson", {".dockerconfigjson": login}))
    if job.secrets is not None:
        found.append((job.name, "Opaque", {_KEY: job.secrets}))
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": job.name, "uid": uid}
    labels = _labels(job, submitter)
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": kind,
            "immutable": True,
            "metadata": {"name": name, "labels": labels, "ownerReferences": [owner]},
            "stringData": content,
        }
        for name, kind, content in found
    ]


def is_resource_name(name: str) -> bool:
    """Whether a cluster can have a resource of that name: beside a few of its own, they have the domain of whoever brings them."""
    return (
        name in _OWN_NAMES
        or re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?/[A-Za-z0-9]([\w.-]*[A-Za-z0-9])?", name) is not None
    )


def _container(job: Job, image: str, cluster: KubernetesCluster) -> dict[str, Any]:
    environment = dict(job.environment)
    security: dict[str, Any] = {"allowPrivilegeEscalation": False}
    if cluster.run_as_user is not None:
        # A user that is not root has no use for any.
        security["capabilities"] = {"drop": ["ALL"]}
    container: dict[str, Any] = {
        "name": CONTAINER,
        "image": image,
        "command": list(job.command),
        "securityContext": security,
    }
    if job.secrets is not None:
        environment[SECRETS_FILE] = f"{_SECRETS}/{_KEY}"
        container["volumeMounts"] = [{"name": "secrets", "mountPath": _SECRETS, "readOnly": True}]
    if environment:
        container["env"] = [{"name": name, "value": value} for name, value in sorted(environment.items())]
    if job.resources is not None:
        amounts = _amounts(job.resources)
        container["resources"] = {"requests": amounts, "limits": amounts}
    return container


def _amounts(need: ResourceSpec) -> dict[str, str]:
    amounts = {name: f"{amount:.0f}" for name, amount in need.custom.items()}
    if need.cpu:
        amounts["cpu"] = f"{max(1, round(need.cpu * 1000))}m"
    if need.memory:
        amounts["memory"] = str(need.memory)
    if need.gpu:
        amounts["nvidia.com/gpu"] = str(need.gpu)
    return amounts


def _registry(image: str) -> str:
    """What the credentials for an image's registry are called in Docker's configuration."""
    host = image.partition("/")[0]
    return "https://index.docker.io/v1/" if host == "docker.io" else host


def _login(user: str, password: str) -> dict[str, str]:
    both = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"username": user, "password": password, "auth": both}


def _labels(job: Job, submitter: str) -> dict[str, str]:
    labels = {"zenml/pipeline": job.pipeline, "zenml/run": job.run, "zenml/step": job.step}
    return {
        "app.kubernetes.io/managed-by": "zenml",
        SUBMITTER: submitter,
        JOB: job.name,
        **{name: _label(text) for name, text in labels.items()},
    }


def _label(text: str) -> str:
    """As much of a text as a label may hold; the annotations have all of it."""
    return re.sub("[^A-Za-z0-9._-]+", "-", text)[:63].strip("-._")
