import json
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.cli.conftest import Zenml
from tests.unit.model_deployers.models import Line
from zenml.artifact_stores import LocalArtifactStore
from zenml.materializers.values import write_value
from zenml.model_deployers import LocalModelServer, LocalModelServerConfig
from zenml.repository import Repository


@pytest.fixture
def deployed(quiet: Zenml, tmp_path: Path) -> Iterator[LocalModelServer]:
    """A model that doubles, served by the model deployer of the active stack."""
    quiet("model-deployer", "register", "here", "-f", "local", f"--path={tmp_path}/servers")
    quiet("stack", "update", "-d", "here")
    store = LocalArtifactStore(name="store", path=str(tmp_path / "artifacts"))
    deployer = Repository().active_stack.model_deployer
    assert deployer is not None
    model = write_value("model", Line(2.0), f"{store.path}/model", store)
    server = deployer.deploy_model(
        LocalModelServerConfig(model_name="double", pipeline_name="training", artifact=model), timeout=60
    )
    assert isinstance(server, LocalModelServer)
    yield server
    for left in deployer.find_model_server():
        deployer.delete_model_server(left.uuid, timeout=5, force=True)


def test_the_life_of_a_server(quiet: Zenml, deployed: LocalModelServer) -> None:
    uuid = str(deployed.uuid)
    (listed,) = json.loads(quiet("served-models", "list", "--running", "-m", "double", "-o", "json").stdout)
    assert listed == {
        "status": "active",
        "uuid": uuid,
        "pipeline_name": "training",
        "pipeline_step_name": "",
        "model_name": "double",
    }
    header = quiet("served-models", "list").stdout.splitlines()[1]
    assert [cell.strip("┃ ")[:6] for cell in header.split("│")] == [
        "STATUS",
        "UUID",
        "PIPELI",
        "PIPELI",
        "MODEL_",
    ]
    assert quiet("served-models", "list", "-p", "other").stdout == "No served models found.\n"
    assert (
        quiet("served-models", "describe", uuid).stdout.splitlines()[0].strip()
        == f"Properties of Served Model {uuid}"
    )
    assert quiet("served-models", "get-url", uuid).stdout == f"{deployed.prediction_url}\n"
    assert deployed.predict([[3.0]]) == [6.0]
    assert "POST /predict" in quiet("served-models", "logs", uuid, "--tail", "5").stdout

    assert quiet("served-models", "stop", uuid, "-y", "-t", "20").stdout == f"Stopped served model {uuid}.\n"
    assert quiet("served-models", "list", "--running").stdout == "No served models found.\n"
    assert quiet("served-models", "start", uuid, "-t", "60").stdout == f"Started served model {uuid}.\n"
    assert quiet("served-models", "delete", uuid).exit_code == 2  # nobody there to agree
    assert quiet("served-models", "delete", uuid, "-y").stdout == f"Deleted served model {uuid}.\n"
    assert quiet("served-models", "list").stdout == "No served models found.\n"


def test_mistakes(quiet: Zenml) -> None:
    missing = quiet("served-models", "list")
    assert missing.exit_code == 1
    assert missing.stderr.startswith(
        "Error: The active stack 'default' has no model deployer. Register one with `zenml model-deployer"
    )
    quiet("model-deployer", "register", "here", "-f", "local")
    quiet("stack", "update", "-d", "here")
    for command in ("describe", "get-url", "start", "logs", "stop -y", "delete -y"):
        verb, *options = command.split()
        unknown = quiet("served-models", verb, str(uuid4()), *options)
        assert unknown.exit_code == 1, command
        assert "The model deployer 'here' has no server with the uuid" in unknown.stderr
        assert quiet("served-models", verb, "17", *options).exit_code == 2
