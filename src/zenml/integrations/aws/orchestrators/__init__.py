"""Steps on AWS Batch."""

from zenml.integrations.aws.orchestrators.aws_batch_orchestrator import AWSBatchOrchestrator

__all__ = ["AWSBatchOrchestrator"]
