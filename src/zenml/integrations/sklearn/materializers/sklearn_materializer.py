"""scikit-learn estimators."""

from __future__ import annotations

import io
import itertools
import json
import warnings
import zipfile
from importlib.util import find_spec
from typing import Any, ClassVar

from sklearn.base import BaseEstimator

from zenml.artifacts import BaseArtifact, ModelArtifact
from zenml.exceptions import ArtifactError, MissingPackageError, PickleWarning
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer

_MODEL = "model.skops"
_TYPES = "types.json"
_PICKLE = "model.cloudpickle"


class SklearnMaterializer(BaseMaterializer):
    """Estimators in the format of skops, `model.skops`.

    Reading it makes only objects of scikit-learn's, NumPy's and SciPy's own types, and of those that `types.json` names: the user's
    own, which the estimator consisted of. Where skops is not installed, or cannot hold an estimator (a lambda in a transformer), the
    estimator is pickled instead, `model.cloudpickle`, with a warning.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (BaseEstimator,)
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (ModelArtifact,)
    PICKLES: ClassVar[bool] = True

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the estimator. Raises ArtifactError if it holds types other than those that it was written with."""
        super().handle_input(data_type)
        if fileio.exists(self._path(_PICKLE)):
            import cloudpickle  # type: ignore[import-untyped]

            with fileio.open(self._path(_PICKLE), "rb") as file:
                return cloudpickle.load(file)
        try:
            import skops.io
        except ImportError as error:
            raise MissingPackageError(
                f"The estimator at {self.artifact.uri} is in the format of skops: install it with `pip install 'skops>=0.11'`."
            ) from error
        with fileio.open(self._path(_TYPES)) as file:
            known = json.load(file)
        with fileio.open(self._path(_MODEL), "rb") as file:
            content = file.read()
        if foreign := sorted(set(skops.io.get_untrusted_types(data=content)) - set(known)):
            raise ArtifactError(
                f"The estimator at {self.artifact.uri} holds objects of types that are not known to be safe with the installed "
                f"skops: {', '.join(foreign)}. Read it with the version of skops that wrote it."
            )
        return skops.io.loads(content, trusted=known)

    def handle_return(self, data: Any) -> None:
        """Write the estimator."""
        super().handle_return(data)
        try:
            content, types = _dumped(data)
        except Exception as error:  # noqa: BLE001 - skops raises many kinds for what it cannot hold
            self._pickle(data, error)
            return
        with fileio.open(self._path(_MODEL), "wb") as file:
            file.write(content)
        with fileio.open(self._path(_TYPES), "w") as file:
            json.dump(types, file)

    def _pickle(self, data: Any, reason: Exception) -> None:
        import cloudpickle

        what = (
            "skops is not installed (`pip install 'skops>=0.11'`)"
            if find_spec("skops") is None
            else f"skops cannot hold it: {reason}"
        )
        warnings.warn(
            PickleWarning(
                f"An estimator of type {type(data).__qualname__} is stored as a pickle, for {what}."
            ),
            stacklevel=3,
        )
        with fileio.open(self._path(_PICKLE), "wb") as file:
            cloudpickle.dump(data, file, protocol=5)

    def _path(self, name: str) -> str:
        return f"{self.artifact.uri}/{name}"


def _dumped(data: Any) -> tuple[bytes, list[str]]:
    """The estimator as skops writes it, and the types that it needs beside the safe ones; tried by reading it."""
    import skops.io

    content: bytes = skops.io.dumps(data)
    types = sorted(skops.io.get_untrusted_types(data=content))
    content = _without_chance(content)
    skops.io.loads(content, trusted=types)
    return content, types


def _without_chance(content: bytes) -> bytes:
    """The same archive without what is chance: the time of writing, and the addresses that objects had in memory."""
    count = itertools.count(1)
    numbers: dict[int, int] = {}
    names: dict[str, str] = {}

    def renumber(node: Any) -> Any:
        if isinstance(node, list):
            return [renumber(part) for part in node]
        if not isinstance(node, dict):
            return node
        if isinstance(address := node.get("__id__"), int):
            # Whether two equal plain values are one object is chance as well.
            node["__id__"] = next(count) if node.get("is_json") else numbers.setdefault(address, next(count))
        if isinstance(file := node.get("file"), str):
            node["file"] = names.setdefault(file, f"{len(names) + 1}.npy")
        return {key: renumber(value) for key, value in node.items()}

    made = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as source,
        zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as target,
    ):
        schema = renumber(json.loads(source.read("schema.json")))
        for name, new in names.items():
            target.writestr(zipfile.ZipInfo(new), source.read(name))
        target.writestr(zipfile.ZipInfo("schema.json"), json.dumps(schema))
    return made.getvalue()
