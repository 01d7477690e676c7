"""The last resort: a pickle."""

from __future__ import annotations

import pickle
import warnings
from typing import Any, ClassVar

from zenml.exceptions import MaterializerInterfaceError, PickleWarning
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_NAME = "data.cloudpickle"


class CloudpickleMaterializer(BaseMaterializer):
    """Anything, as a pickle in `data.cloudpickle`.

    It can be read only where the libraries are that it was written with, and reading it executes what it holds.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (object,)
    PICKLES: ClassVar[bool] = True

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the value."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "rb") as file:
            return pickle.load(file)  # noqa: S301  the files are verified to be those that a step wrote

    def handle_return(self, data: Any) -> None:
        """Write the value."""
        from zenml.materializers.pickling import Pickler  # loads cloudpickle, which few values need

        kind = f"{type(data).__module__}.{type(data).__qualname__}"
        warnings.warn(
            PickleWarning(
                f"A value of type {kind} is stored as a pickle: no safer format is known for it, and it may not be readable "
                "with other versions of its libraries. Define a materializer for the type: a subclass of "
                "zenml.materializers.base_materializer.BaseMaterializer."
            ),
            stacklevel=2,
        )
        with fileio.open(f"{self.artifact.uri}/{_NAME}", "wb") as file:
            try:
                Pickler(file).dump(data)
            except Exception as error:
                raise MaterializerInterfaceError(
                    f"A value of type {kind} cannot be stored: it cannot be pickled ({error}), and no materializer is known for it. "
                    "Return what it was made from, or define a materializer for the type."
                ) from error
