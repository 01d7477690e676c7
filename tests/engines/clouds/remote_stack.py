"""Components that steps reach from anywhere: on loopback, but by the network alone."""

from typing import Any
from uuid import uuid4

from sqlalchemy import make_url

from tests.object_stores import BUCKET, S3Server
from zenml.container_registries import DefaultContainerRegistry
from zenml.integrations.aws.secrets_managers import AWSSecretsManager
from zenml.integrations.s3.artifact_stores import S3ArtifactStore
from zenml.metadata_stores import PostgreSQLMetadataStore
from zenml.secret import ArbitrarySecretSchema
from zenml.stack import StackComponent

IMAGE = "registry.example.org/zenml:1"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_DEFAULT_REGION": "eu-west-1"}
"""What a role gives to a container: it opens the secrets manager, which holds what opens the other components."""


def remote_components(moto_url: str, s3: S3Server, database_url: str) -> dict[str, StackComponent]:
    manager = AWSSecretsManager(
        name="secrets", region_name="eu-west-1", endpoint_url=moto_url, prefix=f"t{uuid4().hex[:8]}"
    )
    database = make_url(database_url)
    for name, values in {
        "bucket": {"key": "admin", "secret": s3.password},
        "database": {"password": str(database.password)},
    }.items():
        manager.register_secret(ArbitrarySecretSchema(name=name, arbitrary_kv_pairs=values))
    store = S3ArtifactStore(
        name="bucket",
        path=f"s3://{BUCKET}/{uuid4().hex}",
        endpoint_url=s3.endpoint,
        key="{{bucket.key}}",
        secret="{{bucket.secret}}",
    )
    server: dict[str, Any] = {"host": database.host, "port": database.port, "database": database.database}
    metadata = PostgreSQLMetadataStore(
        name="server", username=database.username, password="{{database.password}}", **server
    )
    registry = DefaultContainerRegistry(name="registry", uri="registry.example.org")
    return {
        "secrets_manager": manager,
        "artifact_store": store,
        "metadata_store": metadata,
        "container_registry": registry,
    }
