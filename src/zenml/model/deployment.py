"""The Deployment: a compiled pipeline on a stack, as plain data that round-trips through JSON.

It is complete (a step runs from it and the stack's components alone) and holds no secret: components' fields hold references.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    """Where an input comes from: the output `output` of the step named `step`."""

    step: str
    output: str


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
    names of pieces of code to their digests: it is a part of the cache key.
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
    `source_root` is the folder that the sources are
    relative to. `requirements` are those of the pipeline: pip requirement lines.
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
    return {
        "name": step.name,
        "source": step.source,
        "entrypoint_name": step.entrypoint_name,
        "inputs": {name: {"step": i.step, "output": i.output} for name, i in step.inputs.items()},
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


def _step_from(document: Document) -> StepSpec:
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
    )
