"""A run as one file: written here, checked and read elsewhere.

It is a zip file with `run.json` (what is recorded of the run and its steps; see `_Bundle`), `deployment.json` (the compiled pipeline),
`logs/<step>.<attempt>.txt` and `values/<artifact>/<path>`, where steps and artifacts are counted in the order of `run.json`, which names
every other file with its size and SHA-256. It holds references to secrets at the most, never secrets. The same run gives the same bytes.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID, uuid4

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from zenml.enums import ExecutionStatus
from zenml.exceptions import (
    ArtifactCorruptedError,
    ConfigurationError,
    DuplicateRunNameError,
    InUseError,
    UnreadableFileError,
)
from zenml.model.deployment import Deployment
from zenml.model.housekeeping import RunHistory
from zenml.model.names import check_name
from zenml.model.runs import (
    LOG_FILE,
    ArtifactRecord,
    AttemptRecord,
    ErrorRecord,
    FileEntry,
    MetricRecord,
    Owner,
    RunRecord,
    StepRunRecord,
    attempt_folder,
    manifest_digest,
)
from zenml.post_execution.content import checked
from zenml.post_execution.trash import Trash
from zenml.post_execution.view import Stores

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore
    from zenml.metadata_stores import BaseMetadataStore
    from zenml.post_execution.run import PipelineRunView

VERSION = 1
"""Version of the file's form; a reader refuses a higher one."""

MAX_SIZE = 50 * 10**9
"""Bytes that the logs and values of an imported run may have, unless another limit is given."""

_MAX_DOCUMENT = 256 * 2**20
_MAX_FILES = 1_000_000
_CHUNK = 1 << 20


# The form of run.json. It comes from strangers: whatever is read is checked first.


def _clean(text: str) -> str:
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("it holds characters that no name has")
    return text


def _part(text: str) -> str:
    """A name that becomes a part of a path."""
    if "/" in text or "\\" in text or text.strip() in ("", ".", ".."):
        raise ValueError("it would lead to another folder")
    return _clean(text)


def _relative(text: str) -> str:
    """A path below a folder."""
    path = PurePosixPath(text)
    drive = re.match("[A-Za-z]:", text)
    if (
        path.is_absolute()
        or not path.parts
        or ".." in path.parts
        or "\\" in text
        or drive
        or str(path) != text
    ):
        raise ValueError("it leads out of its folder")
    return _clean(text)


_Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_clean)]
_Part = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_part)]
_ImportPath = Annotated[str, Field(max_length=4096), AfterValidator(_clean)]
_Digest = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Moment = Annotated[float, Field(ge=0, le=1e12)]
_Count = Annotated[int, Field(ge=0, lt=2**31)]
_Size = Annotated[int, Field(ge=0, lt=2**62)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True, ser_json_inf_nan="strings")


class _File(_Model):
    path: Annotated[str, Field(min_length=1, max_length=4096), AfterValidator(_relative)]
    size: _Size
    sha256: _Digest


class _Error(_Model):
    type: str
    message: str
    traceback: str


class _Attempt(_Model):
    number: Annotated[int, Field(ge=1, lt=2**31)]
    status: ExecutionStatus
    started: _Moment
    ended: _Moment | None
    error: _Error | None
    log: _File | None = None


class _Artifact(_Model):
    name: _Part
    artifact_type: _ImportPath
    data_type: _ImportPath
    materializer: _ImportPath
    manifest: tuple[_File, ...]
    digest: _Digest
    removed: _Moment | None = None
    """When its files were removed: the bundle does not hold them."""


class _Metric(_Model):
    name: _Name
    value: float
    step: Annotated[int, Field(ge=-(2**63), lt=2**63)]
    recorded: _Moment


class _Input(_Model):
    name: _Name
    step: _Count
    """Position of the step whose output it is, in the list of all."""
    output: _Part


class _Step(_Model):
    name: _Part
    entrypoint_name: _Name
    map_index: Annotated[int, Field(ge=-1, lt=2**31)]
    status: ExecutionStatus
    parameters: dict[str, Any]
    docstring: str | None
    cache_key: Annotated[str, Field(max_length=64)] | None
    key_parts: dict[str, str]
    attempts: _Count
    started: _Moment | None
    ended: _Moment | None
    error: _Error | None
    reason: str | None
    each_attempt: tuple[_Attempt, ...] = ()
    inputs: tuple[_Input, ...] = ()
    outputs: tuple[_Artifact, ...] = ()
    metrics: tuple[_Metric, ...] = ()
    logged_parameters: dict[_Name, str] = {}


class _Run(_Model):
    uuid: UUID
    pipeline: _Name
    name: _Name
    status: ExecutionStatus
    stack: _Name
    runtime_configuration: dict[str, Any]
    created: _Moment
    ended: _Moment
    error: _Error | None
    zenml_version: Annotated[str, Field(max_length=64), AfterValidator(_clean)]
    git_sha: Annotated[str, Field(max_length=64), AfterValidator(_clean)] | None


class _Bundle(_Model):
    format: Literal["zenml run"] = "zenml run"
    version: Literal[1] = 1
    run: _Run
    deployment: _File
    steps: tuple[_Step, ...]

    def logs(self) -> Iterator[tuple[str, _Step, _Attempt, _File]]:
        """The logs, each under its name in the zip file."""
        for position, step in enumerate(self.steps):
            for attempt in step.each_attempt:
                if attempt.log is not None:
                    yield f"logs/{position}.{attempt.number}.txt", step, attempt, attempt.log

    def artifacts(self) -> Iterator[tuple[str, _Step, _Artifact]]:
        """The artifacts, each with its folder in the zip file."""
        number = 0
        for step in self.steps:
            for artifact in step.outputs:
                yield f"values/{number}", step, artifact
                number += 1

    def files(self) -> Iterator[tuple[str, int]]:
        """The names of all files besides run.json, and their sizes."""
        yield "deployment.json", self.deployment.size
        for name, _, _, log in self.logs():
            yield name, log.size
        for folder, _, artifact in self.artifacts():
            if artifact.removed is None:
                for file in artifact.manifest:
                    yield f"{folder}/{file.path}", file.size


# Writing.


def export_run(
    stores: Stores, run: RunRecord, path: str | os.PathLike[str], *, overwrite: bool = False
) -> Path:
    """Write a run that has ended to the file `path`: it appears whole, or not at all. Gives the file.

    Values that were pruned are left out, and noted as removed.

    Raises:
        InUseError: the run has not ended.
        FileExistsError: there is something at `path`, and it may not be overwritten.
        ArtifactGoneError, ArtifactCorruptedError: a value cannot be read.
        ConfigurationError: a value lies in another artifact store, or something has a name that no file of this form can hold.
    """
    target = Path(path).expanduser().absolute()
    if not run.status.is_finished:
        raise InUseError(f"The run '{run.name}' is {run.status}: it can be exported when it has ended.")
    if os.path.lexists(target) and not (overwrite and target.is_file()):
        raise FileExistsError(
            f"{str(target)!r} exists already: name another file, or give overwrite (--overwrite) to replace it."
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.with_name(f".{target.name}.{os.urandom(8).hex()}.tmp")
    try:
        with zipfile.ZipFile(staged, "x", compression=zipfile.ZIP_DEFLATED, compresslevel=1) as file:
            _Writer(file, stores.metadata.history(run.id), stores.artifacts).write()
        staged.replace(target)
    except ValidationError as error:
        raise ConfigurationError(f"The run '{run.name}' cannot be exported: {_mistakes(error)}.") from None
    finally:
        staged.unlink(missing_ok=True)
    return target


class _Writer:
    def __init__(self, file: zipfile.ZipFile, history: RunHistory, store: BaseArtifactStore) -> None:
        self._file = file
        self._history = history
        self._store = store
        self._artifacts = 0

    def write(self) -> None:
        history = self._history
        places = {
            artifact.id: (position, artifact.name)
            for position, step in reversed(list(enumerate(history.steps)))
            for artifact in history.outputs.get(step.id, {}).values()
        }
        bundle = _Bundle(
            run=_Run.model_validate(history.run),
            deployment=self._add("deployment.json", [history.deployment.encode()]),
            steps=tuple(self._step(position, step, places) for position, step in enumerate(history.steps)),
        )
        self._add("run.json", [bundle.model_dump_json(indent=1).encode()])

    def _step(self, position: int, step: StepRunRecord, places: dict[int, tuple[int, str]]) -> _Step:
        history = self._history
        fields = {name: getattr(step, name) for name in _Step.model_fields if hasattr(step, name)}
        inputs = []
        for name, artifact in history.inputs.get(step.id, {}).items():
            if artifact.id not in places:
                raise ConfigurationError(
                    f"The run '{history.run.name}' cannot be exported: the input '{name}' of the step '{step.name}' comes from another run."
                )
            source, output = places[artifact.id]
            inputs.append(_Input(name=name, step=source, output=output))
        return _Step.model_validate(
            {
                **fields,
                "inputs": inputs,
                "each_attempt": [self._attempt(position, step, a) for a in history.attempts.get(step.id, ())],
                "outputs": [self._artifact(a) for a in history.outputs.get(step.id, {}).values()],
                "metrics": list(history.metrics.get(step.id, ())),
                "logged_parameters": history.logged_parameters.get(step.id, {}),
            }
        )

    def _attempt(self, position: int, step: StepRunRecord, attempt: AttemptRecord) -> _Attempt:
        folder = attempt_folder(
            self._store.path, self._history.run.uuid, step.name, step.map_index, attempt.number
        )
        log = None
        # A step that says nothing has none.
        with (
            suppress(FileNotFoundError, NotADirectoryError),
            self._store.open(f"{folder}/{LOG_FILE}", "rb") as file,
        ):
            log = self._add(f"logs/{position}.{attempt.number}.txt", iter(lambda: file.read(_CHUNK), b""))
        return _Attempt.model_validate(attempt).model_copy(update={"log": log})

    def _artifact(self, record: ArtifactRecord) -> _Artifact:
        removed = self._history.removed.get(record.id)
        folder = f"values/{self._artifacts}"
        self._artifacts += 1
        if record.store != self._store.path:
            raise ConfigurationError(
                f"The value '{record.name}' lies in the artifact store at {record.store!r}: export the run with a stack that has that one."
            )
        if removed is None:
            for entry in record.manifest:
                try:
                    self._add(f"{folder}/{entry.path}", checked(record, entry, self._store), entry.size)
                except ArtifactCorruptedError as error:
                    raise ArtifactCorruptedError(
                        f"The artifact {record.id}, '{record.name}', is corrupted: of its file {entry.path!r} below {record.uri}, {error}."
                    ) from None
        return _Artifact.model_validate(record).model_copy(update={"removed": removed})

    def _add(self, name: str, content: Iterable[bytes], size: int = 0) -> _File:
        info = zipfile.ZipInfo(name)  # of 1980: equal runs give equal files
        info.compress_type = zipfile.ZIP_DEFLATED
        info.file_size = size
        digest, count = hashlib.sha256(), 0
        with self._file.open(info, "w", force_zip64=size == 0) as target:
            for chunk in content:
                digest.update(chunk)
                count += len(chunk)
                target.write(chunk)
        return _File(path=name, size=count, sha256=digest.hexdigest())


# Reading.


def import_run(
    metadata_store: BaseMetadataStore,
    artifact_store: BaseArtifactStore,
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    max_size: int = MAX_SIZE,
) -> PipelineRunView:
    """Record a run that `export` has written, here or elsewhere; its values are copied into the artifact store. Gives its view.

    Every digest is checked before anything is recorded, and nothing is left if something is wrong. It gets a UUID of its own; that which
    it had is the one of its `deployment`. Its results are never taken from the cache: to read a value is to run the code that
    its materializer calls, possibly that of a pickle, and that is for whoever trusts the file to decide.

    Args:
        metadata_store: where it is recorded.
        artifact_store: where its values and logs are written.
        path: the file.
        name: another name for the run, if its own is taken.
        max_size: bytes that its logs and values may have.

    Raises:
        UnreadableFileError: the file is no exported run, is damaged or was changed.
        ConfigurationError: it is larger than `max_size`, or was written by a later version.
        DuplicateRunNameError: a run of that name is recorded already.
    """
    from zenml.post_execution.stores import run_view

    where = Path(path).expanduser()
    stores = Stores(metadata_store, artifact_store)
    try:
        with zipfile.ZipFile(where) as file:
            run_id = _Reader(file, str(where), stores, max_size).read(name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        # A damaged file may name a place in it that no file can have.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise UnreadableFileError(
            f"{str(where)!r} is no exported run, or was damaged on its way: {error}. Nothing was imported."
        ) from None
    return run_view(metadata_store, artifact_store, run_id)


class _Reader:
    def __init__(self, file: zipfile.ZipFile, path: str, stores: Stores, max_size: int) -> None:
        self._file = file
        self._path = path
        self._stores = stores
        self._max_size = max_size
        self._root = stores.artifacts.path.rstrip("/")

    def read(self, name: str | None) -> int:
        """Write the files, then record the run."""
        bundle = self._document()
        deployment = self._deployment(bundle)
        name = bundle.run.name if name is None else check_name(name, "run")
        if self._stores.metadata.run_by_name(name) is not None:
            raise DuplicateRunNameError(
                f"A run named '{name}' is recorded in the metadata store '{self._stores.metadata.name}' already: import this one under "
                "another name (--name), or delete that one."
            )
        uuid = uuid4()
        trash = Trash(self._stores)
        entry = trash.importing(uuid)
        try:
            for place, step, attempt, log in bundle.logs():
                folder = attempt_folder(self._root, uuid, step.name, step.map_index, attempt.number)
                self._copy(place, f"{folder}/{LOG_FILE}", log)
            outputs = [self._output(folder, step, one, uuid) for folder, step, one in bundle.artifacts()]
            history = _history(bundle, deployment, replace(_run(bundle.run), name=name, uuid=uuid), outputs)
            run_id = self._stores.metadata.import_run(history)
        except BaseException:
            trash.give_up(entry)
            raise
        trash.imported(entry)
        return run_id

    def _document(self) -> _Bundle:
        infos = self._file.infolist()
        names = {info.filename for info in infos}
        if len(infos) > _MAX_FILES:
            raise self._refusal(f"it holds {len(infos)} files, {_MAX_FILES} are the most")
        if "run.json" not in names:
            raise self._refusal("it holds no run.json")
        try:
            document = json.loads(self._content("run.json"))
            if (
                isinstance(document, dict)
                and isinstance(version := document.get("version"), int)
                and version > VERSION
            ):
                raise ConfigurationError(
                    f"{self._path!r} has the version {version}, this zenml reads {VERSION} at the most: update zenml here."
                )
            bundle = _Bundle.model_validate(document)
        except ValidationError as error:
            raise self._refusal(_mistakes(error)) from None
        except (ValueError, RecursionError) as error:
            raise self._refusal(f"its run.json cannot be read: {error}") from None
        sizes = dict(bundle.files())
        if len(names) != len(infos) or names != {"run.json", *sizes}:
            odd = sorted(names.symmetric_difference({"run.json", *sizes})) or ["a name that is there twice"]
            raise self._refusal(f"its run.json names other files than it holds, as {odd[0]!r}")
        if (size := sum(sizes.values())) > self._max_size:
            raise ConfigurationError(
                f"The run in {self._path!r} has {size} bytes of logs and values, {self._max_size} are allowed: allow more with max_size "
                "(--max-size) if you trust it."
            )
        if problem := _contradiction(bundle):
            raise self._refusal(problem)
        return bundle

    def _deployment(self, bundle: _Bundle) -> str:
        text = self._content("deployment.json")
        if hashlib.sha256(text).hexdigest() != bundle.deployment.sha256:
            raise self._refusal("its deployment.json is not what was exported")
        try:
            deployment = Deployment.from_document(json.loads(text))
            known = {step.name for step in deployment.steps}
        except ConfigurationError:
            raise
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            raise self._refusal(f"its deployment.json cannot be read: {error!r}") from None
        if unknown := sorted({step.name for step in bundle.steps} - known):
            raise self._refusal(f"its step {unknown[0]!r} is none of the compiled pipeline")
        return text.decode()

    def _output(self, folder: str, step: _Step, artifact: _Artifact, uuid: UUID) -> ArtifactRecord:
        attempt = attempt_folder(self._root, uuid, step.name, step.map_index, max(step.attempts, 1))
        uri = f"{attempt}/{artifact.name}"
        if artifact.removed is None:
            for file in artifact.manifest:
                self._copy(f"{folder}/{file.path}", f"{uri}/{file.path}", file)
        manifest = tuple(FileEntry(file.path, file.size, file.sha256) for file in artifact.manifest)
        return ArtifactRecord(
            name=artifact.name,
            uri=uri,
            store=self._stores.artifacts.path,
            artifact_type=artifact.artifact_type,
            data_type=artifact.data_type,
            materializer=artifact.materializer,
            manifest=manifest,
            digest=artifact.digest,
            size=sum(entry.size for entry in manifest),
        )

    def _copy(self, name: str, target: str, expected: _File) -> None:
        store = self._stores.artifacts
        store.makedirs(target.rpartition("/")[0])
        digest, size = hashlib.sha256(), 0
        with store.open(target, "wb") as copy:
            for chunk in self._chunks(name, expected.size):
                digest.update(chunk)
                size += len(chunk)
                copy.write(chunk)
        if (size, digest.hexdigest()) != (expected.size, expected.sha256):
            raise self._refusal(
                f"its file {name!r} is not what was exported: its SHA-256 or its size differs"
            )

    def _content(self, name: str) -> bytes:
        if self._file.getinfo(name).file_size > _MAX_DOCUMENT:
            raise self._refusal(f"its {name} has more than {_MAX_DOCUMENT} bytes")
        return b"".join(self._chunks(name, _MAX_DOCUMENT))

    def _chunks(self, name: str, limit: int) -> Iterator[bytes]:
        """The content of a file, one byte more than `limit` at the most, whatever the file says of its size."""
        info = self._file.getinfo(name)
        if info.flag_bits & 1:
            raise self._refusal(f"its file {name!r} is encrypted")
        left = limit + 1
        with self._file.open(info) as file:
            while left and (chunk := file.read(min(_CHUNK, left))):
                left -= len(chunk)
                yield chunk

    def _refusal(self, reason: str) -> UnreadableFileError:
        return UnreadableFileError(f"{self._path!r} cannot be imported: {reason}. Nothing was imported.")


def _contradiction(bundle: _Bundle) -> str | None:
    """What cannot be true of a run; None if all can."""
    keys = [(step.name, step.map_index) for step in bundle.steps]
    if len(set(keys)) != len(keys):
        return "a step is in it twice"
    for step in bundle.steps:
        outputs = [artifact.name for artifact in step.outputs]
        if not step.status.is_finished or not bundle.run.status.is_finished:
            return f"its step {step.name!r}, or the run itself, has not ended"
        if len(set(outputs)) != len(outputs) or len({one.name for one in step.inputs}) != len(step.inputs):
            return f"its step {step.name!r} has an input or output twice"
        if len({attempt.number for attempt in step.each_attempt}) != len(step.each_attempt):
            return f"its step {step.name!r} has an attempt twice"
        for one in step.inputs:
            if one.step >= len(bundle.steps) or one.output not in [
                a.name for a in bundle.steps[one.step].outputs
            ]:
                return f"the input {one.name!r} of its step {step.name!r} comes from nowhere"
        for artifact in step.outputs:
            files = [FileEntry(file.path, file.size, file.sha256) for file in artifact.manifest]
            if len({file.path for file in files}) != len(files) or manifest_digest(files) != artifact.digest:
                return f"the output {artifact.name!r} of its step {step.name!r} does not have the digest of its files"
    return None


def _history(
    bundle: _Bundle, deployment: str, run: RunRecord, artifacts: Sequence[ArtifactRecord]
) -> RunHistory:
    numbered = iter([replace(artifact, id=number) for number, artifact in enumerate(artifacts)])
    outputs = {id: {one.name: next(numbered) for one in step.outputs} for id, step in enumerate(bundle.steps)}
    steps = list(enumerate(bundle.steps))
    return RunHistory(
        run=run,
        deployment=deployment,
        steps=[_step(id, step) for id, step in steps],
        attempts={id: [_attempt(id, attempt) for attempt in step.each_attempt] for id, step in steps},
        inputs={id: {one.name: outputs[one.step][one.output] for one in step.inputs} for id, step in steps},
        outputs=outputs,
        metrics={
            id: [MetricRecord(id, m.name, m.value, m.step, m.recorded) for m in step.metrics]
            for id, step in steps
        },
        logged_parameters={id: step.logged_parameters for id, step in steps},
        removed={
            outputs[id][one.name].id: one.removed
            for id, step in steps
            for one in step.outputs
            if one.removed is not None
        },
    )


def _run(run: _Run) -> RunRecord:
    return RunRecord(**{**_plain(run), "error": _error(run.error)}, id=0)


def _step(id: int, step: _Step) -> StepRunRecord:
    fields = _plain(step)
    for name in ("each_attempt", "inputs", "outputs", "metrics", "logged_parameters"):
        del fields[name]
    return StepRunRecord(**{**fields, "error": _error(step.error)}, id=id, run_id=0, source=None)


def _attempt(step: int, attempt: _Attempt) -> AttemptRecord:
    return AttemptRecord(
        id=0,
        step_run_id=step,
        number=attempt.number,
        status=attempt.status,
        owner=Owner("process"),
        started=attempt.started,
        ended=attempt.ended,
        error=_error(attempt.error),
    )


def _plain(model: _Model) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


def _error(error: _Error | None) -> ErrorRecord | None:
    return None if error is None else ErrorRecord(error.type, error.message, error.traceback)


def _mistakes(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in first[:3]]
    more = f", and {len(first) - 3} more" if len(first) > 3 else ""  # noqa: PLR2004 - three say enough
    return "; ".join(shown) + more
