"""Secrets in AWS Secrets Manager."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError
from pydantic import SecretStr, model_validator

from zenml.secrets_managers.remote_secrets_manager import ATTEMPTS, VersionedSecretsManager, entry_name

if TYPE_CHECKING:
    from typing_extensions import Self

_NAME = "zenml:name"
_CURRENT = "AWSCURRENT"
_GONE_SECONDS = (1, 2, 4)

_CREDENTIALS = frozenset(
    {
        *("UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException"),
        *("SignatureDoesNotMatch", "MissingAuthenticationTokenException", "IncompleteSignature"),
    }
)
_EXPIRED = frozenset({"ExpiredTokenException", "ExpiredToken", "RequestExpired"})
_DENIED = frozenset({"AccessDeniedException", "AccessDenied"})
_SEE = "They are looked for as the AWS tools do: AWS_ACCESS_KEY_ID, a profile, the role of this machine."


class AWSSecretsManager(VersionedSecretsManager):
    """Keeps secrets in AWS Secrets Manager, as `<prefix>/<name>` in the region `region_name`.

    Credentials come from the default chain of the AWS tools, unless `aws_access_key_id` and `aws_secret_access_key` refer to variables of
    the environment.
    """

    FLAVOR: ClassVar[str] = "aws"

    region_name: str = "us-east-1"
    endpoint_url: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        if bool(self.__dict__["aws_access_key_id"]) != bool(self.__dict__["aws_secret_access_key"]):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together: only one is given")
        return self

    @property
    def _place(self) -> str:
        there = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"'{self.prefix}/*' of AWS Secrets Manager in {self.region_name}{there}"

    def _connected(self) -> Any:
        for name in ("botocore.endpoint", "botocore.parsers"):
            logging.getLogger(name).addFilter(_DISCRETION)
        secret, session = self.aws_secret_access_key, self.aws_session_token
        return boto3.Session(
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=secret and secret.get_secret_value(),
            aws_session_token=session and session.get_secret_value(),
            region_name=self.region_name,
        ).client(
            "secretsmanager",
            endpoint_url=self.endpoint_url,
            config=Config(
                connect_timeout=self.timeout,
                read_timeout=self.timeout,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            ),
        )

    @contextmanager
    def _told(self) -> Iterator[None]:
        token = _speaks_of_secrets.set(True)
        try:
            with super()._told():
                yield
        finally:
            _speaks_of_secrets.reset(token)

    def _id(self, name: str) -> str:
        return f"{self.prefix}/{entry_name(name)}"

    def _names(self) -> Iterable[str]:
        pages = self._client.get_paginator("list_secrets").paginate(
            Filters=[{"Key": "name", "Values": [f"{self.prefix}/"]}]
        )
        for page in pages:
            for entry in page["SecretList"]:
                yield from (tag["Value"] for tag in entry.get("Tags", ()) if tag["Key"] == _NAME)

    def _read(self, name: str) -> tuple[Any, Any] | None:
        try:
            answer = self._client.get_secret_value(SecretId=self._id(name), VersionStage=_CURRENT)
        except ClientError as error:
            if _code(error) == "ResourceNotFoundException" or _is_being_deleted(error):
                return None
            raise
        try:
            return json.loads(answer.get("SecretString", "")), answer["VersionId"]
        except ValueError:
            return "", answer["VersionId"]

    def _write(self, name: str, document: dict[str, Any], version: Any) -> bool:
        text = json.dumps(document)
        return self._created(name, text) if version is None else self._replaced(name, text, version)

    def _created(self, name: str, text: str) -> bool:
        for seconds in (*_GONE_SECONDS, None):
            try:
                self._client.create_secret(
                    Name=self._id(name), SecretString=text, Tags=[{"Key": _NAME, "Value": name}]
                )
            except ClientError as error:
                if _code(error) == "ResourceExistsException":
                    return False
                if seconds is None or not _is_being_deleted(error):
                    raise
                time.sleep(seconds)  # a name is free again a little after its secret was deleted
            else:
                return True
        return False

    def _replaced(self, name: str, text: str, version: str) -> bool:
        """Whether the label of the current version could be moved from `version`, the only one that it is moved from, to a new one."""
        new = str(uuid4())
        labels = {"SecretId": self._id(name)}
        self._client.put_secret_value(
            SecretId=self._id(name), SecretString=text, ClientRequestToken=new, VersionStages=[new]
        )
        try:
            self._client.update_secret_version_stage(
                **labels, VersionStage=_CURRENT, RemoveFromVersionId=version, MoveToVersionId=new
            )
        except ClientError as error:
            if _code(error) not in ("InvalidParameterException", "InvalidRequestException"):
                raise
            return False
        finally:
            # A version without any label is removed by the service; one that keeps it does no harm.
            with suppress(BotoCoreError, ClientError):
                self._client.update_secret_version_stage(**labels, VersionStage=new, RemoveFromVersionId=new)
        return True

    def _remove(self, name: str) -> None:
        self._client.delete_secret(SecretId=self._id(name), ForceDeleteWithoutRecovery=True)

    def _explained(self, error: BaseException) -> str | None:
        code = _code(error)
        if isinstance(error, (NoCredentialsError, PartialCredentialsError)):
            return f"there are no credentials. {_SEE}"
        if code in _CREDENTIALS:
            return f"the credentials are not accepted. {_SEE}"
        if code in _EXPIRED:
            return (
                f"the credentials have expired, or the clock of this machine is wrong: get new ones. {_SEE}"
            )
        if code in _DENIED:
            return (
                "access is denied. The policy must grant secretsmanager:CreateSecret, TagResource, GetSecretValue, PutSecretValue, "
                f"UpdateSecretVersionStage and DeleteSecret on '{self.prefix}/*', and secretsmanager:ListSecrets."
            )
        if _is_being_deleted(error):
            return "a secret of that name is scheduled for deletion. Restore it with `aws secretsmanager restore-secret`, or wait."
        return None


_speaks_of_secrets: ContextVar[bool] = ContextVar("speaks_of_secrets", default=False)


class _Discretion(logging.Filter):
    """Requests and answers of this client are not logged: they hold values."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not _speaks_of_secrets.get()


_DISCRETION = _Discretion()


def _code(error: BaseException) -> str:
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def _is_being_deleted(error: BaseException) -> bool:
    return _code(error) == "InvalidRequestException" and "delet" in str(error)
