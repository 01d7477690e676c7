"""A pipeline that serves the model it has trained."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import RegressorMixin
from sklearn.linear_model import LinearRegression

from zenml.artifact_stores import LocalArtifactStore
from zenml.enums import StackComponentType
from zenml.exceptions import DoesNotExistException, StackValidationError
from zenml.experiment_trackers import LocalExperimentTracker
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.model_deployers import LocalModelDeployer, LocalModelServer
from zenml.model_deployers.steps import LocalModelDeployerConfig, local_model_deployer_step
from zenml.orchestrators import LocalOrchestrator
from zenml.pipelines import pipeline
from zenml.repository import Repository
from zenml.services import load_last_service_from_step
from zenml.stack import Stack
from zenml.steps import StepContext, step


@pytest.fixture
def deployer(tmp_path: Path) -> Iterator[LocalModelDeployer]:
    """It is in the active stack, with an experiment tracker."""
    deployer = LocalModelDeployer(name="servers", path=str(tmp_path / "servers"))
    activate(tmp_path, deployer)
    yield deployer
    for server in deployer.find_model_server():
        deployer.delete_model_server(server.uuid, timeout=5, force=True)


def activate(folder: Path, deployer: LocalModelDeployer | None) -> None:
    stack = Stack(
        name="serving",
        orchestrator=LocalOrchestrator(name="here"),
        metadata_store=SQLiteMetadataStore(name="records", uri=str(folder / "metadata.db")),
        artifact_store=LocalArtifactStore(name="files", path=str(folder / "files")),
        experiment_tracker=LocalExperimentTracker(name="tracker"),
        model_deployer=deployer,
    )
    repository = Repository()
    repository.register_stack(stack)
    repository.activate_stack("serving")


@step
def train(context: StepContext, slope: float = 2.0) -> RegressorMixin:
    x = np.array([[0.0], [1.0], [2.0]])
    tracker = context.stack.experiment_tracker
    assert tracker is not None
    tracker.log_params({"slope": slope})
    for epoch in range(2):
        tracker.log_metrics({"loss": 1.0 / (epoch + 1)}, step=epoch)
    return LinearRegression().fit(x, x[:, 0] * slope)


@step
def decide(model: RegressorMixin, deploy: bool = True) -> bool:
    return deploy


@pipeline
def serving(trainer, decider, server):
    model = trainer()
    server(deploy_decision=decider(model), model=model)


def run(slope: float, *, deploy: bool) -> LocalModelServer:
    serving(
        trainer=train(slope=slope),
        decider=decide(deploy=deploy),
        server=local_model_deployer_step(config=LocalModelDeployerConfig(model_name="line", timeout=60)),
    ).run()
    service = load_last_service_from_step("serving", "server")
    assert isinstance(service, LocalModelServer)
    return service


def test_a_run_serves_its_model_and_the_next_one_replaces_it(deployer: LocalModelDeployer) -> None:
    never = run(1.0, deploy=False)
    assert never.is_stopped
    first = run(2.0, deploy=True)
    assert first.predict([[3.0]]) == pytest.approx([6.0])
    assert first.config.pipeline_name == "serving"
    assert first.config.pipeline_step_name == "server"
    kept = run(3.0, deploy=False)
    assert kept.uuid == first.uuid
    assert kept.predict([[3.0]]) == pytest.approx([6.0])
    second = run(3.0, deploy=True)
    assert second.uuid == first.uuid
    assert second.predict([[3.0]]) == pytest.approx([9.0])
    assert len(deployer.find_model_server(running=True, pipeline_name="serving")) == 1

    repository = Repository()
    store = repository.active_stack.metadata_store
    (pipeline_record,) = store.pipelines()
    oldest = store.runs(pipeline_record.id)[0]
    trained = next(record for record in store.steps(oldest.id) if record.name == "trainer")
    assert [(m.name, m.value, m.step) for m in store.metrics(trained.id)] == [
        ("loss", 1.0, 0),
        ("loss", 0.5, 1),
    ]
    assert store.logged_parameters(trained.id) == {"slope": "1.0"}


def test_what_is_not_there_is_named(deployer: LocalModelDeployer) -> None:
    with pytest.raises(DoesNotExistException, match="There is no pipeline 'serving'"):
        load_last_service_from_step("serving", "server")


def test_a_stack_without_a_deployer_is_named(tmp_path: Path) -> None:
    activate(tmp_path, None)
    with pytest.raises(StackValidationError, match="has no model deployer of flavor 'local'"):
        run(1.0, deploy=True)
    assert StackComponentType.MODEL_DEPLOYER not in Repository().active_stack.components
