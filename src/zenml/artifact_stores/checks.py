"""Whether an artifact store can be used now."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from zenml.enums import CheckOutcome
from zenml.stack.checks import check_clock, tried

if TYPE_CHECKING:
    from zenml.artifact_stores.base_artifact_store import BaseArtifactStore
    from zenml.stack import Check

_CONTENT = b"written by zenml stack check\n"
_MODIFIED = ("LastModified", "last_modified", "mtime", "updated", "created")


def check_files(store: BaseArtifactStore) -> Iterator[Check]:
    """Write, read, list and remove a small file in a folder of its own, and compare the clocks."""
    name = "file"
    root = store.path
    folder = f"{root}{'' if root.endswith('/') else '/'}.check-{uuid4().hex}"
    path = f"{folder}/{name}"

    def write() -> None:
        store.makedirs(root)
        store.makedirs(folder)
        with store.open(path, "wb") as file:
            file.write(_CONTENT)

    def read() -> None:
        with store.open(path, "rb") as file:
            if file.read() != _CONTENT:
                raise OSError("What was read is not what was written.")

    def listed() -> None:
        if name not in store.listdir(folder):
            raise OSError("A file that was written is not in the listing of its folder.")

    def delete() -> None:
        store.rmtree(folder)
        if store.exists(path):
            raise OSError("A file that was removed is still there.")

    before = time.time()
    written = tried("writes", write, f"May this user write below {root!r}, and is there room?")
    after = time.time()
    yield written
    if written.outcome is CheckOutcome.FAILED:
        with suppress(Exception):
            store.rmtree(folder)
        return
    try:
        yield tried("reads", read, f"May this user read below {root!r}?")
        yield tried("lists", listed, f"May this user list what is below {root!r}?")
        if (modified := _modified(store.stat(path))) is not None:
            yield check_clock(modified, before, after)
    finally:
        removed = tried(
            "deletes", delete, f"May this user remove files below {root!r}? {folder!r} may be left."
        )
    yield removed


def _modified(found: Any) -> float | None:
    """When a file was written, by the clock of where it is, in seconds since the epoch."""
    if isinstance(found, os.stat_result):
        return found.st_mtime
    told = (
        next((found[key] for key in _MODIFIED if found.get(key)), None)
        if isinstance(found, Mapping)
        else None
    )
    if isinstance(told, str):
        with suppress(ValueError):
            told = datetime.fromisoformat(told.replace("Z", "+00:00"))
    if isinstance(told, datetime):
        return told.timestamp() if told.tzinfo else None
    return float(told) if isinstance(told, (int, float)) else None
