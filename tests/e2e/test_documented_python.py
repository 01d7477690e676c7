"""The Python that the project was promised with, run as it stands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ACCESS = """
from zenml.repository import Repository


repo = Repository()
active_stack = repo.active_stack
print(active_stack.name)
print(active_stack.orchestrator.name)
print(active_stack.artifact_store.name)
print(active_stack.artifact_store.path)
print(active_stack.metadata_store.name)
print(active_stack.metadata_store.uri)
"""

REGISTER = """
from zenml.repository import Repository
from zenml.artifact_stores import LocalArtifactStore
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack


repo = Repository()

# Create a new orchestrator
orchestrator = LocalOrchestrator(name="local")

# Create a new metadata store
metadata_store = SQLiteMetadataStore(
    name="local",
    uri="/tmp/zenml/zenml.db",
)

# Create a new artifact store
artifact_store = LocalArtifactStore(
    name="local",
    path="/tmp/zenml/artifacts",
)

# Create a new stack with the new components
stack = Stack(
    name="local",
    orchestrator=orchestrator,
    metadata_store=metadata_store,
    artifact_store=artifact_store,
)

# Register the new stack in the currently active profile
repo.register_stack(stack)

# Set the stack as the active stack of the repository
repo.activate_stack(stack.name)
"""

INTERFACES = """
from abc import ABC
from pydantic import BaseModel, Field
from typing import ClassVar
from uuid import UUID, uuid4

from zenml.enums import StackComponentType

class StackComponent(BaseModel, ABC):
    \"\"\"Abstract class for all components of a ZenML stack.\"\"\"

    # Instance configuration
    name: str
    uuid: UUID = Field(default_factory=uuid4)

    # Class parameters
    TYPE: ClassVar[StackComponentType]
    FLAVOR: ClassVar[str]

    ...
"""

BASE = """
from typing import ClassVar, Set

from zenml.enums import StackComponentType
from zenml.stack import StackComponent


class BaseArtifactStore(StackComponent):
    \"\"\"Abstract class for all ZenML artifact stores.\"\"\"

    # Instance configuration
    path: str

    # Class parameters
    TYPE: ClassVar[StackComponentType] = StackComponentType.ARTIFACT_STORE
    SUPPORTED_SCHEMES: ClassVar[Set[str]]

    ...
"""

FLAVOR = """
from typing import ClassVar, Set

from zenml.artifact_stores import BaseArtifactStore


class MyCustomArtifactStore(BaseArtifactStore):
    \"\"\"Custom artifact store implementation.\"\"\"

    # Class configuration
    FLAVOR: ClassVar[str] = "custom"
    SUPPORTED_SCHEMES: ClassVar[Set[str]] = {"custom://"}

    ...
"""

RUN = """
from zenml.pipelines import pipeline
from zenml.steps import step

@step
def one() -> int:
    return 1

@pipeline
def example():
    one()

pipeline = example()
pipeline.run(runtime_param_1=3, another_param='luna')

from zenml.repository import Repository


repo = Repository()
print(repo.get_pipeline("example").runs[-1].runtime_configuration)
"""


def python(text: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def zenml(*arguments: str) -> str:
    command = [str(Path(sys.executable).with_name("zenml")), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "COLUMNS": "200"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_active_stack_is_accessed() -> None:
    name, orchestrator, artifact_store, path, metadata_store, uri = python(ACCESS)
    assert {name, orchestrator, artifact_store, metadata_store} == {"default"}
    assert uri == f"{path}/metadata.db"


def test_a_stack_is_registered_and_activated() -> None:
    python(REGISTER)
    assert python(ACCESS) == [
        "local",
        "local",
        "local",
        "/tmp/zenml/artifacts",
        "local",
        "/tmp/zenml/zenml.db",
    ]


@pytest.mark.parametrize("text", [INTERFACES, BASE, FLAVOR], ids=["component", "base", "flavor"])
def test_interfaces_are_as_shown(text: str) -> None:
    python(text)


def test_a_custom_flavor_is_registered_and_listed() -> None:
    zenml("init")
    package = Path("path")
    package.mkdir()
    (package / "to.py").write_text(FLAVOR)
    zenml("artifact-store", "flavor", "register", "path.to.MyCustomArtifactStore")
    rows = [
        line.split("│") for line in zenml("artifact-store", "flavor", "list").splitlines() if "custom" in line
    ]
    assert [cell.strip(" ┃") for cell in rows[0]] == ["custom", "", "✅", "path.to.MyCustomArtifactStore"]


def test_runtime_configuration_is_given_to_run() -> None:
    assert python(RUN) == ["{'runtime_param_1': 3, 'another_param': 'luna'}"]
