"""Steps in virtual environments of their own."""

import base64
import hashlib
import os
import sys
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import Reach, StackComponentType
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.stack import Stack
from zenml.stack.flavors import find_flavor, load_flavor
from zenml.step_operators import BaseStepOperator, VenvStepOperator


@pytest.fixture
def operator(tmp_path: Path) -> VenvStepOperator:
    return VenvStepOperator(name="own", path=str(tmp_path / "environments"))


@pytest.fixture(autouse=True)
def no_index(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is not in a folder is not to be had."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")


def wheel(folder: Path, name: str, version: str, code: str) -> str:
    """The requirement of a package that is built here, without any tool."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(
        f"{file},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode()},{len(text)}\n"
        for file, text in files.items()
    )
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": f"{record}{info}/RECORD,,\n"}.items():
            archive.writestr(file, text)
    return f"{name} @ {path.as_uri()}"


def launch(operator: VenvStepOperator, code: str, *requirements: str) -> None:
    operator.launch("pipeline", "run-1", list(requirements), [sys.executable, "-c", code])


def test_the_flavor_is_found_by_its_name(operator: VenvStepOperator) -> None:
    assert load_flavor(find_flavor(StackComponentType.STEP_OPERATOR, "venv")) is VenvStepOperator
    assert operator.spread is Reach.HOST


def test_a_step_has_its_requirements_and_this_zenml(
    operator: VenvStepOperator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    requirement = wheel(tmp_path, "demo_tool", "1.0", "answer = 42")
    code = "import sys, demo_tool, zenml, pydantic; print(demo_tool.answer, zenml.__file__, sys.prefix)"
    launch(operator, code, requirement)
    answer, package, prefix = capfd.readouterr().out.split()
    assert answer == "42"
    assert Path(package) == Path(sys.modules["zenml"].__file__ or "")
    assert Path(prefix).parent == tmp_path / "environments"


def test_the_requirements_go_before_what_is_installed_here(
    operator: VenvStepOperator, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    requirement = wheel(tmp_path, "iniconfig", "99.0", "version = 'of the step'")
    launch(operator, "import iniconfig; print(iniconfig.version)", requirement)
    assert capfd.readouterr().out == "of the step\n"


def test_an_environment_is_made_once_for_a_set_of_requirements(
    operator: VenvStepOperator, tmp_path: Path
) -> None:
    one = wheel(tmp_path, "one", "1.0", "")
    two = wheel(tmp_path, "two", "1.0", "")
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda order=order: found.append(operator.environment(order)))
        for order in ([one, two], [two, "", one], [one, one, two])
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    assert operator.environment([one]) != found[0]


def test_output_goes_where_this_processs_goes(
    operator: VenvStepOperator, capsys: pytest.CaptureFixture[str]
) -> None:
    launch(operator, "import sys; print('ä line'); print('a warning', file=sys.stderr)")
    assert capsys.readouterr() == ("ä line\n", "a warning\n")


def test_a_failure_shows_the_last_lines(operator: VenvStepOperator) -> None:
    code = "import sys\nfor i in range(50): print('line', i)\nsys.exit(3)"
    with pytest.raises(RunError) as caught:
        launch(operator, code)
    message = str(caught.value)
    assert "A step of the run 'run-1' ended with the exit code 3 in the virtual environment" in message
    assert "  line 49" in message
    assert "  line 29\n" not in message


def test_what_cannot_be_installed_is_named_and_leaves_nothing(
    operator: VenvStepOperator, tmp_path: Path
) -> None:
    with pytest.raises(RunError) as caught:
        launch(operator, "pass", "no-such-tool-here==1.0")
    message = str(caught.value)
    assert "The step operator 'own' cannot install the requirements no-such-tool-here==1.0." in message
    assert "No matching distribution found for no-such-tool-here==1.0" in message
    assert [path.suffix for path in (tmp_path / "environments").iterdir()] == [".lock"]


def test_an_environment_that_was_not_finished_is_made_anew(operator: VenvStepOperator) -> None:
    python = operator.environment([])
    folder = python.parent.parent
    (folder / "complete").unlink()
    (folder / "half").touch()
    assert operator.environment([]) == python
    assert not (folder / "half").exists()


@pytest.mark.parametrize("requirement", ["zenml", "zenml==0.10.0", "ZenML[all]>=1", "zenml @ file:///x.whl"])
def test_the_framework_itself_is_never_installed(operator: VenvStepOperator, requirement: str) -> None:
    with pytest.raises(ConfigurationError, match="names this framework itself: leave it out"):
        operator.environment([requirement])


def test_options_of_pip_are_no_requirements(operator: VenvStepOperator) -> None:
    with pytest.raises(RunError, match="cannot install the requirements --index-url=http://nowhere"):
        operator.environment(["--index-url=http://nowhere"])


def test_a_stack_must_reach_where_its_steps_are_executed(tmp_path: Path) -> None:
    class Elsewhere(BaseStepOperator):
        FLAVOR: ClassVar[str] = "elsewhere"

        def launch(
            self, pipeline_name: str, run_name: str, requirements: list[str], entrypoint_command: list[str]
        ) -> None: ...

    def stack(operator: BaseStepOperator) -> Stack:
        return Stack(
            name="s",
            orchestrator=LocalOrchestrator(name="o"),
            metadata_store=SQLiteMetadataStore(name="m", uri=str(tmp_path / "metadata.db")),
            artifact_store=LocalArtifactStore(name="files", path=str(tmp_path / "store")),
            step_operator=operator,
        )

    stack(VenvStepOperator(name="own", path=str(tmp_path))).validate()
    with pytest.raises(
        StackValidationError, match=r"'far' executes cannot reach .*the artifact store 'files'"
    ):
        stack(Elsewhere(name="far")).validate()


def test_secrets_of_the_environment_are_passed_on_in_the_environment(
    operator: VenvStepOperator, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_PASSWORD", "hidden")
    launch(
        operator, "import os, sys; print(os.environ['DATABASE_PASSWORD'] == 'hidden', 'hidden' in sys.argv)"
    )
    assert capfd.readouterr().out == "True False\n"
    assert os.environ["DATABASE_PASSWORD"] == "hidden"
