"""The commands of docs/guide/{sagemaker,vertex,azureml}.md work, on fakes of the services and servers of their stores."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import make_url

from tests.engines.clouds.remote_stack import IMAGE
from tests.fakes import https
from tests.fakes.azure_identity import IDENTITY_HEADER
from tests.fakes.azure_ml import FakeAzureML
from tests.fakes.google_accounts import PROJECT
from tests.fakes.https import Answer, Asked
from tests.fakes.key_vault import FakeKeyVault
from tests.fakes.sagemaker import FakeSageMaker
from tests.fakes.secret_manager import FakeSecretManager
from tests.fakes.vertex import FakeVertex
from tests.object_stores import BUCKET, S3Server
from zenml.cli import main
from zenml.integrations.aws.step_operators.sagemaker_jobs import SagemakerJobs
from zenml.integrations.azure.step_operators.azureml_jobs import AzureMLJobs
from zenml.integrations.gcp.step_operators.vertex_jobs import VertexJobs

ROOT = Path(__file__).parents[3]
_BLOCK = re.compile(r"^```(python|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@pytest.fixture
def everywhere(postgresql_database: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """What stands in the pages for servers, by what they have in its place."""
    monkeypatch.setattr("zenml.images.build.build_images", lambda deployment, stack: {"step_operator": IMAGE})
    for jobs in (SagemakerJobs, VertexJobs, AzureMLJobs):
        monkeypatch.setattr(jobs, "poll_seconds", 0.1)
    database = make_url(postgresql_database)
    server = f"--host={database.host} --port={database.port} --username={database.username}"
    return {
        "--host=db.example.org --username=zenml --database=zenml": f"{server} --database={database.database}",
        "--password=correct-horse": f"--password={database.password}",
    }


def run_page(name: str, replaced: Mapping[str, str]) -> str:
    """What its commands have printed; they are run in this process, which has no builder of images."""
    page = (ROOT / "docs" / "guide" / f"{name}.md").read_text()
    for word, value in replaced.items():
        page = page.replace(word, value)
    printed = ""
    for language, text in _BLOCK.findall(page):
        if language == "python":
            Path(text.split()[2]).write_text(text)
            continue
        for line in text.splitlines():
            done = CliRunner().invoke(main, shlex.split(line)[1:], prog_name="zenml")
            assert done.exit_code == 0, f"{line}\n{done.output}\n{done.exception!r}"
            printed += done.output
    return printed


def test_sagemaker(
    everywhere: dict[str, str],
    moto_url: str,
    seaweedfs: S3Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake = FakeSageMaker(tmp_path / "jobs")
    fake.sources = Path.cwd()
    # moto takes any credentials.
    fake.environment = {
        "AWS_ACCESS_KEY_ID": "admin",
        "AWS_SECRET_ACCESS_KEY": seaweedfs.password,
        "AWS_ENDPOINT_URL": moto_url,
        "AWS_ENDPOINT_URL_S3": seaweedfs.endpoint,
    }
    for variable, value in fake.environment.items():
        monkeypatch.setenv(variable, value)
    with https.served(fake, tmp_path) as authority:
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        monkeypatch.setenv("AWS_ENDPOINT_URL_SAGEMAKER", fake.url)
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", fake.url)
        printed = run_page("sagemaker", {**everywhere, "my-bucket": BUCKET})
        fake.end()
    assert "completed" in printed
    assert len(fake.jobs) == 1


class FakeGoogleCloud(FakeVertex):
    """Vertex AI and the secret manager at one address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.manager = FakeSecretManager()
        self.manager.tokens = self.tokens

    def answer(self, asked: Asked) -> Answer:
        if asked.path.startswith(f"/v1/projects/{PROJECT}/secrets"):
            return self.manager.answer(asked)
        return super().answer(asked)


def test_vertex(
    everywhere: dict[str, str], gcs_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeGoogleCloud(tmp_path / "jobs")
    fake.sources = Path.cwd()
    with https.served(fake, tmp_path) as authority:
        key = tmp_path / "key.json"
        key.write_text(fake.account)
        fake.environment = {
            "GOOGLE_APPLICATION_CREDENTIALS": str(key),
            "REQUESTS_CA_BUNDLE": str(authority),
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }
        for variable, value in fake.environment.items():
            monkeypatch.setenv(variable, value)
        printed = run_page(
            "vertex",
            {
                **everywhere,
                "--project_id=my-project": f"--project_id=my-project --endpoint={fake.url}",
                "--path=gs://my-bucket/artifacts": f"--path=gs://{BUCKET}/artifacts --anonymous=true --endpoint_url={gcs_url}",
                "--region=europe-west3": f"--region=europe-west3 --endpoint={fake.url} --logging_endpoint={fake.url}",
            },
        )
        fake.end()
    assert "completed" in printed
    assert len(fake.jobs) == 1


class FakeAzureCloud(FakeAzureML):
    """Azure Machine Learning and a key vault at one address."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.vault = FakeKeyVault()
        self.vault.tokens = self.tokens

    def answer(self, asked: Asked) -> Answer:
        if asked.path.startswith(("/secrets", "/deletedsecrets")):
            self.vault.url = self.url
            return self.vault.answer(asked)
        return super().answer(asked)


def test_azureml(
    everywhere: dict[str, str], azurite_connection: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = FakeAzureCloud(tmp_path / "jobs")
    fake.sources = Path.cwd()
    with https.served(fake, tmp_path) as authority:
        fake.environment = {
            "IDENTITY_ENDPOINT": f"{fake.url}/identity",
            "IDENTITY_HEADER": IDENTITY_HEADER,
            "REQUESTS_CA_BUNDLE": str(authority),
        }
        for variable, value in fake.environment.items():
            monkeypatch.setenv(variable, value)
        printed = run_page(
            "azureml",
            {
                **everywhere,
                "--key_vault_name=my-vault": f"--key_vault_name=my-vault --vault_url={fake.url}",
                "my-container": BUCKET,
                "--connection=CONNECTION": f"--connection='{azurite_connection}'",
                "--compute_target_name=cpus": f"--compute_target_name=cpus --endpoint={fake.url}",
            },
        )
        fake.end()
    assert "completed" in printed
    assert len(fake.jobs) == 1
