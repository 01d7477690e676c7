"""Steps on Azure Machine Learning: against a fake that runs jobs as processes, and the models of Azure's management library."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.clouds import work
from tests.engines.clouds.duties import CloudOperator, JobEngineDuties, job_of, refusal_of, refused_run, until
from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.azure_identity import IDENTITY_HEADER, PRINCIPAL, TENANT
from tests.fakes.azure_ml import COMPUTE, GROUP, SUBSCRIPTION, WORKSPACE, FakeAzureML
from tests.services import free_port
from zenml.enums import CheckOutcome
from zenml.exceptions import ConfigurationError, RunError
from zenml.integrations.azure.step_operators import AzureMLStepOperator
from zenml.integrations.azure.step_operators.azureml_jobs import AzureMLJobs
from zenml.jobs import EngineUnreachableError, JobEngine, JobState
from zenml.stack import StackComponent
from zenml.testing import isolated_stack
from zenml.testing.conformance import StepOperatorConformance


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAzureML]:
    fake = FakeAzureML(tmp_path / "jobs")
    fake.environment = CREDENTIALS
    monkeypatch.setattr(AzureMLJobs, "poll_seconds", 0.1)
    (tmp_path / "tls").mkdir()
    with https.served(fake, tmp_path / "tls") as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("IDENTITY_ENDPOINT", f"{fake.url}/identity")
        monkeypatch.setenv("IDENTITY_HEADER", IDENTITY_HEADER)
        yield fake
        fake.end()


@pytest.fixture
def operator(fake: FakeAzureML) -> AzureMLStepOperator:
    return AzureMLStepOperator(
        name="azureml",
        subscription_id=SUBSCRIPTION,
        resource_group=GROUP,
        workspace_name=WORKSPACE,
        compute_target_name=COMPUTE,
        docker_base_image=IMAGE,
        endpoint=fake.url,
    )


class TestAzureML(CloudOperator, StepOperatorConformance):
    """Against the fake."""

    machine = ("4", "15.03 GB")
    remedy = "set its `compute_target_name` to a compute of machines that have it"


class TestJobs(JobEngineDuties):
    def test_what_it_does_not_know_is_lost(self, engine: JobEngine) -> None:
        assert engine.states(["z-none"])["z-none"].state is JobState.LOST

    def test_an_image_is_registered_once(self, engine: JobEngine, fake: FakeAzureML) -> None:
        for name in ("z-1", "z-2"):
            engine.submit(job_of("0", name=name))
        engine.submit(job_of("0", name="z-3", image="registry.example.org/zenml:2"))
        assert [body["properties"]["image"] for body in fake.environments.values()] == [
            IMAGE,
            "registry.example.org/zenml:2",
        ]
        assert {path.split("/")[-3] for path in fake.environments} == {"zenml"}

    def test_a_creation_that_is_repeated_starts_nothing_new(
        self, engine: JobEngine, fake: FakeAzureML
    ) -> None:
        assert engine.submit(job_of("0")) == engine.submit(job_of("0"))
        assert len(fake.jobs) == 1

    def test_the_time_of_a_job_is_bounded(self, engine: JobEngine, fake: FakeAzureML) -> None:
        body, _ = fake.jobs[engine.submit(job_of("0", timeout=60))]
        assert body["properties"]["limits"] == {"jobLimitsType": "Command", "timeout": "PT360S"}
        assert body["properties"]["experimentName"] == "my-pipeline"
        assert body["properties"]["tags"] == {"pipeline": "my pipeline", "run": "a run", "step": "work[3]"}


def test_a_service_principal(
    operator: AzureMLStepOperator, fake: FakeAzureML, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", fake.url)
    monkeypatch.setenv("PRINCIPAL_PASSWORD", PRINCIPAL["client_secret"])
    principal = operator.updated(
        {
            "tenant_id": TENANT,
            "service_principal_id": PRINCIPAL["client_id"],
            "service_principal_password": "{{env.PRINCIPAL_PASSWORD}}",
        }
    )
    assert {check.outcome for check in principal.check()} == {CheckOutcome.OK}
    monkeypatch.setenv("PRINCIPAL_PASSWORD", "wrong-password")
    engine = principal.jobs()
    with pytest.raises(
        RunError, match="the credentials are missing, not accepted or expired. Log in"
    ) as refused:
        engine.submit(job_of("0"))
    engine.close()
    assert "wrong-password" not in str(refused.value)


def test_secrets_of_what_starts_jobs_are_not_needed_in_them(
    operator: AzureMLStepOperator,
    fake: FakeAzureML,
    remote: dict[str, StackComponent],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AZURE_AUTHORITY_HOST", fake.url)
    monkeypatch.setenv("PRINCIPAL_PASSWORD", PRINCIPAL["client_secret"])
    principal = operator.updated(
        {
            "name": "operator",
            "tenant_id": TENANT,
            "service_principal_id": PRINCIPAL["client_id"],
            "service_principal_password": "{{env.PRINCIPAL_PASSWORD}}",
        }
    )
    with isolated_stack(tmp_path / "world", step_operator=principal, **remote):
        assert work.working().run().get_step("work").output.read() == 1
    ((body, process),) = fake.jobs.values()
    assert PRINCIPAL["client_secret"] not in repr((body, process.command))


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ((401, "ExpiredAuthenticationToken", "The access token expiry UTC time is past"), "Log in with `az"),
        ((403, "AuthorizationFailed", "The client does not have authorization"), "'AzureML Data Scientist'"),
        ((400, "UserError", "Quota of Standard_NC6 exceeded"), "a quota is raised in the portal"),
        ((404, "ParentResourceNotFound", "Workspace not found"), "there is no such workspace or compute"),
    ],
)
def test_what_is_refused_says_what_to_do(
    operator: AzureMLStepOperator, fake: FakeAzureML, refusal: tuple[int, str, str], told: str
) -> None:
    fake.refusal = refusal
    said = refusal_of(operator)
    assert told in said
    assert refusal[2] in said
    assert fake.jobs == {}


def test_a_service_that_is_busy_for_a_moment_is_asked_again(
    operator: AzureMLStepOperator, fake: FakeAzureML
) -> None:
    fake.refusal = (503, "ServiceUnavailable", "The service is unavailable")
    engine = operator.jobs()
    id = engine.submit(job_of("0"))
    assert until(engine, id, lambda s: s.state.is_finished).state is JobState.SUCCEEDED
    engine.close()


def test_nothing_answers(operator: AzureMLStepOperator) -> None:
    engine = operator.updated({"endpoint": f"https://127.0.0.1:{free_port()}"}).jobs()
    with pytest.raises(EngineUnreachableError, match="nothing answers there. Is the network right"):
        engine.submit(job_of("0"))
    engine.close()


def test_there_are_no_credentials(operator: AzureMLStepOperator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "another")
    (_, jobs) = operator.check()
    assert "the credentials are missing, not accepted or expired. Log in with `az login`" in jobs.message


def test_a_compute_that_is_not_there(operator: AzureMLStepOperator, fake: FakeAzureML) -> None:
    (_, jobs) = operator.updated({"compute_target_name": "gpus"}).check()
    assert (jobs.outcome, jobs.what) == (CheckOutcome.FAILED, "jobs")
    fake.compute_state = "Creating"
    (_, jobs) = operator.check()
    assert "The compute 'cpus' is not there yet: its state is Creating" in jobs.message


def test_what_a_compute_has_that_nobody_knows(
    operator: AzureMLStepOperator, fake: FakeAzureML, remote: dict[str, StackComponent], tmp_path: Path
) -> None:
    fake.compute_type = "Kubernetes"
    assert refused_run(operator, remote, tmp_path, work.working()) == (
        "Steps say what they need (work), but what a machine of the step operator 'operator' has cannot be seen: The compute 'cpus' is of "
        "the type Kubernetes, of which nobody says what machines have. Mend that, or let these steps not say it."
    )


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"compute_target_name": "/subscriptions/1/computes/c"}, "is no name: expected it alone"),
        ({"tenant_id": TENANT}, "belong together: given is tenant_id alone"),
        ({"endpoint": "http://management.azure.com"}, "'http://management.azure.com' is no address"),
    ],
)
def test_fields_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        AzureMLStepOperator(
            **{
                "name": "a",
                "subscription_id": SUBSCRIPTION,
                "resource_group": GROUP,
                "workspace_name": WORKSPACE,
                "compute_target_name": COMPUTE,
                **fields,
            }
        )
    assert told in str(refused.value)
