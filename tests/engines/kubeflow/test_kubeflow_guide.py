"""The commands of docs/guide/kubeflow.md for an endpoint work; those for the local runner are run with the other pages."""

from pathlib import Path

from sqlalchemy.engine import make_url

from tests.aws_batch import BASE_IMAGE
from tests.fakes.kubeflow_pipelines import FakeKubeflowPipelines
from tests.guides import run_guide
from tests.object_stores import BUCKET, S3Server
from zenml.integrations.kubeflow.orchestrators import KubeflowOrchestrator

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "kubeflow.md"


def test_the_guide(
    there: KubeflowOrchestrator,
    kubeflow: FakeKubeflowPipelines,
    amazon: str,
    seaweedfs: S3Server,
    postgresql_database: str,
) -> None:
    url = make_url(postgresql_database)
    replaced = {
        "s3://pipelines/team": f"s3://{BUCKET}/{url.database} --endpoint_url={seaweedfs.endpoint}",
        "OBJECTS-PASSWORD": seaweedfs.password,
        "--host=database.example.com --port=5432": f"--host={url.host} --port={url.port}",
        "--database=zenml --username=zenml": f"--database={url.database} --username={url.username}",
        "DATABASE-PASSWORD": str(url.password),
        "KUBEFLOW-TOKEN": kubeflow.token,
        "--flavor=aws": f"--flavor=aws --endpoint_url={amazon} --prefix={str(url.database).replace('_', '-')}",
        "https://kubeflow.example.org/pipeline": kubeflow.url,
        "python:3.11-slim": BASE_IMAGE,
        # What stands for a cluster has the images of this machine's engine.
        " -c team": "",
    }
    assert [word for word in replaced if word not in PAGE.read_text()] == []
    assert run_guide("kubeflow", replaced)[-1].endswith("49\n")
    assert set(kubeflow.run.tasks) == {"root", "number", "square"}
