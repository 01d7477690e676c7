"""Writing the value of a step into an artifact store, and reading it back, verified."""

from __future__ import annotations

import hashlib
import inspect
import io
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Any, cast, get_origin

from zenml.artifacts import BaseArtifact
from zenml.exceptions import (
    ArtifactCorruptedError,
    ArtifactError,
    ArtifactGoneError,
    ArtifactInterfaceError,
    MaterializerInterfaceError,
)
from zenml.io.filesystem import FileSystem, mounted
from zenml.materializers.classes import class_at, import_path
from zenml.materializers.presence import Presence
from zenml.materializers.registry import find_materializer, is_known
from zenml.model.runs import ArtifactRecord, FileEntry, manifest_digest

if TYPE_CHECKING:
    from typing_extensions import Self

    from zenml.artifact_stores import BaseArtifactStore
    from zenml.materializers.base_materializer import BaseMaterializer

_CHUNK = 1 << 20
_SMALL = 1 << 16


def write_value(
    name: str,
    value: Any,
    uri: str,
    store: BaseArtifactStore,
    *,
    annotation: Any = None,
    materializers: Sequence[type[BaseMaterializer] | str] = (),
    artifact_type: type[BaseArtifact] | str = "",
) -> ArtifactRecord:
    """Write a value below `uri`, which must be this attempt's own.

    The materializer is the first of `materializers` that handles the value, else that of the value's type. If that is nothing but
    the last resort, a pickle, one that is known for the class `annotation` is preferred. If writing fails, what was written is
    removed, and the error is the materializer's own.

    Raises:
        MaterializerInterfaceError: none of `materializers` handles the value, or the one that does wrote no file.
    """
    class_ = _choose(name, value, annotation, materializers)
    artifact_class = _artifact_class(artifact_type, class_)
    recorder = _Recorder(store, uri)
    try:
        store.makedirs(uri)
        with mounted(uri, cast("FileSystem", recorder)):
            class_(artifact_class(uri)).handle_return(value)
        manifest = recorder.manifest()
        _refuse_empty(manifest, name, class_)
        store.persist(uri)
    except BaseException:
        with suppress(OSError):  # it may never have been there; what is left is garbage that nobody reads
            store.rmtree(uri)
        raise
    return ArtifactRecord(
        name=name,
        uri=uri,
        store=store.path,
        artifact_type=import_path(artifact_class),
        data_type=import_path(type(value)),
        materializer=import_path(class_),
        manifest=manifest,
        digest=manifest_digest(manifest),
        size=sum(entry.size for entry in manifest),
    )


def read_value(
    record: ArtifactRecord,
    store: BaseArtifactStore,
    data_type: Any = None,
    materializer_class: type[BaseMaterializer] | None = None,
) -> Any:
    """The value of an artifact. Every file is compared with the manifest before any is interpreted.

    `data_type` is what the reader expects: a class (an int may be read where a float is expected), or any other annotation, which
    is not checked here.

    Raises:
        ArtifactGoneError: a file is missing.
        ArtifactCorruptedError: a file is not what was recorded.
        ArtifactError: the materializer or the value's class cannot be imported.
        TypeError: the value is not of the expected type.
    """
    class_ = materializer_class or _import(record, "materializer", record.materializer)
    expected = _class_of(data_type)
    asked = _asked(record, class_, expected)
    with _Verified(record, store) as files, mounted(record.uri, cast("FileSystem", files)):
        value = class_(artifact_of(record)).handle_input(asked)
    if expected is not None and not _fits(type(value), expected):
        raise TypeError(
            f"The artifact '{record.name}' holds a {type(value).__qualname__}, but a {expected.__qualname__} is expected. "
            f"It lies at {record.uri}."
        )
    return value


def check_present(
    record: ArtifactRecord, store: BaseArtifactStore, presence: Presence | None = None
) -> str | None:
    """Why the artifact could not be read, as far as names and sizes tell; None if it could. Whoever asks often gives `presence`."""
    found = (presence or Presence(store)).sizes(record)
    for entry in record.manifest:
        size = found.get(entry.path)
        if size is None:
            return f"artifact '{record.name}' is gone: its file {entry.path!r} is missing below {record.uri}"
        if size != entry.size:
            changed = f"its file {entry.path!r} below {record.uri} has {size} bytes instead of {entry.size}"
            return f"artifact '{record.name}' was changed: {changed}"
    try:
        class_at(record.materializer)
    except ImportError as error:
        return f"the materializer {record.materializer!r} of the artifact '{record.name}' cannot be imported: {error}"
    return None


def check_content(
    record: ArtifactRecord, store: BaseArtifactStore, presence: Presence | None = None
) -> str | None:
    """The same, with the content of every file compared with its digest."""
    problem = check_present(record, store, presence)
    if problem is None:
        try:
            with _Verified(record, store):
                pass
        except ArtifactError as error:
            problem = f"verification failed: {error}"
    return problem


def artifact_of(record: ArtifactRecord) -> BaseArtifact:
    """The artifact itself, for a step or a materializer that handles its files. Raises ArtifactError if its class cannot be imported."""
    class_ = _import(record, "artifact class", record.artifact_type)
    artifact: BaseArtifact = class_(record.uri, record.id, record.materializer, record.data_type)
    return artifact


def _choose(
    name: str, value: Any, annotation: Any, materializers: Sequence[type[BaseMaterializer] | str]
) -> type[BaseMaterializer]:
    given = [class_at(one) if isinstance(one, str) else one for one in materializers]
    for class_ in given:
        if isinstance(value, class_.ASSOCIATED_TYPES):
            return cast("type[BaseMaterializer]", class_)
    if given:
        raise MaterializerInterfaceError(
            f"The output '{name}' is a {type(value).__qualname__}, which none of its materializers handles: "
            f"{', '.join(class_.__name__ for class_ in given)}. Choose another with `with_return_materializers`, or return "
            "what they handle."
        )
    found = find_materializer(type(value))
    declared = _class_of(annotation)
    if declared is not None and not is_known(type(value)) and is_known(declared):
        return find_materializer(declared)
    return found


def _refuse_empty(manifest: tuple[FileEntry, ...], name: str, materializer: type[BaseMaterializer]) -> None:
    if not manifest:
        raise MaterializerInterfaceError(
            f"The materializer {materializer.__name__} wrote no file for the output '{name}': it must write below "
            "`self.artifact.uri`, in `handle_return`."
        )


def _class_of(annotation: Any) -> type[Any] | None:
    # `Any` passes for a class since Python 3.11, `list[int]` did so before.
    is_class = inspect.isclass(annotation) and annotation is not Any and get_origin(annotation) is None
    return annotation if is_class else None


def _artifact_class(
    given: type[BaseArtifact] | str, materializer: type[BaseMaterializer]
) -> type[BaseArtifact]:
    class_ = (
        class_at(given)
        if isinstance(given, str) and given
        else given or next(iter(materializer.ASSOCIATED_ARTIFACT_TYPES), BaseArtifact)
    )
    if not isinstance(class_, type) or not issubclass(class_, BaseArtifact):
        raise ArtifactInterfaceError(f"{given!r} is no artifact class: expected one of zenml.artifacts.")
    return class_


def _import(record: ArtifactRecord, what: str, path: str) -> Any:
    try:
        return class_at(path)
    except ImportError as error:
        raise ArtifactError(
            f"The artifact '{record.name}' cannot be read: its {what} {path!r} cannot be imported: {error}. "
            f"Read it where the code that wrote it can be imported. It lies at {record.uri}."
        ) from error


def _asked(
    record: ArtifactRecord, materializer: type[BaseMaterializer], expected: type[Any] | None
) -> type[Any]:
    """The class to ask the materializer for: the recorded one where it fits."""
    try:
        recorded: type[Any] = class_at(record.data_type)
    except ImportError:
        if materializer.PICKLES:  # it may bring the class along
            return materializer.ASSOCIATED_TYPES[0]
        recorded = _import(record, "type", record.data_type)
    return recorded if expected is None or _fits(recorded, expected) else expected


_WIDER: dict[type[Any], tuple[type[Any], ...]] = {float: (float, int), complex: (complex, float, int)}


def _fits(actual: type[Any], expected: type[Any]) -> bool:
    try:
        return issubclass(actual, _WIDER.get(expected, expected))
    except TypeError:  # a protocol that is not made for checks at run time
        return True


_READING = frozenset({"exists", "glob", "isdir", "listdir", "makedirs", "mkdir", "size", "stat", "walk"})


class _Recorder:
    """A store that hashes what is written through it; every other operation is the store's own."""

    def __init__(self, store: BaseArtifactStore, uri: str) -> None:
        self._store = store
        self._uri = uri
        self._written: dict[str, _HashingFile] = {}
        self._knows_all = store.local_path is None

    def __getattr__(self, name: str) -> Any:
        self._knows_all &= name in _READING
        return getattr(self._store, name)

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        path = name[len(self._uri) + 1 :]
        if mode not in {"r", "rb", "rt"} and (before := self._written.pop(path, None)) is not None:
            before.close()
        if mode not in {"wb", "w", "wt"}:
            self._knows_all &= mode in {"r", "rb", "rt"}
            return self._store.open(name, mode)
        file = self._written[path] = _HashingFile(self._store.open(name, "wb"))
        return cast(
            "IO[Any]", file if mode == "wb" else io.TextIOWrapper(file, encoding="utf-8", write_through=True)
        )

    def manifest(self) -> tuple[FileEntry, ...]:
        for file in self._written.values():
            file.close()  # whoever leaves that to the collector of garbage still has written it
        written = self._written.values()
        if written and self._knows_all and all(file.in_order for file in written):
            # What was sent is there: no request more for each value.
            sizes = {path: file.size for path, file in self._written.items()}
        else:
            sizes = self._store.sizes(self._uri)
        return tuple(self._entry(path, size) for path, size in sorted(sizes.items()))

    def _entry(self, path: str, size: int) -> FileEntry:
        written = self._written.get(path)
        if written is not None and written.in_order and written.size == size:
            return FileEntry(path, size, written.sha256.hexdigest())
        digest = hashlib.sha256()
        with self._store.open(f"{self._uri}/{path}", "rb") as file:
            for chunk in _chunks(file):
                digest.update(chunk)
        return FileEntry(path, size, digest.hexdigest())


def _chunks(file: IO[bytes]) -> Iterator[bytes | memoryview]:
    """The content of a file, piece by piece; a piece is valid until the next one."""
    if not hasattr(file, "readinto"):
        while chunk := file.read(_CHUNK):
            yield chunk
        return
    buffer = memoryview(bytearray(_CHUNK))
    while size := file.readinto(buffer):
        yield buffer[:size]


class _HashingFile(io.BufferedIOBase):
    """Hashes what is written into `file`, as long as it is written in order."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.size = 0
        self.in_order = True

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size += memoryview(data).nbytes
        self._file.write(data)
        return memoryview(data).nbytes

    def seek(self, offset: int, whence: int = 0) -> int:
        position = self._file.seek(offset, whence)
        self.in_order = self.in_order and position == self.size
        return position

    def truncate(self, size: int | None = None) -> int:
        self.in_order = False
        return self._file.truncate(size)

    def tell(self) -> int:
        return self._file.tell()

    def flush(self) -> None:
        if not self._file.closed:
            self._file.flush()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._file.seekable()

    def close(self) -> None:
        if not self.closed:
            super().close()
            self._file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.in_order = False
            # The file's own way of ending without being published, where it has one.
            self._file.__exit__(kind, error, trace)
        else:
            self.close()


class _Verified:
    """The files of an artifact, compared with its manifest: what was verified is what is read.

    Small files are held in memory; of a store elsewhere, larger ones in files of this machine, from the store's cache or for it.
    """

    def __init__(self, record: ArtifactRecord, store: BaseArtifactStore) -> None:
        self._record = record
        self._store = store
        self._held: dict[str, bytes | Path] = {}
        self._remote = store.local_path is None
        self._cache = store.read_cache
        self._folder = Path()
        self._scope = ExitStack()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Self:
        with ExitStack() as scope:
            if self._remote and any(entry.size > _SMALL for entry in self._record.manifest):
                if self._cache:
                    self._folder = scope.enter_context(self._cache.scratch())
                else:
                    self._folder = Path(scope.enter_context(tempfile.TemporaryDirectory(prefix="zenml-")))
            for entry in self._record.manifest:
                self._verify(entry)
            self._scope = scope.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._scope.close()

    def open(self, name: str, mode: str = "r") -> IO[Any]:
        held = self._held.get(name[len(self._record.uri) + 1 :])
        if held is None or mode not in {"r", "rt", "rb"}:
            return self._store.open(name, mode)
        binary: Any = io.BytesIO(held) if isinstance(held, bytes) else held.open("rb")
        return cast("IO[Any]", binary if mode == "rb" else io.TextIOWrapper(binary, encoding="utf-8"))

    def _verify(self, entry: FileEntry) -> None:
        if self._remote and entry.size > _SMALL and self._is_cached(entry):
            return
        try:
            digest, size = self._fetched(entry)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise ArtifactGoneError(
                f"The artifact '{self._record.name}' is gone: its file {entry.path!r} does not exist below {self._record.uri}. "
                "Run the step again."
            ) from None
        if size != entry.size:
            raise self._corrupted(
                entry, f"{entry.size} bytes were written, {'more' if size > entry.size else size} are there"
            )
        if digest != entry.sha256:
            raise self._corrupted(
                entry, f"its SHA-256 was {entry.sha256} when it was written and is {digest} now"
            )
        held = self._held.get(entry.path)
        if self._cache and isinstance(held, Path):
            self._cache.keep(digest, held)

    def _fetched(self, entry: FileEntry) -> tuple[str, int]:
        """The file's digest and size; it is held from now on, or is one of this machine."""
        path = f"{self._record.uri}/{entry.path}"
        if entry.size <= _SMALL and self._remote:
            content = self._held[entry.path] = self._store.read_bytes(path)
            return hashlib.sha256(content).hexdigest(), len(content)
        with self._store.open(path, "rb") as file:
            if entry.size <= _SMALL:
                content = self._held[entry.path] = file.read(entry.size + 1)
                return hashlib.sha256(content).hexdigest(), len(content)
            if not self._remote:
                return _hashed(file)
            with self._hold(entry).open("wb") as copy:
                return _hashed(file, copy)

    def _is_cached(self, entry: FileEntry) -> bool:
        place = self._hold(entry)
        if place.exists():  # another file of the same content
            return True
        if self._cache is None or not self._cache.take(entry.sha256, place):
            return False
        with place.open("rb") as file:
            if _hashed(file) == (entry.sha256, entry.size):
                return True
        place.unlink()
        self._cache.drop(entry.sha256)
        return False

    def _hold(self, entry: FileEntry) -> Path:
        place = self._held[entry.path] = self._folder / entry.sha256
        return place

    def _corrupted(self, entry: FileEntry, reason: str) -> ArtifactCorruptedError:
        return ArtifactCorruptedError(
            f"The artifact '{self._record.name}' is corrupted: of its file {entry.path!r} below {self._record.uri}, {reason}. "
            "Run the step again."
        )


def _hashed(file: IO[bytes], copy: IO[bytes] | None = None) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(file):
        digest.update(chunk)
        size += len(chunk)
        if copy is not None:
            copy.write(chunk)
    return digest.hexdigest(), size
