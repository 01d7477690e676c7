"""The project's files on their way to machines that do not have them: an archive in the artifact store, named by its digest."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tarfile
import tempfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.enums import Reach
from zenml.exceptions import ArtifactCorruptedError
from zenml.io.read_cache import cache_folder
from zenml.jobs.tasks import SOURCE_ROOT
from zenml.model.runs import code_folder

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.model.deployment import Deployment
    from zenml.stack import Stack

_ENDING = ".tar"
_BLOCK = 1 << 20


def with_code(deployment: Deployment, stack: Stack) -> Deployment:
    """The deployment, with its code in the artifact store where steps are executed on machines that may not have it.

    What is left out says `zenml.images.context`, as for images. Code that was sent on the same day is not written again.

    Raises:
        ConfigurationError: the folder of the sources is no project, but the whole home or disk.
        UnreadableFileError: a file of it cannot be read.
    """
    operators = {spec.step_operator for spec in deployment.steps}
    executing = (
        stack.orchestrator if None in operators else None,
        stack.step_operator if operators - {None} else None,
    )
    if not any(one is not None and one.spread is Reach.NETWORK and not one.uses_image for one in executing):
        return deployment
    # Few runs are sent anywhere, and those that receive them do not pack.
    from zenml.images.archive import write_context
    from zenml.images.context import context_of

    store = stack.artifact_store
    with tempfile.TemporaryDirectory(prefix="zenml-code-") as scratch:
        archive = Path(scratch) / "code.tar"
        write_context(archive, {}, context_of(Path(deployment.source_root)))
        folder = f"{code_folder(store.path, stack.metadata_store.uuid)}/{datetime.now(timezone.utc).date()}"
        path = f"{folder}/{_sha256(archive)}{_ENDING}"
        if not store.exists(path):
            store.makedirs(folder)
            with archive.open("rb") as file, store.open(path, "wb") as target:
                shutil.copyfileobj(file, target, _BLOCK)
    return replace(deployment, code_archive=path)


def located(deployment: Deployment, store: BaseArtifactStore) -> Deployment:
    """The deployment as this machine sees it: with the folder that has the project's files here."""
    root = os.environ.get(SOURCE_ROOT) or (
        deployment.code_archive and str(unpacked_code(deployment.code_archive, store))
    )
    return replace(deployment, source_root=root) if root else deployment


def unpacked_code(path: str, store: BaseArtifactStore) -> Path:
    """The folder of such an archive on this machine, where it is unpacked once.

    Raises:
        ArtifactCorruptedError: it is not what was written.
    """
    name = path.rpartition("/")[2].removesuffix(_ENDING)
    root = cache_folder("code")
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = root / name
    with (root / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=root) as scratch:
                archive = Path(scratch) / "code.tar"
                with store.open(path, "rb") as source, archive.open("wb") as target:
                    shutil.copyfileobj(source, target, _BLOCK)
                if _sha256(archive) != name:
                    raise ArtifactCorruptedError(
                        f"The project's code at {path} is not what was written there: remove it, and start the run again."
                    )
                content = Path(scratch) / "content"
                with tarfile.open(archive) as tar:
                    tar.extractall(content, filter="data")
                content.mkdir(exist_ok=True)
                content.rename(folder)
    return folder


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
