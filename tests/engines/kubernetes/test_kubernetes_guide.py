"""The commands of docs/guide/kubernetes.md work, and the rights that it lists are enough."""

from __future__ import annotations

import re
from pathlib import Path

import kubernetes_validate
import yaml
from sqlalchemy.engine import make_url

from tests.docker_engine import DockerEngine
from tests.fakes.kubernetes_cluster import FakeKubernetes
from tests.guides import run_guide
from tests.object_stores import BUCKET, S3Server
from zenml.integrations.kubernetes.cluster import RIGHTS

PAGE = Path(__file__).parents[3] / "docs" / "guide" / "kubernetes.md"


def test_the_guide(
    cluster: FakeKubernetes, docker_engine: DockerEngine, seaweedfs: S3Server, postgresql_database: str
) -> None:
    url = make_url(postgresql_database)
    replaced = {
        "s3://pipelines/team": f"s3://{BUCKET}/{url.database}",
        "http://storage.example.com:8333": seaweedfs.endpoint,
        "OBJECTS-PASSWORD": seaweedfs.password,
        "--host=database.example.com --port=5432": f"--host={url.host} --port={url.port}",
        "--database=zenml --username=zenml": f"--database={url.database} --username={url.username}",
        "DATABASE-PASSWORD": str(url.password),
        "--kubernetes_context=production": "--kubernetes_context=fake",
        "python:3.11-slim": docker_engine.base_image,
        # The nodes of the fake share the Docker engine.
        " -c team": "",
    }
    assert [word for word in replaced if word not in PAGE.read_text()] == []
    printed = run_guide("kubernetes", replaced)
    assert any(text.endswith("14\n") for text in printed)
    assert any("loss 0.5" in text for text in printed)


def test_the_role_has_the_rights_that_are_needed() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    role = yaml.safe_load(text)
    kubernetes_validate.validate(role, kubernetes_validate.latest_version(), strict=True)
    granted = {
        (verb, group, resource)
        for rule in role["rules"]
        for verb in rule["verbs"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    needed = {(verb, group, "/".join(filter(None, (kind, part)))) for verb, group, kind, part in RIGHTS}
    assert granted == {*needed, ("list", "", "events")}
