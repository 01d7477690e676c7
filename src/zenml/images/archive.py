"""Archives that depend on nothing but what is in them: the context of a build, and the wheel of this framework."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import zenml
from zenml._version import __version__
from zenml.exceptions import ImageError
from zenml.images.context import Context, package_files

WHEEL = f"zenml-{__version__}-py3-none-any.whl"

_TIME = 315_532_800
"""The first of January 1980, before which a wheel cannot reach."""


def write_context(path: Path, texts: Mapping[str, bytes], context: Context, folder: str = "") -> None:
    """Write an archive (tar) with the files `texts`, and below `folder` those of the context.

    Raises:
        ImageError: a file was changed meanwhile.
    """
    with tarfile.open(path, "w") as tar:
        if folder:  # it may have no files
            entry = _entry(folder, mode=0o755)
            entry.type = tarfile.DIRTYPE
            tar.addfile(entry)
        for name, content in sorted(texts.items()):
            tar.addfile(_entry(name, size=len(content)), io.BytesIO(content))
        for file in context.files:
            if f"{folder}{file.name}" in texts:
                continue
            entry = _entry(
                f"{folder}{file.name}", size=file.size, mode=0o755 if file.is_executable else 0o644
            )
            if file.target is not None:
                entry.type, entry.linkname = tarfile.SYMTYPE, file.target
                tar.addfile(entry)
                continue
            try:
                with open(file.path, "rb") as opened:  # noqa: PTH123 - a text
                    tar.addfile(entry, opened)
            except OSError as error:
                raise ImageError(
                    f"The file {file.path!r} was changed while the image was made of it: {error}. Run it again."
                ) from None


def _entry(name: str, *, size: int = 0, mode: int = 0o644) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = size, mode, _TIME
    return entry


@cache
def _metadata() -> dict[str, bytes]:
    """What the installation says of itself, in the form of a wheel."""
    folder = f"zenml-{__version__}.dist-info"
    tag = "Wheel-Version: 1.0\nGenerator: zenml\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    try:
        installed = distribution("zenml")
        found = {name: installed.read_text(name) for name in ("METADATA", "entry_points.txt")}
    except PackageNotFoundError:
        raise ImageError(
            "zenml is imported from a folder, and not installed: nothing says what it requires. Install it in this environment, "
            "with `pip install -e FOLDER` for instance."
        ) from None
    texts = {name: text for name, text in found.items() if text} | {"WHEEL": tag}
    return {f"{folder}/{name}": text.encode() for name, text in texts.items()}


def wheel_digest() -> str:
    """The digest of what the wheel of this installation holds."""
    whole = hashlib.sha256(_package().digest.encode())
    for name, content in sorted(_metadata().items()):
        whole.update(name.encode() + b"\0" + content + b"\0")
    return whole.hexdigest()


def wheel() -> bytes:
    """The wheel of this installation, editable or not, made without a network or a build backend (https://packaging.python.org/specifications)."""
    package = _package()
    contents = {f"zenml/{file.name}": Path(file.path).read_bytes() for file in package.files} | _metadata()
    record = f"zenml-{__version__}.dist-info/RECORD"
    lines = [
        f"{name},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},{len(content)}"
        for name, content in sorted(contents.items())
    ]
    contents[record] = "\n".join([*lines, f"{record},,", ""]).encode()
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in sorted(contents.items(), key=lambda item: (".dist-info/" in item[0], item[0])):
            entry = zipfile.ZipInfo(name)
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o100644 << 16
            archive.writestr(entry, content)
    return file.getvalue()


def _package() -> Context:
    return package_files(Path(zenml.__path__[0]))
