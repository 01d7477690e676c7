"""The schemas that are built in."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from zenml.exceptions import SecretError
from zenml.secret.base_secret_schema import BaseSecretSchema
from zenml.secret.registry import register_secret_schema_class

__all__ = [
    "AWSSecretSchema",
    "AzureSecretSchema",
    "BasicAuthSecretSchema",
    "GCPSecretSchema",
    "MYSQLSecretSchema",
]


@register_secret_schema_class
class AWSSecretSchema(BaseSecretSchema):
    """Access key of Amazon Web Services."""

    TYPE: ClassVar[str] = "aws"

    aws_access_key_id: str
    aws_secret_access_key: str
    aws_session_token: str | None = None


@register_secret_schema_class
class AzureSecretSchema(BaseSecretSchema):
    """Credentials of Azure storage: account key, SAS token, connection string or service principal, whichever is used."""

    TYPE: ClassVar[str] = "azure"

    account_name: str | None = None
    account_key: str | None = None
    sas_token: str | None = None
    connection_string: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    tenant_id: str | None = None


@register_secret_schema_class
class BasicAuthSecretSchema(BaseSecretSchema):
    """A user and a password."""

    TYPE: ClassVar[str] = "basic_auth"

    username: str
    password: str


@register_secret_schema_class
class GCPSecretSchema(BaseSecretSchema):
    """Credentials of Google Cloud: the JSON text of a service account or of user credentials."""

    TYPE: ClassVar[str] = "gcp"

    token: str

    def get_credential_dict(self) -> dict[str, Any]:
        """The token parsed. Raises SecretError if it is no JSON object."""
        try:
            credentials = json.loads(self.token)
        except ValueError:
            credentials = None
        if not isinstance(credentials, dict):
            raise SecretError(
                f"The token of the secret '{self.name}' is no JSON object: expected the whole text of a credentials file, "
                f"as `zenml secret update {self.name} --token=@FILE` sets it."
            )
        return credentials


@register_secret_schema_class
class MYSQLSecretSchema(BaseSecretSchema):
    """Credentials of MySQL or MariaDB; the three `ssl_` texts are PEM."""

    TYPE: ClassVar[str] = "mysql"

    user: str | None = None
    password: str | None = None
    ssl_ca: str | None = None
    ssl_cert: str | None = None
    ssl_key: str | None = None
    ssl_verify_server_cert: bool = False
