"""What the components of Docker say without an engine."""

import sys

import pytest

from zenml.enums import Reach
from zenml.exceptions import ConfigurationError, StackValidationError
from zenml.integrations.docker.engine import DockerEngine
from zenml.integrations.docker.orchestrators import DockerOrchestrator
from zenml.integrations.docker.step_operators import DockerStepOperator
from zenml.testing.isolation import isolated_stack


@pytest.fixture(autouse=True)
def no_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DOCKER_HOST", raising=False)


@pytest.mark.parametrize("class_", [DockerOrchestrator, DockerStepOperator])
@pytest.mark.parametrize(
    ("host", "reach"),
    [
        (None, Reach.HOST),
        ("unix:///run/user/1000/docker.sock", Reach.HOST),
        ("ssh://me@machine", Reach.NETWORK),
        ("tcp://10.0.0.5:2376", Reach.NETWORK),
        # Perhaps a tunnel.
        ("tcp://127.0.0.1:2375", Reach.NETWORK),
    ],
)
def test_where_the_engine_is_says_how_far_steps_are_spread(
    class_: type[DockerEngine], host: str | None, reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert class_(name="docker", host=host).spread is reach
    if host is not None:
        monkeypatch.setenv("DOCKER_HOST", host)
        assert class_(name="docker").spread is reach


def test_containers_share_the_network_of_a_linux_machine() -> None:
    assert DockerOrchestrator(name="docker").network_mode == ("host" if sys.platform == "linux" else None)
    assert DockerOrchestrator(name="docker", host="tcp://10.0.0.5:2376").network_mode is None
    assert DockerOrchestrator(name="docker", network="team").network_mode == "team"


def test_what_an_engine_elsewhere_cannot_reach_is_refused(tmp_path) -> None:
    far = DockerOrchestrator(name="far", host="tcp://10.0.0.5:2376")
    with (
        isolated_stack(tmp_path / "world", secrets={"s": {"k": "v"}}, orchestrator=far) as stack,
        pytest.raises(StackValidationError) as refused,
    ):
        stack.validate()
    told = str(refused.value)
    assert "choose a metadata store that they can reach" in told
    assert "choose a artifact store that they can reach" in told
    assert "secrets manager" not in told, "secrets are carried"


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            {"run_args": {"shm_sise": "1g"}},
            "a container has no argument 'shm_sise'. Did you mean 'shm_size'?",
        ),
        ({"run_args": {"environment": {}}}, "'environment' is decided by steps"),
        ({"volumes": ["/data"]}, "'/data' is no volume: expected SOURCE:TARGET or SOURCE:TARGET:ro"),
        ({"user": "ann"}, "user: "),
        ({"max_parallel_steps": 0}, "max_parallel_steps: "),
    ],
)
def test_what_cannot_be_configured_is_refused(fields: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        DockerOrchestrator(name="docker", **fields)
    assert told in str(refused.value)
