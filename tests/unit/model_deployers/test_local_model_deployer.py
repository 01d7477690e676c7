# ruff: noqa: S310 - the addresses are those of our own servers
"""Models that answer requests."""

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tests.unit.model_deployers.models import Line
from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import StackComponentType
from zenml.exceptions import ConfigurationError, DoesNotExistException, ProvisioningError, RunError
from zenml.materializers.values import write_value
from zenml.model.runs import ArtifactRecord
from zenml.model_deployers import LocalModelDeployer, LocalModelServer, LocalModelServerConfig
from zenml.model_deployers.local_model_server import artifact_json
from zenml.services import ServiceConfig
from zenml.stack.flavors import find_flavor, load_flavor


@pytest.fixture
def store(tmp_path: Path) -> LocalArtifactStore:
    return LocalArtifactStore(name="store", path=str(tmp_path / "artifacts"))


@pytest.fixture
def model(store: LocalArtifactStore) -> ArtifactRecord:
    """It doubles."""
    return line(store, "model", 2.0)


def line(store: LocalArtifactStore, name: str, slope: float) -> ArtifactRecord:
    return write_value(name, Line(slope), f"{store.path}/{name}", store)


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[LocalModelDeployer]:
    deployer = LocalModelDeployer(name="here", path=str(tmp_path / "servers"))
    yield deployer
    for server in deployer.find_model_server():
        deployer.delete_model_server(server.uuid, timeout=5, force=True)


def ask(server: LocalModelServer, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
    request = urllib.request.Request(
        str(server.prediction_url), data=body, headers={"Content-Type": "application/json", **headers}
    )
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


def test_the_flavor_is_found_by_its_name() -> None:
    assert load_flavor(find_flavor(StackComponentType.MODEL_DEPLOYER, "local")) is LocalModelDeployer


def test_a_model_is_served_stopped_started_and_deleted(
    deployer: LocalModelDeployer, store: LocalArtifactStore, tmp_path: Path
) -> None:
    x = np.array([[0.0], [1.0], [2.0]])
    model = write_value("fitted", LinearRegression().fit(x, x[:, 0] * 2), f"{store.path}/fitted", store)
    file = tmp_path / "model.json"
    file.write_text(artifact_json(model))
    server = deployer.deploy_model(
        LocalModelServerConfig(model_name="double", artifact=str(file)), timeout=60
    )
    assert server.predict([[3.0], [4.0]]) == pytest.approx([6.0, 8.0])
    assert server.predict(np.array([[5.0]])) == pytest.approx([10.0])
    assert ask(server, b'{"instances": [[1.0]]}') == (200, {"predictions": [pytest.approx(2.0)]})

    info = deployer.get_model_server_info(server)
    assert info["MODEL_NAME"] == "double"
    assert info["MODEL_URI"] == model.uri
    assert info["PREDICTION_URL"].startswith("http://127.0.0.1:")

    deployer.stop_model_server(server.uuid, timeout=10)
    assert deployer.find_model_server(running=True) == []
    with pytest.raises(RunError, match="does not answer at http://127"):
        server.predict([[1.0]])
    deployer.start_model_server(server.uuid, timeout=60)
    assert server.predict([[1.0]]) == pytest.approx([2.0])
    assert any('"POST /predict HTTP/1.1" 200' in text for text in deployer.get_model_server_logs(server.uuid))

    deployer.delete_model_server(server.uuid, timeout=10)
    assert deployer.find_model_server() == []
    assert list((tmp_path / "servers").iterdir()) == []


def test_servers_are_found_by_what_is_known_of_them(
    deployer: LocalModelDeployer, model: ArtifactRecord
) -> None:
    for name, pipeline in (("a", "p"), ("b", "p"), ("a", "q")):
        deployer.deploy_model(
            LocalModelServerConfig(model_name=name, pipeline_name=pipeline, artifact=model), timeout=0
        )
    assert len(deployer.find_model_server()) == 3
    assert len(deployer.find_model_server(pipeline_name="p")) == 2
    (found,) = deployer.find_model_server(model_name="a", pipeline_name="q", model_uri=model.uri)
    assert found.config.pipeline_name == "q"
    assert deployer.find_model_server(service_uuid=found.uuid) == [found]
    assert deployer.find_model_server(model_type="nothing") == []


def test_replacing_keeps_the_address_and_a_failure_keeps_the_old_model(
    deployer: LocalModelDeployer, model: ArtifactRecord, store: LocalArtifactStore
) -> None:
    first = deployer.deploy_model(LocalModelServerConfig(model_name="line", artifact=model), timeout=60)
    triple = line(store, "triple", 3.0)
    second = deployer.deploy_model(
        LocalModelServerConfig(model_name="line", artifact=triple), replace=True, timeout=60
    )
    assert second.uuid == first.uuid
    assert second.prediction_url == first.prediction_url
    assert second.predict([[1.0]]) == pytest.approx([3.0])

    broken = line(store, "broken", 4.0)
    for entry in broken.manifest:
        path = Path(broken.uri) / entry.path
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ProvisioningError, match="corrupted"):
        deployer.deploy_model(
            LocalModelServerConfig(model_name="line", artifact=broken), replace=True, timeout=60
        )
    assert second.predict([[1.0]]) == pytest.approx([3.0])
    assert len(deployer.find_model_server(running=True)) == 1


def test_a_request_that_cannot_be_answered_says_why(
    deployer: LocalModelDeployer, model: ArtifactRecord
) -> None:
    server = deployer.deploy_model(
        LocalModelServerConfig(artifact=model, max_request_bytes=100, token="letmein"), timeout=60
    )
    good = {"Authorization": "Bearer letmein"}
    fine = b'{"instances": [[1.0]]}'
    assert ask(server, fine)[0] == 401
    assert ask(server, fine, Authorization="Bearer letmeout")[0] == 401
    assert ask(server, fine, **good)[0] == 200
    assert ask(server, b"no json", **good) == (400, {"error": "the body is no JSON"})
    assert ask(server, b"[1]", **good) == (400, {"error": 'the body must be {"instances": [...]}'})
    assert ask(server, b" " * 101, **good) == (413, {"error": "the body has 101 bytes, 100 are the most"})
    assert ask(server, fine, **good, **{"Content-Type": "text/plain"})[0] == 415
    code, answer = ask(server, b'{"instances": [[1.0, 2.0]]}', **good)
    assert (code, answer["error"].split(":")[0]) == (500, "ValueError")
    assert server.predict([[1.0]]) == pytest.approx([2.0])  # with the token it was made with
    with pytest.raises(RunError, match=r"refused the request \(401\): a token is needed"):
        server.predict([[1.0]], token="wrong")
    with urllib.request.urlopen(str(server.prediction_url).replace("predict", "health")) as response:
        assert json.load(response) == {"model": "model"}


def test_the_token_is_written_nowhere(
    deployer: LocalModelDeployer, model: ArtifactRecord, tmp_path: Path
) -> None:
    config = LocalModelServerConfig(artifact=model, token="a-long-secret")
    server = deployer.deploy_model(config, timeout=60)
    server.predict([[1.0]])
    for file in (tmp_path / "servers").rglob("*"):
        assert file.is_dir() or b"a-long-secret" not in file.read_bytes()
    assert "a-long-secret" not in repr(config) + repr(server)


def test_an_address_for_others_needs_a_token(model: ArtifactRecord) -> None:
    with pytest.raises(ValueError, match=r"at '0\.0\.0\.0' without asking who they are: set `token`"):
        LocalModelServerConfig(artifact=model, host="0.0.0.0")  # noqa: S104 - refused


def test_a_value_without_predict_is_refused_with_the_log(
    deployer: LocalModelDeployer, store: LocalArtifactStore
) -> None:
    record = write_value("words", ["no", "model"], f"{store.path}/words", store)
    with pytest.raises(ProvisioningError, match="has no method `predict`"):
        deployer.deploy_model(LocalModelServerConfig(artifact=record), timeout=60)


def test_a_file_that_is_no_record_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.json"
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        LocalModelServerConfig(artifact=str(file))
    file.write_text('{"name": "x"}')
    with pytest.raises(ValueError, match="is no record of an artifact: uri: Field required"):
        LocalModelServerConfig(artifact=str(file))


def test_unknown_servers_and_other_configurations_are_refused(deployer: LocalModelDeployer) -> None:
    unknown = uuid4()
    with pytest.raises(DoesNotExistException, match=rf"'here' has no server with the uuid {unknown}"):
        deployer.stop_model_server(unknown)
    with pytest.raises(ConfigurationError, match="deploys a .*LocalModelServerConfig, not a ServiceConfig"):
        deployer.deploy_model(ServiceConfig())


def test_a_server_that_cannot_be_read_is_left_out_with_a_warning(
    deployer: LocalModelDeployer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "servers" / str(uuid4())
    folder.mkdir(parents=True)
    (folder / "service.json").write_text("{")
    assert deployer.find_model_server() == []
    assert "A model server of 'here' is left out" in caplog.text


def test_its_folder_is_one_of_the_configuration_unless_named(home: Path) -> None:
    deployer = LocalModelDeployer(name="anywhere")
    assert Path(deployer.local_path) == home / ".config" / "zenml" / "local_stores" / str(deployer.uuid)
