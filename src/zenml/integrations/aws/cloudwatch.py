"""Logs in Amazon CloudWatch. A group or a stream that is not there has no lines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore.exceptions import ClientError

from zenml.integrations.aws.errors import code_of


def streams(client: Any, group: str, prefix: str) -> list[str]:
    """The names of the streams of a group that begin so."""
    found: list[dict[str, Any]] = []
    with _if_there():
        found = client.describe_log_streams(logGroupName=group, logStreamNamePrefix=prefix)["logStreams"]
    return [stream["logStreamName"] for stream in found]


def last_lines(client: Any, group: str, stream: str, lines: int) -> list[str]:
    """The last lines of a stream."""
    found: list[dict[str, Any]] = []
    with _if_there():
        found = client.get_log_events(
            logGroupName=group, logStreamName=stream, limit=lines, startFromHead=False
        )["events"]
    return [line for event in found for line in event["message"].splitlines()][-lines:]


@contextmanager
def _if_there() -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) != "ResourceNotFoundException":
            raise
