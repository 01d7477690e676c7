"""What a small stored value looks like, from its files alone: no class is imported, no pickle is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from io import BytesIO
from typing import TYPE_CHECKING, Any

from zenml.post_execution.content import checked
from zenml.post_execution.drawing import text
from zenml.post_execution.wording import shortened

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.model.runs import ArtifactRecord

_LARGEST = 1_000_000
"""Bytes of a value that is cheap enough to be read for being shown."""
_ROWS = 10
_COLUMNS = 20
_CHARACTERS = 2_000
_IN_A_CELL = 80

Read = Callable[[str], bytes]


def preview(record: ArtifactRecord, store: BaseArtifactStore) -> str:
    """The value as HTML; empty for large ones, and for those in formats that only their own materializers know."""
    entries = {entry.path: entry for entry in record.manifest}
    show = next((_FORMATS[path] for path in entries if path in _FORMATS), None)
    if show is None or record.size > _LARGEST:
        return ""
    # A notebook shows the view all the same when the value is gone, altered, or not what its file's name promises.
    with suppress(Exception):
        return show(lambda path: b"".join(checked(record, entries[path], store)))
    return ""


def _json(read: Read) -> str:
    value = json.loads(read("data.json"))
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return _pre(shown)


def _array(read: Read) -> str:
    import numpy as np

    array = np.lib.format.read_array(BytesIO(read("data.npy")), allow_pickle=False)
    shown = np.array2string(array, threshold=100, edgeitems=3)
    return f"<p>{text(array.dtype)} {text(array.shape)}</p>{_pre(shown)}"


def _parquet(read: Read) -> str:
    from pyarrow.parquet import ParquetFile

    file = ParquetFile(BytesIO(read("data.parquet")))
    batch = next(file.iter_batches(batch_size=_ROWS), None)
    columns = batch.to_pydict() if batch is not None else dict.fromkeys(file.schema_arrow.names, ())
    with suppress(KeyError):  # a table that is none of pandas has no such file
        columns = _named(columns, json.loads(read("frame/data.json")))
    return _rows(columns, file.metadata.num_rows)


def _named(columns: Mapping[str, Sequence[Any]], frame: Mapping[str, Any]) -> dict[str, Sequence[Any]]:
    """The columns by their labels; pandas' are kept by position, followed by the index."""
    if frame["kind"] != "DataFrame":
        return {str(frame.get("name") or "value"): next(iter(columns.values()))}
    levels = [part["objects"] for part in frame["labels"]["arrays"] if "objects" in part]
    if len(levels) != 1:
        return {f"column {position}": values for position, values in columns.items()}
    labels = dict(enumerate(map(str, levels[0])))
    return {labels[int(position)]: values for position, values in columns.items() if int(position) in labels}


def _arrow(read: Read) -> str:
    import pyarrow as pa

    table = pa.ipc.open_file(BytesIO(read("data.arrow"))).read_all()
    return _rows(table.slice(0, _ROWS).to_pydict(), table.num_rows)


def _rows(columns: Mapping[str, Sequence[Any]], total: int) -> str:
    shown = list(columns)[:_COLUMNS]
    head = "".join(f"<th>{_cell(name)}</th>" for name in shown)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>"
        for row in zip(*(columns[name][:_ROWS] for name in shown), strict=True)
    )
    size = f"{total} rows, {len(columns)} columns"
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table><p>{size}</p>"


def _cell(value: object) -> str:
    return text(shortened(str(value), _IN_A_CELL))


def _pre(shown: str) -> str:
    return f"<pre>{text(shortened(shown, _CHARACTERS), lines=True)}</pre>"


_FORMATS: dict[str, Callable[[Read], str]] = {
    "data.json": _json,
    "data.npy": _array,
    "data.parquet": _parquet,
    "data.arrow": _arrow,
}
