"""Where views begin: a metadata store and the artifact store beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zenml.post_execution.artifact import ArtifactView
from zenml.post_execution.pipeline import PipelineView
from zenml.post_execution.run import PipelineRunView
from zenml.post_execution.view import Stores

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore


def pipelines_of(metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore) -> list[PipelineView]:
    """All pipelines, in the order of their first runs."""
    stores = Stores(metadata_store, artifact_store)
    return [PipelineView(stores, record) for record in metadata_store.pipelines()]


def pipeline_of(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, name: str
) -> PipelineView | None:
    """The pipeline of that name, or None."""
    record = metadata_store.pipeline(name)
    return None if record is None else PipelineView(Stores(metadata_store, artifact_store), record)


def run_of(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, name: str
) -> PipelineRunView | None:
    """The run of that name, or None."""
    record = metadata_store.run_by_name(name)
    return None if record is None else PipelineRunView(Stores(metadata_store, artifact_store), record)


def run_view(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, run_id: int
) -> PipelineRunView:
    """The run of that id. Raises DoesNotExistException."""
    return PipelineRunView(Stores(metadata_store, artifact_store), metadata_store.run(run_id))


def artifact_view(
    metadata_store: BaseMetadataStore, artifact_store: BaseArtifactStore, artifact_id: int
) -> ArtifactView:
    """The artifact of that id. Raises DoesNotExistException."""
    record = metadata_store.artifact(artifact_id)
    return ArtifactView(Stores(metadata_store, artifact_store), record, is_cached=False)
