"""Cleaning up without hiding what went wrong before."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

logger = logging.getLogger("zenml.run")


class Cleanup:
    """Calls `hook` at the end of a `with` block, however it ends.

    What the hook raises is raised only if nothing else is; otherwise it is logged, so that the first error stays the one that is seen.
    `has_failed` tells of errors that are kept instead of being raised.
    """

    def __init__(self, hook: Callable[[], None], has_failed: Callable[[], bool] = lambda: False) -> None:
        self._hook = hook
        self._has_failed = has_failed

    def __enter__(self) -> None:
        """Nothing is to be done before."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._hook()
        except Exception as failure:
            if error is None and not self._has_failed():
                raise
            logger.warning("Cleaning up failed as well: %s: %s", type(failure).__name__, failure)
