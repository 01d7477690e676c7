"""Secrets in AWS Secrets Manager."""

from zenml.integrations.aws.secrets_managers.aws_secrets_manager import AWSSecretsManager

__all__ = ["AWSSecretsManager"]
