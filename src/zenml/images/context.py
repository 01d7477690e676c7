"""The files of a project that go into an image, and their digests."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from zenml.config.global_config import GlobalConfiguration
from zenml.exceptions import ConfigurationError, ImageError, StoreError, UnreadableFileError
from zenml.images.ignoring import Rules, docker_rules, git_rules
from zenml.logger import get_logger
from zenml.storage.files import make_folder, replace

logger = get_logger("zenml.images")

DOCKERIGNORE = ".dockerignore"
_IGNORE_FILES = (".gitignore", ".zenignore")

_NO_CODE = (".git/", "__pycache__/", "*.py[co]", ".ipynb_checkpoints/", ".DS_Store")
_SECRET_FILES = (
    *(".env", ".netrc", "_netrc", ".pypirc", ".pgpass", ".git-credentials", ".htpasswd", "kubeconfig"),
    *("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "*.pem", "*.key", "*.p12", "*.pfx", "*.kdbx"),
    *(".ssh/", ".aws/", ".azure/", ".gnupg/", ".docker/", ".kube/"),
)
_LARGE = 50 * 1024**2
# A file that was changed this shortly before it was looked at may be changed again without another time.
_UNSETTLED_NS = 2_000_000_000


@dataclass(frozen=True)
class ContextFile:
    """A file, or a link: `name` is relative to the root, with slashes, `target` what a link says."""

    name: str
    path: str
    size: int
    is_executable: bool
    stamp: tuple[int, ...]
    target: str | None = None


@dataclass(frozen=True)
class Context:
    """What of a folder goes into an image: sorted by name, so that equal folders give equal images."""

    root: Path
    files: tuple[ContextFile, ...]
    digests: dict[str, str] = field(repr=False)

    @property
    def digest(self) -> str:
        """Of all names, rights and contents."""
        whole = hashlib.sha256()
        for file in self.files:
            what = f"link {file.target}" if file.target is not None else self.digests[file.name]
            line = f"{file.name}\0{int(file.is_executable)}\0{what}\n"
            whole.update(line.encode("utf-8", "surrogateescape"))
        return whole.hexdigest()


def context_of(root: Path, *, dockerignore_file: str | None = None, never: Collection[str] = ()) -> Context:
    """What of the project in `root` goes into an image.

    Left out is what the pipeline's `dockerignore_file` says, else .dockerignore, else the .gitignore and .zenignore of every folder. Before
    these come rules of our own, which they can undo: no version control, no caches, no files that look like secrets. Never in are the
    paths `never`, this framework's own configuration, virtual environments, and links that lead out of the folder.

    Raises:
        ConfigurationError: the folder is no project, but the whole home or disk.
        UnreadableFileError: a file cannot be read.
    """
    root = root.resolve()
    if root in (Path(root.anchor), Path.home().resolve()):
        raise ConfigurationError(
            f"The whole folder {str(root)!r} would go into an image, since the program lies there. Put it into a folder of its own, or run "
            "`zenml init` in the one that holds the project."
        )
    rules = git_rules(_NO_CODE)
    given = root / (dockerignore_file or DOCKERIGNORE)
    secret = git_rules(_SECRET_FILES)
    nested = not (dockerignore_file or given.exists())
    own = Rules() if nested else docker_rules(_text(given))
    own_folders = (root / ".zen", GlobalConfiguration().config_directory.resolve())
    walk = _Walk(root, secret, frozenset({*never, *map(str, own_folders)}), nested=nested)
    files = tuple(sorted(walk.files("", rules + secret + own), key=lambda file: file.name))
    if walk.secrets:
        logger.warning(
            "Not in the image, since they look like secrets: %s. Where one is none, `!%s` in .dockerignore takes it in.",
            ", ".join(sorted(walk.secrets)),
            min(walk.secrets),
        )
    size = sum(file.size for file in files)
    if size > _LARGE:
        logger.warning(
            "The image takes %.0f MiB from %s: leave out what steps do not need, by .dockerignore.",
            size / 1024**2,
            root,
        )
    return Context(root, files, _digests(root, files))


def package_files(folder: Path) -> Context:
    """The files of an installed package."""
    files = tuple(
        sorted(_Walk(folder, Rules(), frozenset()).files("", git_rules(_NO_CODE)), key=lambda file: file.name)
    )
    return Context(folder, files, _digests(folder, files))


class _Walk:
    def __init__(self, root: Path, secret: Rules, never: frozenset[str], *, nested: bool = False) -> None:
        self._root = str(root)
        self._secret = secret
        self._never = never
        self._nested = nested
        self.secrets: set[str] = set()

    def files(self, folder: str, rules: Rules) -> Iterator[ContextFile]:
        """Those below `folder`, which is empty or ends with a slash."""
        try:
            entries = list(os.scandir(f"{self._root}/{folder}"))
        except OSError as error:
            raise UnreadableFileError(
                f"The folder {error.filename!r} cannot be read for an image: {error.strerror}. Leave it out by .dockerignore."
            ) from None
        if self._nested:
            present = {entry.name for entry in entries}
            for name in _IGNORE_FILES:
                if name in present:
                    text = _text(Path(self._root, folder, name))
                    rules += git_rules(text.splitlines(), folder)
        for entry in entries:
            if entry.path in self._never:
                continue
            name = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from self._folder(f"{name}/", rules)
            elif rules.leaves_out(name):
                if self._secret.leaves_out(name):
                    self.secrets.add(name)
            elif entry.is_symlink():
                yield from self._link(entry, name)
            elif entry.is_file(follow_symlinks=False):
                found = entry.stat(follow_symlinks=False)
                stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
                yield ContextFile(name, entry.path, found.st_size, bool(found.st_mode & 0o100), stamp)

    def _folder(self, name: str, rules: Rules) -> Iterator[ContextFile]:
        if os.path.exists(f"{self._root}/{name}pyvenv.cfg"):  # noqa: PTH110 - these paths are texts
            return
        if not rules.leaves_out(name) or rules.may_reopen(name):
            yield from self.files(name, rules)
        elif self._secret.leaves_out(name):
            self.secrets.add(name)

    def _link(self, entry: os.DirEntry[str], name: str) -> Iterator[ContextFile]:
        target = os.path.realpath(entry.path)
        if not target.startswith(f"{self._root}/"):
            logger.warning("The link %s leads out of the project, and is not in the image.", name)
            return
        relative = os.path.relpath(target, os.path.realpath(os.path.dirname(entry.path)))  # noqa: PTH120 - the same
        yield ContextFile(name, entry.path, 0, is_executable=False, stamp=(), target=relative)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableFileError(f"The file {str(file)!r} cannot be read: {error}.") from None


# Digests: of files that are as they were when they were read last, those that were found then


def _digests(root: Path, files: Iterable[ContextFile]) -> dict[str, str]:
    cache = (
        GlobalConfiguration().config_directory
        / "images"
        / f"{hashlib.sha256(os.fsencode(root)).hexdigest()[:16]}.json"
    )
    known: dict[str, list[object]] = {}
    with suppress(OSError, ValueError):
        known = json.loads(cache.read_text(encoding="utf-8"))
    digests: dict[str, str] = {}
    entries: dict[str, list[object]] = {}
    settled = time.time_ns() - _UNSETTLED_NS
    for file in files:
        if file.target is not None:
            continue
        *stamp, digest = known.get(file.name, [None])
        digests[file.name] = str(digest) if stamp == list(file.stamp) else _digest(file)
        if file.stamp[1] < settled:
            entries[file.name] = [*file.stamp, digests[file.name]]
    if entries != known:
        with suppress(StoreError):  # it only saves time
            make_folder(cache.parent)
            replace(cache, json.dumps(entries))
    return digests


def _digest(file: ContextFile) -> str:
    digest = hashlib.sha256()
    try:
        with open(file.path, "rb") as content:  # noqa: PTH123 - the same
            while block := content.read(1024**2):
                digest.update(block)
    except OSError as error:
        raise ImageError(
            f"The file {file.path!r} cannot be read for an image: {error.strerror}. Leave it out by .dockerignore."
        ) from None
    return digest.hexdigest()
