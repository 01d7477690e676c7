"""Single values of libraries, as JSON."""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, ClassVar

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_NAME = "data.json"


class ScalarMaterializer(BaseMaterializer):
    """Values so small that, inside of a container, they stand in its JSON text; alone they lie in `data.json`."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (object,)

    @classmethod
    @abstractmethod
    def encode(cls, value: Any) -> dict[str, Any]:
        """The value as a JSON object."""

    @classmethod
    @abstractmethod
    def decode(cls, data: dict[str, Any]) -> Any:
        """The value of such an object."""

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the value."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}") as file:
            return self.decode(json.load(file))

    def handle_return(self, data: Any) -> None:
        """Write the value."""
        super().handle_return(data)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "w") as file:
            json.dump(self.encode(data), file, separators=(",", ":"))
