"""What every flavor of a type does, as tests: subclass the suite of the type and give it the component as a fixture.

    from zenml.testing.conformance import ArtifactStoreConformance

    class TestMyStore(ArtifactStoreConformance):
        @pytest.fixture
        def store(self, tmp_path):
            return MyStore(name="mine", path=f"mine://{tmp_path}")

They need pytest and hypothesis, and the plugin of `zenml.testing.plugin`, which is on where both packages are installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zenml.exceptions import MissingPackageError

if TYPE_CHECKING:
    from zenml.testing.conformance.alerters import AlerterConformance as AlerterConformance
    from zenml.testing.conformance.artifact_stores import ArtifactStoreConformance as ArtifactStoreConformance
    from zenml.testing.conformance.container_registries import (
        ContainerRegistryConformance as ContainerRegistryConformance,
    )
    from zenml.testing.conformance.materializers import MaterializerConformance as MaterializerConformance
    from zenml.testing.conformance.metadata_stores import MetadataStoreConformance as MetadataStoreConformance
    from zenml.testing.conformance.orchestrators import OrchestratorConformance as OrchestratorConformance
    from zenml.testing.conformance.secrets_managers import (
        SecretsManagerConformance as SecretsManagerConformance,
    )
    from zenml.testing.conformance.step_operators import StepOperatorConformance as StepOperatorConformance

__all__ = [
    "AlerterConformance",
    "ArtifactStoreConformance",
    "ContainerRegistryConformance",
    "MaterializerConformance",
    "MetadataStoreConformance",
    "OrchestratorConformance",
    "SecretsManagerConformance",
    "StepOperatorConformance",
]

_PACKAGES = {"pytest": "pytest>=8.4", "hypothesis": "hypothesis>=6.130"}

# Each in a module of its own, so that importing one suite does not import the components of the others.
_LAZY = {
    "AlerterConformance": "alerters",
    "ArtifactStoreConformance": "artifact_stores",
    "ContainerRegistryConformance": "container_registries",
    "MaterializerConformance": "materializers",
    "MetadataStoreConformance": "metadata_stores",
    "OrchestratorConformance": "orchestrators",
    "SecretsManagerConformance": "secrets_managers",
    "StepOperatorConformance": "step_operators",
}


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        raise MissingPackageError(
            f"{name} needs the package '{error.name}', which is not installed: `pip install '{_PACKAGES[error.name]}'`."
        ) from error
