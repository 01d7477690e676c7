"""A pipeline, one step of which has its own virtual environment."""

import sys
from pathlib import Path

import pytest

from tests.unit.step_operators.test_venv_step_operator import wheel
from zenml.artifact_stores import LocalArtifactStore
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.repository import Repository
from zenml.stack import Stack
from zenml.step_operators import VenvStepOperator

CODE = """
import sys
from zenml.pipelines import pipeline
from zenml.steps import step

@step
def here() -> str:
    return sys.prefix

@step(custom_step_operator="own")
def there(where: str) -> str:
    import demo_tool
    return f"{demo_tool.answer} {sys.prefix != where}"

@step(custom_step_operator="own")
def broken(where: str) -> str:
    raise ValueError("no good")

@pipeline(enable_cache=False, requirements=[REQUIREMENT])
def good():
    there(here())

@pipeline(enable_cache=False, requirements=[REQUIREMENT])
def bad():
    broken(here())
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    repository = Repository()
    repository.register_stack(
        Stack(
            name="own",
            orchestrator=LocalOrchestrator(name="here"),
            metadata_store=SQLiteMetadataStore(name="records", uri=str(tmp_path / "metadata.db")),
            artifact_store=LocalArtifactStore(name="files", path=str(tmp_path / "files")),
            step_operator=VenvStepOperator(name="own", path=str(tmp_path / "environments")),
        )
    )
    repository.activate_stack("own")
    requirement = wheel(tmp_path, "demo_tool", "1.0", "answer = 42")
    Path("venv_steps.py").write_text(f"REQUIREMENT = {requirement!r}\n{CODE}")
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "venv_steps", raising=False)
    return "venv_steps"


def test_a_step_uses_a_package_that_is_installed_for_it_alone(module: str) -> None:
    import venv_steps  # type: ignore[import-not-found]

    run = venv_steps.good().run()
    assert run.get_step("there").output.read() == "42 True"
    with pytest.raises(ImportError):
        import demo_tool  # type: ignore[import-not-found] # noqa: F401


def test_a_step_that_fails_there_is_recorded_with_its_own_error(module: str) -> None:
    import venv_steps

    with pytest.raises(Exception, match="ValueError: no good"):
        venv_steps.bad().run()
