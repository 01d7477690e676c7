"""Steps on Vertex AI: against a fake that runs jobs as processes, and Google's description of the service."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.engines.clouds import work
from tests.engines.clouds.duties import CloudOperator, JobEngineDuties, job_of, refusal_of, refused_run, until
from tests.engines.clouds.remote_stack import CREDENTIALS, IMAGE
from tests.fakes import https
from tests.fakes.google_accounts import PROJECT
from tests.fakes.vertex import REGION, FakeVertex
from tests.services import free_port
from zenml.enums import CheckOutcome
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.gcp.step_operators import VertexStepOperator
from zenml.integrations.gcp.step_operators.vertex_jobs import VertexJobs
from zenml.jobs import EngineUnreachableError, JobEngine, JobState
from zenml.model.deployment import ResourceSpec
from zenml.stack import StackComponent
from zenml.stack.capacity import Capacity
from zenml.testing.conformance import StepOperatorConformance


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeVertex]:
    fake = FakeVertex(tmp_path / "jobs")
    fake.environment = CREDENTIALS
    monkeypatch.setattr(VertexJobs, "poll_seconds", 0.1)
    (tmp_path / "tls").mkdir()
    with https.served(fake, tmp_path / "tls") as authority:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority))
        (tmp_path / "key.json").write_text(fake.account)
        yield fake
        fake.end()


@pytest.fixture
def operator(fake: FakeVertex, tmp_path: Path) -> VertexStepOperator:
    return VertexStepOperator(
        name="vertex",
        region=REGION,
        base_image=IMAGE,
        service_account_path=str(tmp_path / "key.json"),
        endpoint=fake.url,
        logging_endpoint=fake.url,
        compute_endpoint=fake.url,
    )


class TestVertex(CloudOperator, StepOperatorConformance):
    """Against the fake."""

    machine = ("4", "16.11 GB")
    remedy = "set its `machine_type` to one that has it, or `accelerator_type` and `accelerator_count`"


class TestJobs(JobEngineDuties):
    def test_what_it_does_not_know_is_lost(self, engine: JobEngine) -> None:
        name = f"projects/{PROJECT}/locations/{REGION}/customJobs/1"
        assert engine.states([name])[name].state is JobState.LOST
        engine.cancel(name)

    def test_all_fields_are_what_the_service_knows(
        self, operator: VertexStepOperator, fake: FakeVertex
    ) -> None:
        key = f"projects/{PROJECT}/locations/{REGION}/keyRings/r/cryptoKeys/k"
        network = "projects/123456789012/global/networks/default"
        full = operator.updated(
            {
                "accelerator_type": "NVIDIA_TESLA_T4",
                "accelerator_count": 2,
                "encryption_spec_key_name": key,
                "workload_service_account": "steps@my-project.iam.gserviceaccount.com",
                "network": network,
                "labels": {"team": "digits"},
                "max_jobs": 3,
            }
        )
        engine = full.jobs()
        assert engine.max_jobs == 3
        engine.submit(job_of("0", timeout=60))
        ((body, _),) = fake.jobs.values()
        spec = body["jobSpec"]
        assert body["encryptionSpec"] == {"kmsKeyName": key}
        assert body["labels"] == {"team": "digits"}
        assert (spec["serviceAccount"], spec["network"]) == (
            "steps@my-project.iam.gserviceaccount.com",
            network,
        )
        assert spec["scheduling"] == {"timeout": "360s", "disableRetries": True}
        assert spec["workerPoolSpecs"][0]["machineSpec"] == {
            "machineType": "n1-standard-4",
            "acceleratorType": "NVIDIA_TESLA_T4",
            "acceleratorCount": 2,
        }
        engine.close()

    def test_a_step_gets_the_devices_that_it_asks_for(
        self, operator: VertexStepOperator, fake: FakeVertex
    ) -> None:
        fields = {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 4}
        for family, attached in (("n1-standard-4", 2), ("g2-standard-48", 4)):
            with closing(operator.updated({**fields, "machine_type": family}).jobs()) as engine:
                engine.submit(job_of("0", resources=ResourceSpec(gpu=2)))
            *_, (body, _) = fake.jobs.values()
            assert body["jobSpec"]["workerPoolSpecs"][0]["machineSpec"]["acceleratorCount"] == attached

    def test_a_machine_has_what_compute_engine_says_and_what_is_attached(
        self, operator: VertexStepOperator, fake: FakeVertex
    ) -> None:
        fields = {"accelerator_type": "NVIDIA_TESLA_T4", "accelerator_count": 2}
        with closing(operator.updated(fields).jobs()) as engine:
            assert engine.machine() == Capacity(4, 15360 << 20, ("0", "1"))
        fake.machine_type = {
            "name": "a2-highgpu-1g",
            "guestCpus": 12,
            "memoryMb": 87040,
            "accelerators": [{"guestAcceleratorType": "nvidia-tesla-a100", "guestAcceleratorCount": 1}],
        }
        with closing(operator.updated({"machine_type": "a2-highgpu-1g"}).jobs()) as engine:
            assert engine.machine() == Capacity(12, 87040 << 20, ("0",))

    def test_a_field_that_the_service_does_not_know_would_be_seen(
        self, operator: VertexStepOperator, fake: FakeVertex
    ) -> None:
        engine = operator.updated({"accelerator_type": "ABACUS", "accelerator_count": 1}).jobs()
        with pytest.raises(
            RunError, match="the fields of the step operator .*acceleratorType is 'ABACUS', none of"
        ):
            engine.submit(job_of("0"))
        engine.close()


def test_a_type_of_machine_that_the_region_does_not_have(
    operator: VertexStepOperator, remote: dict[str, StackComponent], tmp_path: Path
) -> None:
    huge = operator.updated({"machine_type": "n1-huge"})
    assert "has no type n1-huge in the region europe-west3. Mend that, or let these steps not" in refused_run(
        huge, remote, tmp_path, work.working()
    )


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        ((403, "PERMISSION_DENIED", "aiplatform.customJobs.create denied"), "roles/aiplatform.user"),
        ((429, "RESOURCE_EXHAUSTED", "Quota custom_model_training_cpus exceeded"), "Set `max_jobs` to how"),
        ((400, "INVALID_ARGUMENT", "Machine type n1-huge is not supported"), "Mend the fields of the step"),
        ((404, "NOT_FOUND", "The network was not found"), "there is no such project or resource"),
    ],
)
def test_what_is_refused_says_what_to_do(
    operator: VertexStepOperator, fake: FakeVertex, refusal: tuple[int, str, str], told: str
) -> None:
    fake.refusal = refusal
    said = refusal_of(operator)
    assert told in said
    assert refusal[2] in said
    assert fake.jobs == {}


def test_a_busy_service_is_not_a_refusal(operator: VertexStepOperator, fake: FakeVertex) -> None:
    fake.refusal = (503, "UNAVAILABLE", "The service is currently unavailable")
    engine = operator.jobs()
    with pytest.raises(EngineUnreachableError, match="it is busy. Try again later"):
        engine.submit(job_of("0"))
    engine.close()


def test_credentials_that_end_while_a_job_runs_may_come_back(
    operator: VertexStepOperator, fake: FakeVertex
) -> None:
    engine = operator.jobs()
    id = engine.submit(job_of("0"))
    tokens, fake.tokens = fake.tokens, set()
    fake.private, key = "", fake.public
    fake.public = key.replace(b"A", b"B")
    with pytest.raises(EngineUnreachableError, match="the credentials are not accepted, or have expired"):
        engine.states([id])
    fake.tokens, fake.public = tokens, key
    assert until(engine, id, lambda s: s.state.is_finished).state is JobState.SUCCEEDED
    engine.close()


def test_nothing_answers(operator: VertexStepOperator) -> None:
    engine = operator.updated({"endpoint": f"https://127.0.0.1:{free_port()}"}).jobs()
    with pytest.raises(EngineUnreachableError, match="nothing answers there. Are the region and the network"):
        engine.submit(job_of("0"))
    engine.close()


def test_keys_that_cannot_be_used(
    operator: VertexStepOperator, fake: FakeVertex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StackValidationError, match="no-key.json' .* cannot be read: No such file"):
        operator.updated({"service_account_path": str(tmp_path / "no-key.json")}).jobs()
    (tmp_path / "canary.json").write_text('{"private_key": "canary"}')
    with pytest.raises(StackValidationError, match="is no key of a service account") as refused:
        operator.updated({"service_account_path": str(tmp_path / "canary.json")}).jobs()
    assert "{" not in str(refused.value)
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    with pytest.raises(StackValidationError, match="has no credentials. Log in with `gcloud auth"):
        operator.updated({"service_account_path": None}).jobs()


def test_the_default_credentials_name_the_project(
    operator: VertexStepOperator, fake: FakeVertex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "key.json"))
    checks = operator.updated({"service_account_path": None}).check()
    assert {check.outcome for check in checks} == {CheckOutcome.OK}
    account = json.loads(fake.account)
    del account["project_id"]
    (tmp_path / "key.json").write_text(json.dumps(account))
    with pytest.raises(StackValidationError, match="its credentials name none: set the field `project`"):
        operator.updated({"service_account_path": None}).jobs()


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"region": "Frankfurt"}, "'Frankfurt' is no region: expected one as europe-west3"),
        ({"accelerator_type": "NVIDIA_TESLA_T4"}, "accelerator_type and accelerator_count belong together"),
        ({"labels": {"Team": "a"}}, "'Team': 'a' is no label"),
        ({"accelerator_count": -1}, "accelerator_count"),
    ],
)
def test_fields_that_cannot_be(fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        VertexStepOperator(**{"name": "v", "region": REGION, **fields})
    assert told in str(refused.value)
