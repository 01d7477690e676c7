"""What components have in common that use Amazon's services: credentials, the region, and clients."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError
from pydantic import Field, SecretStr, model_validator

from zenml.exceptions import RunError, StackValidationError
from zenml.stack import StackComponent

if TYPE_CHECKING:
    from typing_extensions import Self

_ATTEMPTS = 3


class AWSAccount(StackComponent):
    """Credentials and region come from the default chain of the AWS tools, unless fields say otherwise.

    Args:
        profile_name: one of ~/.aws.
        endpoint_url: where the services are, instead of Amazon's own.
        timeout: seconds for which an answer is waited for.
    """

    region_name: str | None = None
    profile_name: str | None = None
    endpoint_url: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: SecretStr | None = None
    aws_session_token: SecretStr | None = None
    timeout: float = Field(10, gt=0)

    @model_validator(mode="after")
    def _check_keys(self) -> Self:
        fields = self.__dict__
        if bool(fields["aws_access_key_id"]) != bool(fields["aws_secret_access_key"]):
            raise ValueError("aws_access_key_id and aws_secret_access_key belong together: only one is given")
        return self

    @staticmethod
    @abstractmethod
    def explained(error: Exception, what: str) -> RunError:
        """What an error of the AWS library means to this component, and what to do about it."""

    def asked(self, service: str, operation: str, **parameters: Any) -> Any:
        """The answer of a service. Raises StackValidationError."""
        try:
            return getattr(self.client(service), operation)(**parameters)
        except StackValidationError:
            raise
        except Exception as error:  # noqa: BLE001  explained where it is known
            raise self._unusable(self.explained(error, f"ask {service}")) from None

    def client(self, service: str) -> Any:
        """A client of a service. Raises StackValidationError."""
        secret, token = self.aws_secret_access_key, self.aws_session_token
        try:
            return boto3.Session(
                aws_access_key_id=self.aws_access_key_id,
                aws_secret_access_key=secret and secret.get_secret_value(),
                aws_session_token=token and token.get_secret_value(),
                region_name=self.region_name,
                profile_name=self.profile_name,
            ).client(
                service,
                endpoint_url=self.endpoint_url,
                config=Config(
                    connect_timeout=self.timeout,
                    read_timeout=self.timeout,
                    retries={"mode": "standard", "total_max_attempts": _ATTEMPTS},
                ),
            )
        except BotoCoreError as error:
            raise self._unusable(self.explained(error, "connect")) from None

    def _unusable(self, reason: RunError) -> StackValidationError:
        return StackValidationError(f"The {self.TYPE.display} '{self.name}' cannot be used: {reason}")
