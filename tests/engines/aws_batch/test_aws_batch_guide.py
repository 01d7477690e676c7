"""The commands of docs/guide/aws-batch.md work."""

from pathlib import Path

import pytest
from sqlalchemy.engine import make_url

from tests.aws_batch import BASE_IMAGE
from tests.guides import run_guide
from tests.object_stores import BUCKET, S3Server
from zenml.integrations.aws.orchestrators import AWSBatchOrchestrator

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "aws-batch.md"


def test_the_guide(
    batch: AWSBatchOrchestrator,
    seaweedfs: S3Server,
    postgresql_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = make_url(postgresql_database)
    here = f"--endpoint_url={batch.endpoint_url}"
    replaced = {
        "s3://pipelines/team": f"s3://{BUCKET}/{url.database} --endpoint_url={seaweedfs.endpoint}",
        "OBJECTS-PASSWORD": seaweedfs.password,
        "--host=database.example.com --port=5432": f"--host={url.host} --port={url.port}",
        "--database=zenml --username=zenml": f"--database={url.database} --username={url.username}",
        "DATABASE-PASSWORD": str(url.password),
        "--flavor=aws --region_name": f"--flavor=aws {here} --prefix={str(url.database).replace('_', '-')} --region_name",
        "--flavor=aws_batch": f"--flavor=aws_batch {here} --poll_seconds=0.2",
        "python:3.11-slim": BASE_IMAGE,
        # What stands for Batch has the images of this machine's engine.
        " -c team": "",
    }
    assert [word for word in replaced if word not in PAGE.read_text()] == []
    printed = run_guide("aws-batch", replaced)
    assert any(text.endswith("14\n") for text in printed)
