"""NumPy arrays and scalars."""

from __future__ import annotations

import base64
from typing import IO, Any, ClassVar

import numpy as np

from zenml.io import fileio
from zenml.materializers.base_materializer import BaseMaterializer
from zenml.materializers.built_in_materializer import EncodedMaterializer
from zenml.materializers.scalar_materializer import ScalarMaterializer

_ARRAY = "data.npy"
_MASK = "mask.npy"
_ELEMENTS = "elements"
_CHUNK = 1 << 22


class NumpyMaterializer(BaseMaterializer):
    """Arrays in NumPy's own format, `data.npy`, without pickles; order of memory, byte order and structured types are kept.

    A masked array has its mask in `mask.npy`. Arrays of Python objects, and of the variable-width string type, are stored
    element by element in the folder `elements`. A memory-mapped array is read back as one in memory.
    """

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (np.ndarray,)

    def handle_input(self, data_type: type[Any]) -> Any:
        """Read the array."""
        super().handle_input(data_type)
        data = self._read(_ARRAY) if fileio.exists(self._path(_ARRAY)) else self._read_elements()
        if issubclass(data_type, np.ma.MaskedArray):
            mask = self._read(_MASK)
            fill = self._encoded("fill").handle_input(object)
            return np.ma.MaskedArray(
                data, mask=mask if mask.shape == data.shape else np.ma.nomask, fill_value=fill
            )
        return data.view(data_type) if data_type in {np.matrix, np.recarray} else data

    def handle_return(self, data: Any) -> None:
        """Write the array."""
        super().handle_return(data)
        if isinstance(data, np.ma.MaskedArray):
            with fileio.open(self._path(_MASK), "wb") as file:
                np.lib.format.write_array(file, np.asarray(data.mask), allow_pickle=False)
            self._encoded("fill").handle_return(data.fill_value)
            data = data.data
        data = np.asarray(data)
        if data.dtype.hasobject:
            self._write_elements(data)
            return
        with fileio.open(self._path(_ARRAY), "wb") as file:
            _write(file, data)

    def _path(self, name: str) -> str:
        return f"{self.artifact.uri}/{name}"

    def _encoded(self, name: str) -> EncodedMaterializer:
        fileio.makedirs(self._path(name))
        return EncodedMaterializer(type(self.artifact)(self._path(name)))

    def _read(self, name: str) -> Any:
        with fileio.open(self._path(name), "rb") as file:
            return np.lib.format.read_array(file, allow_pickle=False)

    def _write_elements(self, data: Any) -> None:
        strings = isinstance(data.dtype, _STRINGS)
        if not strings and data.dtype != object:
            raise TypeError(
                f"An array of the structured type {data.dtype} holds Python objects: store its fields as arrays of their own."
            )
        self._encoded(_ELEMENTS).handle_return(
            {
                "shape": data.shape,
                "strings": {
                    k: getattr(data.dtype, k) for k in ("coerce", "na_object") if hasattr(data.dtype, k)
                }
                if strings
                else None,
                "elements": list(data.flat),
            }
        )

    def _read_elements(self) -> Any:
        stored = EncodedMaterializer(type(self.artifact)(self._path(_ELEMENTS))).handle_input(object)
        data = np.empty(
            len(stored["elements"]), object if stored["strings"] is None else _STRINGS[0](**stored["strings"])
        )
        for index, element in enumerate(stored["elements"]):
            data[index] = element
        return data.reshape(stored["shape"])


class NumpyScalarMaterializer(ScalarMaterializer):
    """NumPy scalars: their type and their bytes."""

    ASSOCIATED_TYPES: ClassVar[tuple[type[Any], ...]] = (np.generic,)

    @classmethod
    def encode(cls, value: Any) -> dict[str, Any]:
        """The type as NumPy describes it, and the bytes."""
        if value.dtype.hasobject:
            raise TypeError(
                f"A scalar of the structured type {value.dtype} holds Python objects: store its fields."
            )
        description = np.lib.format.dtype_to_descr(value.dtype)
        return {"dtype": description, "bytes": base64.b64encode(value.tobytes()).decode()}

    @classmethod
    def decode(cls, data: dict[str, Any]) -> Any:
        """The scalar."""
        dtype = np.lib.format.descr_to_dtype(_tuples(data["dtype"]))
        return np.frombuffer(base64.b64decode(data["bytes"]), dtype)[0] if dtype.itemsize else dtype.type()


_STRINGS: tuple[Any, ...] = (np.dtypes.StringDType,) if hasattr(np.dtypes, "StringDType") else ()


def _write(file: IO[bytes], data: Any) -> None:
    data = _without_padding(data)
    contiguous = data.flags.c_contiguous or data.flags.f_contiguous
    if not contiguous or data.dtype.names is not None or not data.nbytes:
        np.lib.format.write_array(file, data, allow_pickle=False)
        return
    # Straight from the array's own memory: `write_array` copies it piece by piece.
    np.lib.format.write_array_header_1_0(file, np.lib.format.header_data_from_array_1_0(data))
    memory = memoryview(data.reshape(-1, order="A").view(np.uint8))
    for start in range(0, len(memory), _CHUNK):
        file.write(memory[start : start + _CHUNK])


def _without_padding(data: Any) -> Any:
    """The same array; bytes that mean nothing, and hold whatever was there before, are zero."""
    if data.dtype.names is not None:
        if data.dtype.itemsize == sum(
            field[0].itemsize for field in data.dtype.fields.values()
        ) and "g" not in str(data.dtype.descr):
            return data
        clean = np.zeros_like(data)
        for name in data.dtype.names:
            clean[name] = _without_padding(data[name])
        return clean
    if data.dtype.char in "gG" and np.finfo(data.dtype).nmant == _X87_MANTISSA:
        clean = np.array(data)
        real = clean.reshape(-1).view(np.uint8).reshape(-1, np.dtype(np.longdouble).itemsize)
        real[:, _X87_BYTES:] = 0
        return clean
    return data


_X87_MANTISSA = 63  # bits of the fraction of an 80-bit number
_X87_BYTES = 10


def _tuples(description: Any) -> Any:
    # JSON has made lists of the tuples that NumPy distinguishes from lists.
    if isinstance(description, list):
        return [
            tuple(_tuples(part) if i == 1 else _shape(part) for i, part in enumerate(field))
            for field in description
        ]
    return description


def _shape(part: Any) -> Any:
    return tuple(part) if isinstance(part, list) else part
