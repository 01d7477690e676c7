"""Files of this machine that remote ones were copied to, found again by their digest."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

_LEFT_BEHIND = 24 * 3600
_OFTEN = 20


def cache_folder(name: str) -> Path:
    """The folder of this user's for copies of that kind, which can be removed at any time."""
    given = os.environ.get("XDG_CACHE_HOME")
    return Path(given or Path.home() / ".cache") / "zenml" / name


class ReadCache:
    """Keeps files by the SHA-256 of their content in `folder`, about `limit` bytes of them: those that were used last.

    Any number of processes may use the same folder. It says nothing about what its files have become since: whoever takes one
    compares it with the digest. A folder that cannot be used makes it an empty cache that keeps nothing.
    """

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder = folder
        self._limit = limit
        self._unseen = limit  # bytes that came in since all were looked at

    @contextlib.contextmanager
    def scratch(self) -> Iterator[Path]:
        """A folder of the caller's own for the time of the block: what it takes from the cache, or will give to it."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            made = tempfile.TemporaryDirectory(prefix=".", dir=self._folder)
        except OSError:
            made = tempfile.TemporaryDirectory(prefix="zenml-")
        with made as name:
            yield Path(name)

    def take(self, sha256: str, place: Path) -> bool:
        """Let the file at `place` be the kept one. Gives whether there is one."""
        kept = self._folder / sha256
        try:
            os.link(kept, place)
            os.utime(kept)
        except OSError:
            return False
        return True

    def keep(self, sha256: str, place: Path) -> None:
        """Keep the file at `place`, whose content has this digest, and nobody changes it any more."""
        try:
            size = place.stat().st_size
            if size > self._limit:
                return
            os.link(place, self._folder / sha256)
        except OSError:  # it is there already, or the folder cannot be used
            return
        self._unseen += size
        if self._unseen * _OFTEN > self._limit:
            self._unseen = 0
            self._shrink()

    def drop(self, sha256: str) -> None:
        """Forget a file that is not what it was."""
        with contextlib.suppress(OSError):
            (self._folder / sha256).unlink()

    def _shrink(self) -> None:
        found = []
        for entry in os.scandir(self._folder):
            with contextlib.suppress(OSError):  # another process was faster
                status = entry.stat()
                if not entry.name.startswith("."):
                    found.append((status.st_mtime, status.st_size, entry.path))
                elif time.time() - status.st_mtime > _LEFT_BEHIND:  # of a process that was killed
                    _remove(Path(entry.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._limit:
                return
            with contextlib.suppress(OSError):
                Path(path).unlink()
            total -= size


def _remove(folder: Path) -> None:
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
