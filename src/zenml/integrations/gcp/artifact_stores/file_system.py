"""fsspec's file system for Google Cloud Storage, less patient."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import ClientConnectionError
from gcsfs.core import GCSFileSystem
from gcsfs.retry import HttpError, retry_request
from google.auth.exceptions import RefreshError

_PAUSES = (1.0, 2.0)
"""Seconds between attempts to reach the server at all."""


class ImpatientFileSystem(GCSFileSystem):  # type: ignore[misc]  # ships no types
    """What gcsfs has for all buckets: its other class first looks, by another protocol, whether a bucket is of a newer kind.

    Where nobody answers, or credentials are refused, it gives up after seconds: by itself, the library tries again six times, and
    each of these six times.
    """

    async def _request(self, *args: Any, **kwargs: Any) -> Any:
        for pause in (*_PAUSES, None):
            try:
                return await _once(self, *args, **kwargs)
            except ClientConnectionError as error:
                if pause is None:
                    raise ConnectionError(str(error)) from error  # which the library does not repeat
                await asyncio.sleep(pause)
            except HttpError as error:
                refusal = error.__cause__
                if isinstance(refusal, RefreshError) and not refusal.retryable:
                    raise ConnectionError(refusal.args[0]) from refusal
                raise
        return None

    _request = retry_request(retries=GCSFileSystem.retries)(_request)  # other failures, as it does


_once = GCSFileSystem._request.__wrapped__  # noqa: SLF001 - without repetitions
