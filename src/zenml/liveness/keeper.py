"""Keeping the lease of a run while its own process executes steps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from zenml.enums import Reach
from zenml.liveness.owner import LEASE

if TYPE_CHECKING:
    from zenml.metadata_stores import BaseMetadataStore


@contextmanager
def keeping(store: BaseMetadataStore, run_id: int, *, every: float = LEASE / 3) -> Iterator[None]:
    """Let another process renew the lease of a run every `every` seconds, until the block ends.

    A thread of this one could not: a step may hold the interpreter for minutes. Nothing is done for a metadata store that is used
    from this machine alone: whoever reads it there sees this process.
    """
    if store.reach is not Reach.NETWORK:
        yield
        return
    keeper = subprocess.Popen(
        [sys.executable, "-m", "zenml.liveness.renewal"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        start_new_session=True,  # an interrupt from the terminal is for the run, which may take a while to end
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )
    assert keeper.stdin is not None  # noqa: S101 - it is a pipe
    try:
        with suppress(BrokenPipeError):  # it has said by itself why it ended
            keeper.stdin.write(_task(store, run_id, every))
            keeper.stdin.flush()
        yield
    finally:
        # It has nothing to lose; asked politely, it would have to start first, or wait for a server that does not answer.
        keeper.kill()
        keeper.wait()
        with suppress(BrokenPipeError):
            keeper.stdin.close()


def _task(store: BaseMetadataStore, run_id: int, every: float) -> bytes:
    """What the other process needs to know, as a line: the store's class, its fields with what they refer to, the run."""
    kind = type(store)
    document = {
        "module": kind.__module__,
        "class": kind.__qualname__,
        "fields": {name: getattr(store, name) for name in kind.model_fields},
        "run_id": run_id,
        "every": every,
    }
    return f"{json.dumps(document, default=_plain)}\n".encode()


def _plain(value: Any) -> Any:
    return value.get_secret_value() if hasattr(value, "get_secret_value") else str(value)
