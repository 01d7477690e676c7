"""The Deployment: a compiled pipeline on a stack, as plain data that round-trips through JSON.

It is complete (a step runs from it and the stack's components alone) and holds no secret: components' fields hold references.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any
from uuid import UUID

from zenml.exceptions import ConfigurationError
from zenml.model.records import ComponentRecord, FlavorRecord

if TYPE_CHECKING:
    from zenml.enums import StackComponentType
    from zenml.model.json import Document

VERSION = 1
"""Version of the document's form; a reader refuses a higher one."""


@dataclass(frozen=True)
class InputSpec:
    """Where an input comes from: the output `output` of the step named `step`.

    `mode` says what of it: the "value"; in a mapped step, one of the "items" of the list that it is for each instance; in a mapped step
    behind a mapped one, the output of the "same" instance; behind a mapped one, the outputs of "all" instances as a list.
    """

    step: str
    output: str
    mode: str = "value"


@dataclass(frozen=True)
class ConditionSpec:
    """What must hold for a step to run: the output of another step, compared with a value.

    `operator` is "true", "false", "==", "!=", "<", "<=", ">" or ">="; `value`, JSON data, is for the last six.
    """

    step: str
    output: str
    operator: str = "true"
    value: Any = None


@dataclass(frozen=True)
class RetrySpec:
    """When a failed attempt is followed by another: `attempts` at the most, the first one included.

    The wait before attempt n+1 is `delay * backoff ** (n - 1)` seconds, at most `max_delay`. `on` names the classes of exceptions,
    subclasses included, as import paths.
    """

    attempts: int
    delay: float = 0.0
    backoff: float = 2.0
    max_delay: float = 300.0
    on: tuple[str, ...] = ("builtins.Exception",)


@dataclass(frozen=True)
class ResourceSpec:
    """What a step needs while it runs: cores, bytes of memory, devices, and tokens of the user's own kinds."""

    cpu: float | None = None
    memory: int | None = None
    gpu: int = 0
    custom: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class OutputSpec:
    """An output that a step declares.

    `annotation` is the declared type as text, for people and for the cache key; `materializers` are import paths of the classes
    that the user chose for it (empty: chosen by the value's type, when it is there); `artifact_type` is the import
    path of an artifact class, or empty.
    """

    name: str
    annotation: str
    materializers: tuple[str, ...] = ()
    artifact_type: str = ""


@dataclass(frozen=True)
class StepSpec:
    """One step of a compiled pipeline.

    `source` names the step's class or decorated function, "package.module:name", relative to the source root. `upstream` names every
    step that must end before this one starts: those that the inputs come from, and those given by `after`. `code` maps the
    names of pieces of code to their digests: it is a part of the cache key. `secrets` names the parameters that hold references to secrets.
    """

    name: str
    source: str
    entrypoint_name: str
    inputs: Mapping[str, InputSpec] = field(default_factory=dict)
    upstream: tuple[str, ...] = ()
    outputs: tuple[OutputSpec, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    enable_cache: bool = True
    code: Mapping[str, str] = field(default_factory=dict)
    step_operator: str | None = None
    docstring: str | None = None
    each: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    when: ConditionSpec | None = None
    retry: RetrySpec | None = None
    timeout: float | None = None
    resources: ResourceSpec | None = None
    cache_parts: Mapping[str, str] = field(default_factory=dict)
    expires_after: float | None = None
    on_failure: str | None = None
    on_success: str | None = None
    secrets: tuple[str, ...] = ()

    @property
    def is_mapped(self) -> bool:
        """Whether it has one instance for each item of a list."""
        return bool(self.each) or any(source.mode in ("items", "same") for source in self.inputs.values())


@dataclass(frozen=True)
class DockerSpec:
    """How images are made, beside the pipeline's requirements. Paths are relative to the source root.

    What is None is chosen when an image is made. `environment` holds nothing secret: everybody who has the image can read it.
    """

    base_image: str | None = None
    dockerfile: str | None = None
    dockerignore_file: str | None = None
    apt_packages: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    builder: str | None = None
    build_network: str | None = None


@dataclass(frozen=True)
class StackSpec:
    """The stack that a pipeline was compiled for: its components' records, and the custom flavors that they need."""

    name: str
    components: Mapping[StackComponentType, ComponentRecord]
    flavors: tuple[FlavorRecord, ...] = ()


@dataclass(frozen=True)
class Deployment:
    """A compiled pipeline: what will run, in which order, with what, and where.

    `steps` are in topological order; independent ones stand in the order in which the pipeline calls them.
    `source_root` is the folder that the sources are relative to; `source` names the pipeline, empty where it cannot be imported again,
    and `arguments` what it was made with. `requirements` are those of the pipeline: pip requirement lines. `verify` says how a cached
    result is looked at: "present" (files and sizes) or "full" (digests). `environment` holds versions: of Python, the platform and
    the packages that the project imports. `docker` says how images are made, and `images` are those that containers of steps are made of,
    by the type of the component that executes the steps ("orchestrator", "step_operator").
    """

    pipeline: str
    run_name: str
    run_uuid: UUID
    steps: tuple[StepSpec, ...]
    stack: StackSpec
    source_root: str = ""
    enable_cache: bool = True
    runtime_configuration: Mapping[str, Any] = field(default_factory=dict)
    requirements: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    docstring: str | None = None
    zenml_version: str = ""
    git_sha: str | None = None
    source: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    verify: str = "present"
    on_failure: str | None = None
    on_success: str | None = None
    docker: DockerSpec = DockerSpec()
    images: Mapping[str, str] = field(default_factory=dict)
    code_archive: str | None = None

    def step(self, name: str) -> StepSpec:
        """The step of that name. Raises KeyError."""
        for step in self.steps:
            if step.name == name:
                return step
        raise KeyError(name)

    def to_document(self) -> dict[str, Any]:
        """The deployment as JSON data."""
        return {
            "version": VERSION,
            "pipeline": self.pipeline,
            "run_name": self.run_name,
            "run_uuid": str(self.run_uuid),
            "source_root": self.source_root,
            "enable_cache": self.enable_cache,
            "runtime_configuration": dict(self.runtime_configuration),
            "requirements": list(self.requirements),
            "secrets": list(self.secrets),
            "docstring": self.docstring,
            "zenml_version": self.zenml_version,
            "git_sha": self.git_sha,
            "source": self.source,
            "arguments": dict(self.arguments),
            "environment": dict(self.environment),
            "verify": self.verify,
            "on_failure": self.on_failure,
            "on_success": self.on_success,
            "docker": _without_defaults(self.docker),
            "images": dict(self.images),
            "code_archive": self.code_archive,
            "steps": [_step_document(step) for step in self.steps],
            "stack": {
                "name": self.stack.name,
                "components": {c.key: c.to_document() for c in self.stack.components.values()},
                "flavors": {f.key: f.to_document() for f in self.stack.flavors},
            },
        }

    @classmethod
    def from_document(cls, document: Document) -> Deployment:
        """The deployment of that document.

        Raises:
            ConfigurationError: the document has a higher version than this code knows.
        """
        if document["version"] > VERSION:
            raise ConfigurationError(
                f"This deployment has the version {document['version']}, this zenml reads {VERSION} at the most: update zenml here."
            )
        stack = document["stack"]
        components = (ComponentRecord.from_document(key, value) for key, value in stack["components"].items())
        return cls(
            pipeline=document["pipeline"],
            run_name=document["run_name"],
            run_uuid=UUID(document["run_uuid"]),
            source_root=document["source_root"],
            enable_cache=document["enable_cache"],
            runtime_configuration=document["runtime_configuration"],
            requirements=tuple(document["requirements"]),
            secrets=tuple(document["secrets"]),
            docstring=document["docstring"],
            zenml_version=document["zenml_version"],
            git_sha=document["git_sha"],
            source=document.get("source", ""),
            arguments=document.get("arguments", {}),
            environment=document.get("environment", {}),
            verify=document.get("verify", "present"),
            on_failure=document.get("on_failure"),
            on_success=document.get("on_success"),
            docker=_docker_from(document.get("docker", {})),
            images=document.get("images", {}),
            code_archive=document.get("code_archive"),
            steps=tuple(_step_from(value) for value in document["steps"]),
            stack=StackSpec(
                name=stack["name"],
                components={component.type: component for component in components},
                flavors=tuple(
                    FlavorRecord.from_document(key, value) for key, value in stack["flavors"].items()
                ),
            ),
        )


def _step_document(step: StepSpec) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": step.name,
        "source": step.source,
        "entrypoint_name": step.entrypoint_name,
        "inputs": {name: _without_defaults(i) for name, i in step.inputs.items()},
        "upstream": list(step.upstream),
        "outputs": [
            {
                "name": output.name,
                "annotation": output.annotation,
                "materializers": list(output.materializers),
                "artifact_type": output.artifact_type,
            }
            for output in step.outputs
        ],
        "parameters": dict(step.parameters),
        "enable_cache": step.enable_cache,
        "code": dict(step.code),
        "step_operator": step.step_operator,
        "docstring": step.docstring,
    }
    # What few steps have is left out of the others: a run may have ten thousand.
    for name in ("each", "cache_parts"):
        if value := getattr(step, name):
            document[name] = dict(value)
    if step.secrets:
        document["secrets"] = list(step.secrets)
    for name in ("when", "retry", "resources"):
        if (part := getattr(step, name)) is not None:
            document[name] = _without_defaults(part)
    for name in ("timeout", "expires_after", "on_failure", "on_success"):
        if (value := getattr(step, name)) is not None:
            document[name] = value
    return document


def _without_defaults(part: Any) -> dict[str, Any]:
    values = ((f, getattr(part, f.name)) for f in fields(part))
    return {
        f.name: list(value) if isinstance(value, tuple) else value
        for f, value in values
        if value != f.default
    }


def _docker_from(document: Document) -> DockerSpec:
    return DockerSpec(**{**document, "apt_packages": tuple(document.get("apt_packages", ()))})


def _step_from(document: Document) -> StepSpec:
    when, retry, resources = (document.get(name) for name in ("when", "retry", "resources"))
    if retry and "on" in retry:
        retry = {**retry, "on": tuple(retry["on"])}
    return StepSpec(
        name=document["name"],
        source=document["source"],
        entrypoint_name=document["entrypoint_name"],
        inputs={name: InputSpec(**value) for name, value in document["inputs"].items()},
        upstream=tuple(document["upstream"]),
        outputs=tuple(
            OutputSpec(o["name"], o["annotation"], tuple(o["materializers"]), o["artifact_type"])
            for o in document["outputs"]
        ),
        parameters=document["parameters"],
        enable_cache=document["enable_cache"],
        code=document["code"],
        step_operator=document["step_operator"],
        docstring=document["docstring"],
        each=document.get("each", {}),
        when=ConditionSpec(**when) if when else None,
        retry=RetrySpec(**retry) if retry else None,
        timeout=document.get("timeout"),
        resources=ResourceSpec(**resources) if resources else None,
        cache_parts=document.get("cache_parts", {}),
        expires_after=document.get("expires_after"),
        on_failure=document.get("on_failure"),
        on_success=document.get("on_success"),
        secrets=tuple(document.get("secrets", ())),
    )
