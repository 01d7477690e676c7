"""Python's own values: numbers, texts, containers, dates, paths, enumerations."""

from __future__ import annotations

import datetime as dt
from collections import deque
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from types import NoneType
from typing import Any, ClassVar
from uuid import UUID
from zoneinfo import ZoneInfo

from zenml.artifacts import BaseArtifact, DataAnalysisArtifact, DataArtifact
from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.classes import class_at, import_path
from zenml.materializers.encoding import from_json, to_json
from zenml.materializers.registry import find_materializer, last_resort
from zenml.materializers.scalar_materializer import ScalarMaterializer

_JSON = "data.json"
_BYTES = "data.bin"


class EncodedMaterializer(BaseMaterializer):
    """Values as JSON in `data.json`, see `zenml.materializers.encoding`.

    A part that is no plain data (an array in a list) lies in a folder of its own, written by the materializer of its type.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (object,)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the value."""
        super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_JSON}", "rb") as file:
            return from_json(file.read(), self._fetch)

    def handle_return(self, data: Any) -> None:
        """Write the value."""
        super().handle_return(data)
        self._kept = 0
        text = to_json(data, self._keep)
        with fileio.open(f"{self.artifact.uri}/{_JSON}", "wb") as file:
            file.write(text)

    def _keep(self, value: Any) -> dict[str, Any]:
        materializer = find_materializer(type(value))
        if issubclass(materializer, ScalarMaterializer):
            return {"$": "scalar", "by": import_path(materializer), **materializer.encode(value)}
        if issubclass(materializer, EncodedMaterializer) and not isinstance(value, (bytes, bytearray)):
            # It is here because it cannot be encoded: a mapping whose default is made by a function.
            materializer = last_resort()
        name = str(self._kept)
        self._kept += 1
        uri = f"{self.artifact.uri}/{name}"
        fileio.makedirs(uri)
        materializer(BaseArtifact(uri)).handle_return(value)
        return {
            "$": "stored",
            "at": name,
            "type": import_path(type(value)),
            "materializer": import_path(materializer),
        }

    def _fetch(self, data: dict[str, Any]) -> Any:
        if data["$"] == "scalar":
            return class_at(data["by"]).decode(data)
        materializer: type[BaseMaterializer] = class_at(data["materializer"])
        data_type = materializer.ASSOCIATED_TYPES[0] if materializer.PICKLES else class_at(data["type"])
        return materializer(BaseArtifact(f"{self.artifact.uri}/{data['at']}")).handle_input(data_type)


class BuiltInMaterializer(EncodedMaterializer):
    """Python's own values, exactly as they were: tuples stay tuples, keys keep their types. Bytes lie in `data.bin` as they are."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (
        int,
        float,
        str,
        bytes,
        dict,
        list,
        tuple,
        bool,
        NoneType,
        set,
        frozenset,
        bytearray,
        complex,
        range,
        deque,
        dt.date,
        dt.time,
        dt.timedelta,
        dt.timezone,
        ZoneInfo,
        Decimal,
        Enum,
        Fraction,
        PurePath,
        UUID,
    )
    ASSOCIATED_ARTIFACT_TYPES: ClassVar[tuple[type[BaseArtifact], ...]] = (DataArtifact, DataAnalysisArtifact)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the value."""
        if data_type not in {bytes, bytearray}:
            return super().handle_input(data_type)
        with fileio.open(f"{self.artifact.uri}/{_BYTES}", "rb") as file:
            return data_type(file.read())

    def handle_return(self, data: Any) -> None:
        """Write the value."""
        if type(data) not in {bytes, bytearray}:
            super().handle_return(data)
            return
        with fileio.open(f"{self.artifact.uri}/{_BYTES}", "wb") as file:
            file.write(data)
