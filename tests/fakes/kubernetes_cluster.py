"""A fake of a Kubernetes cluster: what of its API Jobs need, over HTTPS, with pods as containers of a real Docker engine.

There is no API server and no kubelet here. What is real: the schemas of Kubernetes, which every document that is sent must keep, and the
containers. What is imitated: names and labels, bearer tokens, rights, selectors, deletion of what is owned, room on nodes, the words in
which pods tell what is wrong with them.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any
from uuid import uuid4

import kubernetes_validate
import yaml
from docker import DockerClient
from docker.errors import APIError, DockerException, ImageNotFound
from jsonschema import Draft202012Validator, ValidationError
from kubernetes_validate.utils import schema_contents
from referencing import Registry, Resource
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import ReadTimeout

from tests.docker_engine import DockerEngine
from tests.fakes.https import Answer, Asked, Fake, answers, served

VERSION = kubernetes_validate.latest_version()
NAMESPACE = "zenml"
_LABEL = re.compile(r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?")
_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_UNITS = {"": 1, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_JOBS = "/apis/batch/v1/namespaces/(?P<namespace>[^/]+)/jobs"
_CORE = "/api/v1/namespaces/(?P<namespace>[^/]+)"
_LOOK = 0.02

Document = dict[str, Any]


class Refused(Exception):
    """An answer that is no success, as Kubernetes gives it."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.answer = Answer(
            {
                "kind": "Status",
                "apiVersion": "v1",
                "status": "Failure",
                "message": message,
                "reason": reason,
                "code": status,
            },
            status,
        )


@dataclass(eq=False)
class Pod:
    document: Document
    job: str
    gone: threading.Event = field(default_factory=threading.Event)
    """Set when it is to be deleted."""
    container: Any = None
    node: str | None = None
    eviction: str | None = None

    @property
    def name(self) -> str:
        return str(self.document["metadata"]["name"])

    @property
    def status(self) -> Document:
        return self.document["status"]

    @property
    def has_ended(self) -> bool:
        return self.status["phase"] in ("Succeeded", "Failed")

    def requests(self) -> dict[str, float]:
        asked = self.document["spec"]["containers"][0].get("resources", {}).get("requests", {})
        return {"pods": 1, **{name: amount(quantity) for name, quantity in asked.items()}}


class FakeKubernetes(Fake):
    """One namespace, the users by their tokens, and nodes that all run on one Docker engine."""

    def __init__(self, engine: DockerEngine, folder: Path) -> None:
        super().__init__()
        self.lock = threading.RLock()  # type: ignore[assignment]
        self.folder = folder
        self.docker = DockerClient(base_url=engine.url, max_pool_size=64)
        self.admin = uuid4().hex
        self.forbidden: dict[str, set[tuple[str, str]]] = {self.admin: set()}
        """By token: what its user may not do, as ("create", "jobs")."""
        self.nodes = [node("node-1", cpu=str(os.cpu_count()), memory="4Gi", pods="4")]
        self.service_accounts = {"default"}
        self.jobs: dict[str, Document] = {}
        self.secrets: dict[str, Document] = {}
        self.pods: dict[str, Pod] = {}
        self.events: list[Document] = []
        self.asked: list[str] = []
        """Each request that was made, as "GET PATH"."""
        self.made: list[Document] = []
        """Each Job and each Secret, also when it is gone."""
        self.pulled: list[str] = []
        """Images that were not there when a pod wanted them, and came from a registry."""
        self.is_gone = False
        self.lost_answers = 0
        """To how many more requests that make something the answer is lost on its way."""
        self.version = f"v{VERSION}"
        self._threads: list[threading.Thread] = []
        self._number = count(1)

    def close(self) -> None:
        with self.lock:
            for name in list(self.jobs):
                self._delete_job(name)
        for thread in self._threads:
            thread.join()
        self.docker.close()

    # Who asks, and whether they may

    def answer(self, asked: Asked) -> Answer:
        if self.is_gone:
            raise ConnectionResetError
        try:
            kind, _, token = (asked.headers.get("Authorization") or "").partition(" ")
            if kind != "Bearer" or token not in self.forbidden:
                raise Refused(401, "Unauthorized", "Unauthorized")
            self.asked.append(f"{asked.method} {asked.path}")
            verb, resource = wanted(asked)
            if (verb, resource) in self.forbidden[token]:
                raise Refused(
                    403,
                    "Forbidden",
                    f'{resource} is forbidden: User "someone" cannot {verb} resource "{resource}"',
                )
            match = re.match(f"(?:{_CORE}|{_JOBS.replace('namespace>', 'batch>')})", asked.path)
            namespace = match and (match["namespace"] or match["batch"])
            if namespace not in (None, NAMESPACE):
                raise Refused(404, "NotFound", f'namespaces "{namespace}" not found')
            answer = super().answer(asked)
            if asked.method == "POST" and self.lost_answers:
                self.lost_answers -= 1
                raise ConnectionResetError
            return answer
        except Refused as refused:
            return refused.answer

    @answers("GET", "/version")
    def _version(self, asked: Asked) -> Answer:
        major, minor = self.version.removeprefix("v").split(".")[:2]
        now = datetime.now(timezone.utc).strftime("%a, %d %b %Y %H:%M:%S GMT")
        body = {"major": major, "minor": minor, "gitVersion": self.version}
        return Answer(body, headers={"Date": now})

    @answers("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews")
    def _review(self, asked: Asked) -> Answer:
        validate(asked.body)
        about = asked.body["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (about["resource"], about.get("subresource"))))
        forbidden = self.forbidden[asked.headers["Authorization"].partition(" ")[2]]
        return Answer({**asked.body, "status": {"allowed": (about["verb"], resource) not in forbidden}}, 201)

    @answers("GET", "/api/v1/nodes")
    def _nodes(self, asked: Asked) -> Answer:
        return Answer(listed("Node", self.nodes))

    @answers("GET", _CORE)
    def _namespace(self, asked: Asked, namespace: str) -> Answer:
        return Answer({"kind": "Namespace", "metadata": {"name": namespace}})

    @answers("GET", f"{_CORE}/events")
    def _events(self, asked: Asked, namespace: str) -> Answer:
        selected = dict(part.split("=") for part in asked.form.get("fieldSelector", "").split(",") if part)
        about = selected.get("involvedObject.name")
        return Answer(
            listed("Event", [e for e in self.events if about in (None, e["involvedObject"]["name"])])
        )

    # Jobs, and what they own

    @answers("POST", _JOBS)
    def _create_job(self, asked: Asked, namespace: str) -> Answer:
        job = checked(asked.body, self.jobs, "Job")
        spec = job["spec"]["template"]["spec"]
        if spec.get("restartPolicy") not in ("Never", "OnFailure"):
            raise Refused(422, "Invalid", "spec.template.spec.restartPolicy: Required value")
        for name, quantity in spec["containers"][0].get("resources", {}).get("requests", {}).items():
            if not re.fullmatch("cpu|memory|ephemeral-storage|[^/]+[.][^/]+/.+", name):
                raise Refused(
                    422,
                    "Invalid",
                    f"resources.requests[{name}]: must be a standard resource type or fully qualified",
                )
            if "/" in name and not quantity.isdigit():
                raise Refused(422, "Invalid", f"resources.requests[{name}]: must be an integer")
        if asked.form.get("dryRun") != "All":
            self.jobs[job["metadata"]["name"]] = job
            self.made.append(job)
            self._control(job)
        return Answer(job, 201)

    @answers("GET", _JOBS)
    def _list_jobs(self, asked: Asked, namespace: str) -> Answer:
        return Answer(listed("Job", selected(self.jobs.values(), asked)))

    @answers("GET", f"{_JOBS}/(?P<name>[^/]+)")
    def _get_job(self, asked: Asked, namespace: str, name: str) -> Answer:
        return Answer(found(self.jobs, name, "jobs.batch"))

    @answers("DELETE", f"{_JOBS}/(?P<name>[^/]+)")
    def _remove_job(self, asked: Asked, namespace: str, name: str) -> Answer:
        validate(asked.body)
        found(self.jobs, name, "jobs.batch")
        assert asked.body["propagationPolicy"] == "Background", "the only one that is imitated"
        self._delete_job(name)
        return Answer({"kind": "Status", "status": "Success"})

    @answers("POST", f"{_CORE}/secrets")
    def _create_secret(self, asked: Asked, namespace: str) -> Answer:
        secret = checked(asked.body, self.secrets, "Secret")
        texts = secret.pop("stringData", {})
        secret["data"] = {key: base64.b64encode(text.encode()).decode() for key, text in texts.items()}
        self.secrets[secret["metadata"]["name"]] = secret
        self.made.append(secret)
        self._collect()
        return Answer(secret, 201)

    @answers("GET", f"{_CORE}/pods")
    def _list_pods(self, asked: Asked, namespace: str) -> Answer:
        return Answer(listed("Pod", selected((pod.document for pod in self.pods.values()), asked)))

    @answers("DELETE", f"{_CORE}/pods/(?P<name>[^/]+)")
    def _remove_pod(self, asked: Asked, namespace: str, name: str) -> Answer:
        found(self.pods, name, "pods")
        self._delete_pod(self.pods[name])
        return Answer({"kind": "Status", "status": "Success"})

    @answers("GET", f"{_CORE}/pods/(?P<name>[^/]+)/log")
    def _log(self, asked: Asked, namespace: str, name: str) -> Answer:
        pod = found(self.pods, name, "pods")
        if pod.container is None:
            raise Refused(
                400,
                "BadRequest",
                f'container "{asked.form["container"]}" in pod "{name}" is waiting to start',
            )
        return Answer(pod.container.logs(tail=int(asked.form["tailLines"])).decode(errors="replace"))

    # What happens to pods by themselves

    def evict(self, job: str, message: str) -> None:
        """As a node does that has too little left."""
        with self.lock:
            (pod,) = (pod for pod in self.pods.values() if pod.job == job)
            pod.eviction = message
        pod.container.kill()

    def delete_pod(self, job: str) -> None:
        """As somebody does with kubectl."""
        with self.lock:
            (pod,) = (pod for pod in self.pods.values() if pod.job == job)
            self._delete_pod(pod)

    def remove_ended(self) -> None:
        """As the cluster does when the time of Jobs has come that have ended."""
        with self.lock:
            for name, job in list(self.jobs.items()):
                if "status" in job and "ttlSecondsAfterFinished" in job["spec"]:
                    self._delete_job(name)

    def running(self, step: str) -> list[str]:
        """The Jobs of a step whose pods run."""
        with self.lock:
            return [
                pod.job
                for pod in self.pods.values()
                if pod.status["phase"] == "Running"
                and pod.document["metadata"]["annotations"]["zenml/step"] == step
            ]

    # The control plane

    def _control(self, job: Document) -> None:
        """Make the pod of a new Job."""
        template, name = job["spec"]["template"], job["metadata"]["name"]
        account = template["spec"].get("serviceAccountName", "default")
        if account not in self.service_accounts:
            message = f'Error creating: pods "{name}-" is forbidden: error looking up service account {NAMESPACE}/{account}'
            event = {"type": "Warning", "reason": "FailedCreate", "message": message}
            self.events.append({**event, "involvedObject": {"kind": "Job", "name": name}})
            return
        metadata = template.get("metadata", {})
        document = {
            "metadata": {
                **metadata,
                "name": f"{name}-{uuid4().hex[:5]}",
                "labels": {**metadata.get("labels", {}), "job-name": name},
            },
            "spec": template["spec"],
            "status": {"phase": "Pending"},
        }
        pod = self.pods[document["metadata"]["name"]] = Pod(document, name)
        thread = threading.Thread(target=self._live, args=[pod], name=pod.name)
        self._threads.append(thread)
        thread.start()

    def _delete_job(self, name: str) -> None:
        del self.jobs[name]
        self._collect()

    def _collect(self) -> None:
        """Delete what is owned by Jobs that are gone."""
        uids = {job["metadata"]["uid"] for job in self.jobs.values()}
        for name, secret in list(self.secrets.items()):
            owners = secret["metadata"].get("ownerReferences", ())
            if owners and not {owner["uid"] for owner in owners} & uids:
                del self.secrets[name]
        for pod in list(self.pods.values()):
            if pod.job not in self.jobs:
                self._delete_pod(pod)

    def _delete_pod(self, pod: Pod) -> None:
        pod.document["metadata"]["deletionTimestamp"] = timestamp()
        pod.gone.set()
        if pod.container is not None and not pod.has_ended:
            grace = pod.document["spec"].get("terminationGracePeriodSeconds", 30)
            threading.Thread(target=stop, args=[pod.container, grace]).start()

    def _ended(self, pod: Pod) -> None:
        """Tell the pod's Job."""
        with self.lock:
            job = self.jobs.get(pod.job)
            if job is not None:
                good = pod.status["phase"] == "Succeeded"
                type_, reason = (
                    ("Complete", "CompletionsReached") if good else ("Failed", "BackoffLimitExceeded")
                )
                job["status"] = {"conditions": [{"type": type_, "status": "True", "reason": reason}]}

    # The nodes

    def _live(self, pod: Pod) -> None:
        """A pod from its beginning until it is deleted."""
        files = self.folder / pod.name
        try:
            if self._schedule(pod) and self._pull(pod) and self._mount(pod, files):
                self._run(pod, files)
            if pod.status["phase"] == "Pending":
                pod.status["phase"] = "Failed"
            self._ended(pod)
            pod.gone.wait()
        finally:
            if pod.container is not None:
                with suppress(DockerException):
                    pod.container.remove(force=True, v=True)
            shutil.rmtree(files, ignore_errors=True)
            with self.lock:
                del self.pods[pod.name]

    def _schedule(self, pod: Pod) -> bool:
        while not pod.gone.wait(_LOOK):
            with self.lock:
                short = [self._lacks(pod, one) for one in self.nodes]
                if [] in short:
                    pod.node = self.nodes[short.index([])]["metadata"]["name"]
                    pod.status.pop("conditions", None)
                    return True
                reasons = ", ".join(f"1 {reason}" for reasons in short for reason in reasons)
                pod.status["conditions"] = [
                    {
                        "type": "PodScheduled",
                        "status": "False",
                        "reason": "Unschedulable",
                        "message": f"0/{len(self.nodes)} nodes are available: {reasons}.",
                    }
                ]
        return False

    def _lacks(self, pod: Pod, place: Document) -> list[str]:
        spec, name = pod.document["spec"], place["metadata"]["name"]
        if not spec.get("nodeSelector", {}).items() <= place["metadata"]["labels"].items():
            return ["node(s) didn't match Pod's node affinity/selector"]
        tolerated = {toleration.get("key") for toleration in spec.get("tolerations", ())}
        if any(taint["key"] not in tolerated for taint in place["spec"].get("taints", ())):
            return ["node(s) had untolerated taint(s)"]
        others = [o.requests() for o in self.pods.values() if o.node == name and not o.has_ended]
        there = place["status"]["allocatable"]
        return [
            "Too many pods" if what == "pods" else f"Insufficient {what}"
            for what, wanted in pod.requests().items()
            if wanted + sum(other.get(what, 0) for other in others) > amount(there.get(what, "0"))
        ]

    def _pull(self, pod: Pod) -> bool:
        image = pod.document["spec"]["containers"][0]["image"]
        try:
            self.docker.images.get(image)
        except ImageNotFound:
            pass
        else:
            return True
        reason = "ErrImagePull"
        while not pod.gone.is_set():
            try:
                self.docker.images.pull(image, auth_config=self._login(pod, image))
            except (APIError, ImageNotFound) as error:
                self._waits(pod, reason, f'Back-off pulling image "{image}": {error.explanation}')
                reason = "ImagePullBackOff"
                pod.gone.wait(0.2)
            else:
                self.pulled.append(image)
                return True
        return False

    def _login(self, pod: Pod, image: str) -> Document | None:
        for name in (one["name"] for one in pod.document["spec"].get("imagePullSecrets", ())):
            if name in self.secrets:
                content = json.loads(base64.b64decode(self.secrets[name]["data"][".dockerconfigjson"]))
                if login := content["auths"].get(image.partition("/")[0]):
                    return {key: login[key] for key in ("username", "password")}
        return None

    def _mount(self, pod: Pod, folder: Path) -> bool:
        """Wait for the Secrets that it wants, and lay them into files."""
        security = pod.document["spec"].get("securityContext", {})
        for volume in pod.document["spec"].get("volumes", ()):
            wanted = volume["secret"]
            while wanted["secretName"] not in self.secrets:
                self._waits(pod, "ContainerCreating", "")
                if pod.gone.wait(_LOOK):
                    return False
            place = folder / volume["name"]
            place.mkdir(parents=True)
            for key, value in self.secrets[wanted["secretName"]]["data"].items():
                file, mode = place / key, wanted.get("defaultMode", 0o644)
                file.touch(mode=0o600)
                file.write_bytes(base64.b64decode(value))
                if "fsGroup" in security:
                    os.chown(file, 0, security["fsGroup"])
                    mode |= 0o040
                file.chmod(mode)
        return True

    def _run(self, pod: Pod, folder: Path) -> None:
        spec = pod.document["spec"]
        (container,) = spec["containers"]
        limits, user = (
            container.get("resources", {}).get("limits", {}),
            spec["securityContext"].get("runAsUser"),
        )
        memory = int(amount(limits["memory"])) if "memory" in limits else None
        options: dict[str, Any] = {
            "entrypoint": container["command"],
            "command": container.get("args", []),
            "environment": {
                "KUBERNETES_SERVICE_HOST": "10.0.0.1",
                **{variable["name"]: variable["value"] for variable in container.get("env", ())},
            },
            "network_mode": "host",
            "volumes": [
                f"{folder / mount['name']}:{mount['mountPath']}:ro"
                for mount in container.get("volumeMounts", ())
            ],
            "security_opt": ["no-new-privileges"],
            "cap_drop": container["securityContext"].get("capabilities", {}).get("drop"),
            "labels": {"fake-kubernetes": pod.name},
        }
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        if memory:
            options |= {"mem_limit": memory, "memswap_limit": memory}
        if "cpu" in limits:
            options["nano_cpus"] = int(amount(limits["cpu"]) * 1e9)
        if user is not None:
            options["user"] = f"{user}:{spec['securityContext'].get('fsGroup', user)}"
        try:
            made = self.docker.containers.create(container["image"], **options)
            with self.lock:
                if pod.gone.is_set():
                    made.remove()
                    return
                pod.container = made
            made.start()
        except APIError as error:
            with self.lock:
                state = {"exitCode": 128, "reason": "StartError", "message": error.explanation}
                pod.status["containerStatuses"] = [{"state": {"terminated": state}}]
                pod.status["phase"] = "Failed"
            return
        with self.lock:
            pod.status.update(phase="Running", containerStatuses=[{"state": {"running": {}}}])
        late = not wait_for(made, spec.get("activeDeadlineSeconds", 10**6))
        if late:
            made.kill()
            made.wait()
        made.reload()
        ended, code = made.attrs["State"], made.attrs["State"]["ExitCode"]
        with self.lock:
            reason = "OOMKilled" if ended["OOMKilled"] else "Error" if code else "Completed"
            state = {"terminated": {"exitCode": code, "reason": reason}}
            pod.status.update(phase="Failed" if code else "Succeeded", containerStatuses=[{"state": state}])
            if late:
                pod.status.update(phase="Failed", reason="DeadlineExceeded")
            if pod.eviction:
                pod.status.update(phase="Failed", reason="Evicted", message=pod.eviction)

    def _waits(self, pod: Pod, reason: str, message: str) -> None:
        with self.lock:
            pod.status["containerStatuses"] = [{"state": {"waiting": {"reason": reason, "message": message}}}]


@contextmanager
def fake_kubernetes(engine: DockerEngine, folder: Path) -> Iterator[FakeKubernetes]:
    """A cluster, and its kubeconfig at `folder / "kubeconfig"`, whose present context is that of its administrator."""
    fake = FakeKubernetes(engine, folder)
    with served(fake, folder) as authority:
        write_kubeconfig(folder / "kubeconfig", fake.url, authority, fake.admin)
        try:
            yield fake
        finally:
            fake.is_gone = False
            fake.close()


def write_kubeconfig(path: Path, server: str, authority: Path, token: str) -> None:
    cluster = {"server": server, "certificate-authority": str(authority)}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{"name": "fake", "cluster": cluster}],
        "users": [{"name": "someone", "user": {"token": token}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "someone"}}],
    }
    path.write_text(yaml.safe_dump(content))


def node(
    name: str,
    *,
    labels: dict[str, str] | None = None,
    taints: list[Document] | None = None,
    **allocatable: str,
) -> Document:
    spec: Document = {"taints": taints} if taints else {}
    amounts = {key.replace("gpu", "nvidia.com/gpu"): value for key, value in allocatable.items()}
    return {
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}},
        "spec": spec,
        "status": {"allocatable": amounts},
    }


def validate(document: Document) -> None:
    """By the schemas of the newest Kubernetes, in which there is no other field."""
    # Options of a deletion belong to no group, but their schema does.
    group = "meta/v1" if document.get("kind") == "DeleteOptions" else document["apiVersion"]
    try:
        validator(document["kind"], re.sub(r"^([^./]*)[^/]*/", r"\1-", group)).validate(document)
    except ValidationError as error:
        where = ".".join(map(str, error.path))
        raise Refused(422, "Invalid", f"{where}: {error.message}") from None


@cache
def validator(kind: str, group: str) -> Draft202012Validator:
    """What kubernetes_validate makes for each document anew."""
    folder = f"kubernetes-json-schema/v{VERSION}-local-strict"
    schema = schema_contents(f"{folder}/{kind.lower()}-{group}.json", VERSION)
    definitions = schema_contents(f"{folder}/_definitions.json", VERSION)
    registry = Resource.from_contents(definitions) @ (Resource.from_contents(schema) @ Registry())
    return Draft202012Validator(schema, registry=registry)


def checked(document: Document, known: dict[str, Document], kind: str) -> Document:
    """A new document as it is kept. Refuses what a server would refuse."""
    validate(document)
    metadata = document["metadata"]
    if document["kind"] != kind or not _NAME.fullmatch(metadata["name"]):
        raise Refused(422, "Invalid", f"metadata.name: Invalid value: {metadata['name']!r}")
    if metadata["name"] in known:
        raise Refused(409, "AlreadyExists", f'{kind} "{metadata["name"]}" already exists')
    for place in (metadata, document.get("spec", {}).get("template", {}).get("metadata", {})):
        for key, value in place.get("labels", {}).items():
            if not _KEY.fullmatch(key) or not _LABEL.fullmatch(value):
                raise Refused(422, "Invalid", f"metadata.labels: Invalid value: {key}={value}")
        for key in place.get("annotations", {}):
            if not _KEY.fullmatch(key):
                raise Refused(422, "Invalid", f"metadata.annotations: Invalid value: {key}")
    return {**document, "metadata": {**metadata, "uid": str(uuid4()), "creationTimestamp": timestamp()}}


def wanted(asked: Asked) -> tuple[str, str]:
    """The verb and the resource of a request, as roles name them."""
    parts = re.sub("^/(api/v1|apis/[^/]+/v1)/(namespaces/[^/]+/)?", "", asked.path).split("/")
    resource = "/".join((parts[0], *parts[2:]))
    read = "get" if len(parts) > 1 else "list"
    return {"GET": read, "POST": "create", "DELETE": "delete"}[asked.method], resource


def selected(documents: Any, asked: Asked) -> list[Document]:
    pairs = [part.split("=") for part in asked.form.get("labelSelector", "").split(",") if part]
    return [
        d for d in documents if all(d["metadata"].get("labels", {}).get(key) == value for key, value in pairs)
    ]


def found(known: dict[str, Any], name: str, resource: str) -> Any:
    if name not in known:
        raise Refused(404, "NotFound", f'{resource} "{name}" not found')
    return known[name]


def listed(kind: str, items: list[Document]) -> Document:
    return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {}, "items": items}


def amount(quantity: str) -> float:
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", quantity).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]


def timestamp() -> str:
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def stop(container: Any, grace: int) -> None:
    with suppress(DockerException):
        container.stop(timeout=grace)


def wait_for(container: Any, seconds: float) -> bool:
    """Whether it has ended before."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        with suppress(ReadTimeout, RequestsConnectionError):
            container.wait(timeout=min(left, 60))
            return True
    return False
