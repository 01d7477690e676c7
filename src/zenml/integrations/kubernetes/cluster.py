"""What orchestrator and step operator have in common: which cluster, how pods are made there, and whether that works."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

from pydantic import Field, field_validator

from zenml.enums import CheckOutcome, StackComponentType
from zenml.environment import is_this_machine
from zenml.exceptions import StackValidationError
from zenml.integrations.kubernetes.api import Api, ApiError
from zenml.integrations.kubernetes.jobs import KubernetesJobs
from zenml.integrations.kubernetes.manifests import is_resource_name, job_manifest
from zenml.integrations.kubernetes.states import is_pulling
from zenml.jobs import EngineUnreachableError, Job, JobEngine, JobState
from zenml.stack.capacity import Capacity, refuse_unmet
from zenml.stack.checks import Check, check_clock, check_expiry, failure, tried
from zenml.stack.executing import ExecutingComponent

if TYPE_CHECKING:
    from zenml.model.deployment import Deployment

_OLDEST = (1, 23)
"""The first version of Kubernetes in which all that is used here is stable."""

_PULL = 20.0
"""Seconds in which a check waits for an image."""

RIGHTS = (
    ("create", "batch", "jobs", ""),
    ("get", "batch", "jobs", ""),
    ("list", "batch", "jobs", ""),
    ("delete", "batch", "jobs", ""),
    ("list", "", "pods", ""),
    ("get", "", "pods", "log"),
    ("create", "", "secrets", ""),
)

_UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18, "m": 1e-3}
_UNITS |= {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}


class KubernetesCluster(ExecutingComponent):
    """A cluster, and how pods are made there.

    Args:
        kubernetes_context: one of the user's kubeconfig; by default its present one, or inside of a pod the pod's own cluster.
        kubernetes_namespace: where Jobs, pods and Secrets are made.
        custom_docker_base_image_name: the image that those for steps begin with.
        service_account_name: whom steps are towards the cluster and its cloud; by default, they get no token of the cluster.
        image_pull_secrets: names of Secrets of the namespace, with which nodes log in at the container registry.
        node_selector: labels that a node must have.
        tolerations: as in a pod's specification: `[{"key": "gpu", "operator": "Exists"}]`.
        run_as_user: the number of the user that steps run as, who then has no capabilities; by default, that of the image.
        grows: whether the cluster adds nodes when pods wait for them; then steps that fit on no node of now are not refused.
    """

    kubernetes_context: str | None = None
    kubernetes_namespace: str = "zenml"
    custom_docker_base_image_name: str | None = None
    service_account_name: str | None = None
    image_pull_secrets: list[str] = Field(default_factory=list)
    node_selector: dict[str, str] = Field(default_factory=dict)
    tolerations: list[dict[str, Any]] = Field(default_factory=list)
    run_as_user: int | None = Field(default=None, gt=0)
    grows: bool = False

    @field_validator("kubernetes_namespace")
    @classmethod
    def _check_namespace(cls, value: str) -> str:
        if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", value):
            raise ValueError(
                f"{value!r} is no name of a namespace: expected at most 63 characters of a-z, 0-9 and -"
            )
        return value

    @property
    def image_base(self) -> str | None:
        """The image that those for steps begin with."""
        return self.custom_docker_base_image_name

    @property
    def is_here(self) -> bool:
        """Whether the API server is on this machine, as those of clusters for development are: their nodes may use its images."""
        with closing(Api(self.kubernetes_context)) as api:
            host = urlsplit(api.server).hostname or ""
        return is_this_machine(host) or host.endswith(".docker.internal")

    def jobs(self) -> JobEngine:
        """The Jobs of one run. Raises StackValidationError if the cluster cannot be reached."""
        return KubernetesJobs(self._api(), self)

    def check(self) -> Iterator[Check]:
        """Whether the cluster answers, is new enough, and runs a pod for whoever asks."""
        yield from super().check()
        try:
            api = self._api()
        except StackValidationError as error:
            yield failure("reachable", error)
            return
        with closing(api):
            before = time.time()
            version, date = api.version()
            yield Check("reachable", message=f"{api.server}, {version['gitVersion']}")
            if date is not None:
                # It has no fractions of seconds.
                yield check_clock(parsedate_to_datetime(date).timestamp() + 0.5, before, time.time())
            if (end := api.certificate_end) is not None:
                yield check_expiry(end)
            yield tried("version", lambda: self._check_version(version))
            yield tried("namespace", lambda: self._check_namespace_there(api))
            yield tried("rights", lambda: self._check_rights(api))
            yield tried("jobs", lambda: self._check_accepted(api))
            if self.custom_docker_base_image_name is not None:
                yield self._check_image(self.custom_docker_base_image_name)

    def check_deployment(self, deployment: Deployment) -> None:
        """See that the cluster answers, that Jobs may be made there, and that each step fits on a node of it."""
        if StackComponentType.CONTAINER_REGISTRY not in deployment.stack.components and not self.is_here:
            raise StackValidationError(
                f"The nodes of the {self.TYPE.display} '{self.name}' get images from a container registry, and the stack "
                f"'{deployment.stack.name}' has none: add one, see `zenml container-registry register --help`."
            )
        needs = self.needs(deployment)
        with closing(self._api()) as api:
            self._check_namespace_there(api)
            self._check_rights(api)
            unknown = sorted(
                {name for need in needs.values() for name in need.custom if not is_resource_name(name)}
            )
            if unknown:
                raise StackValidationError(
                    f"Kubernetes has no resource {' and no '.join(map(repr, unknown))}: name them as the nodes of the cluster do, with the "
                    'domain of whoever brings them, as in Resources(custom={"example.com/license": 1}).'
                )
            parts = sorted(
                {name for need in needs.values() for name, n in need.custom.items() if n != int(n)}
            )
            if parts:
                raise StackValidationError(
                    f"Kubernetes gives only whole numbers of {' and '.join(map(repr, parts))}: let steps ask for those."
                )
            nodes = None if self.grows else self._nodes(api)
        if nodes is not None:
            refuse_unmet(
                needs,
                nodes,
                lacking=f"No node that the {self.TYPE.display} '{self.name}' may use has what these steps need",
                remedy="Let them ask for less, or add such a node. If the cluster adds nodes by itself, set the field `grows`.",
            )

    def _api(self) -> Api:
        api = Api(self.kubernetes_context)
        try:
            api.version()
        except EngineUnreachableError as error:
            raise StackValidationError(str(error)) from None
        except ApiError as error:
            raise StackValidationError(f"{api.server} does not answer as Kubernetes does: {error}.") from None
        return api

    @staticmethod
    def _check_version(version: Mapping[str, str]) -> str:
        import kubernetes

        theirs = tuple(int(re.sub(r"\D", "", version[part]) or 0) for part in ("major", "minor"))
        if theirs < _OLDEST:
            raise StackValidationError(
                f"The cluster has Kubernetes {version['gitVersion']}; expected {'.'.join(map(str, _OLDEST))} or newer: bring it up to date."
            )
        return f"{version['gitVersion']}, client {kubernetes.__version__}"

    def _check_namespace_there(self, api: Api) -> None:
        try:
            api.get(f"/api/v1/namespaces/{self.kubernetes_namespace}")
        except ApiError as error:
            if error.status == 404:  # noqa: PLR2004  else it may not be looked at
                raise StackValidationError(
                    f"The cluster {api.server} has no namespace '{self.kubernetes_namespace}': make it with `kubectl create namespace "
                    f"{self.kubernetes_namespace}`, or set the component's kubernetes_namespace to another one."
                ) from None

    def _check_rights(self, api: Api) -> None:
        missing = []
        for verb, group, resource, subresource in RIGHTS:
            asked = {
                "namespace": self.kubernetes_namespace,
                "verb": verb,
                "group": group,
                "resource": resource,
                **({"subresource": subresource} if subresource else {}),
            }
            body = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": asked},
            }
            answer = api.post("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
            if not answer["status"]["allowed"]:
                missing.append(f"{verb} {resource}{subresource and '/'}{subresource}")
        if missing:
            raise StackValidationError(
                f"Whoever runs pipelines on {api.server} may not {', '.join(missing)} in the namespace '{self.kubernetes_namespace}': give "
                "them a Role with these rights."
            )

    def _check_accepted(self, api: Api) -> None:
        """Let the server look at a Job as it would be, without making it."""
        manifest = job_manifest(self._probe(), "image", self, uuid4().hex)
        path = f"/apis/batch/v1/namespaces/{self.kubernetes_namespace}/jobs"
        try:
            api.post(path, manifest, dryRun="All")
        except ApiError as error:
            raise StackValidationError(f"The cluster refuses Jobs of this component: {error}.") from None

    def _check_image(self, image: str) -> Check:
        """Run a pod of it, and see that it begins: only nodes know what they can pull."""
        engine = self.jobs()
        id_ = engine.submit(self._probe(image))
        try:
            deadline = time.monotonic() + _PULL
            while (
                status := engine.states([id_])[id_]
            ).state is JobState.WAITING and time.monotonic() < deadline:
                if is_pulling(status):
                    break
                time.sleep(engine.poll_seconds)
        finally:
            engine.remove(id_)
            engine.close()
        if status.state in (JobState.RUNNING, JobState.SUCCEEDED):
            return Check("image", message=image)
        if status.state is JobState.WAITING and not is_pulling(status):
            found = f"A pod of {image!r} has not begun within {_PULL:g} seconds{f': {status.reason}' if status.reason else ''}."
            return Check(
                "image",
                CheckOutcome.WARNING,
                found,
                "The first pull of a large image takes long: check again.",
            )
        return Check(
            "image",
            CheckOutcome.FAILED,
            f"A pod of {image!r} does not begin: {status.reason}.",
            "Is the name right, and may the nodes pull it? See image_pull_secrets.",
        )

    def _probe(self, image: str | None = None) -> Job:
        command = ("python", "-c", "pass")
        return Job(
            f"z-check-{uuid4().hex[:8]}", command, pipeline="", run="", step="check", image=image, timeout=60
        )

    def _nodes(self, api: Api) -> list[Capacity] | None:
        """What each node that pods may use has; None if nodes may not be listed."""
        try:
            nodes = api.get("/api/v1/nodes")["items"]
        except ApiError:
            return None
        return [_capacity(node["status"].get("allocatable", {})) for node in nodes if self._may_use(node)]

    def _may_use(self, node: Mapping[str, Any]) -> bool:
        spec, labels = node.get("spec", {}), node["metadata"].get("labels", {})
        taints = [t for t in spec.get("taints", ()) if t["effect"] in ("NoSchedule", "NoExecute")]
        return (
            not spec.get("unschedulable")
            and self.node_selector.items() <= labels.items()
            and all(any(_tolerates(one, taint) for one in self.tolerations) for taint in taints)
        )


def _tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    return (
        toleration.get("effect") in (None, "", taint["effect"])
        and toleration.get("key") in (None, "", taint["key"])
        and (toleration.get("operator") == "Exists" or toleration.get("value", "") == taint.get("value", ""))
    )


def _capacity(allocatable: Mapping[str, str]) -> Capacity:
    amounts = {name: _amount(quantity) for name, quantity in allocatable.items()}
    gpus = tuple(map(str, range(int(amounts.pop("nvidia.com/gpu", 0)))))
    return Capacity(amounts.pop("cpu", 0), int(amounts.pop("memory", 0)), gpus, amounts)


def _amount(quantity: str) -> float:
    """What a quantity of Kubernetes means: "1500m", "16Gi", "2e3"."""
    match = re.fullmatch(r"([0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]{0,2})", quantity)
    return float(match[1]) * _UNITS[match[2]] if match else 0.0
