"""Packages that are installed, and those that are not."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import pytest

from zenml.engine.packages import environment_of
from zenml.model.deployment import StackSpec
from zenml.pipelines import pipeline
from zenml.pipelines.compiler import compile_pipeline
from zenml.steps import step


def test_packages_go_by_the_names_of_their_distributions():
    found = environment_of({"yaml", "pydantic", "os", "no_such_module", "zenml"})
    assert found.keys() == {"python", "platform", "PyYAML", "pydantic"}
    assert found["python"] == platform.python_version()
    assert found["PyYAML"] == version("PyYAML")


def test_a_deployment_names_the_packages_that_its_project_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "reading.py").write_text(
        "import yaml\ndef read():\n    import sqlalchemy.orm\n    return 1\n"
    )
    (tmp_path / "loading.py").write_text(
        "import click, reading\ndef load() -> int:\n    return reading.read()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    load = step(__import__("loading").load)
    assert "reading" in sys.modules

    @pipeline
    def loading():
        load()

    compiled = compile_pipeline(
        loading(),
        stack=StackSpec("stack", {}),
        run_name="run",
        run_uuid=uuid4(),
        runtime_configuration={},
        enable_cache=True,
    )
    assert {name.lower() for name in compiled.deployment.environment} == {
        "python",
        "platform",
        "pyyaml",
        "sqlalchemy",
        "click",
    }
