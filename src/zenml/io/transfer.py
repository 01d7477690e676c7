"""The content of a remote file, on its way: what is written is sent when it is whole, what is read is fetched ahead."""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import IO, Any

IN_MEMORY = 1 << 24
"""Bytes that a file may have to be sent from memory, in one request; a larger one waits on the disk and is sent in parts."""

_BLOCK = 1 << 25
_AHEAD = 2


class Upload(io.BufferedIOBase):
    """A file that is written here, in any order, and sent as a whole when it is closed: its content, or the name of a file that has it.

    It is not sent if the `with` block around it raises: there, nothing half-written is ever to be seen.
    """

    def __init__(self, send: Callable[[bytes | str], None]) -> None:
        self._send = send
        self._file: IO[bytes] = io.BytesIO()
        self._name: str | None = None

    def write(self, data: Any) -> int:
        size = self._file.write(data)
        if self._name is None and self._file.tell() > IN_MEMORY:
            self._move_to_disk()
        return size

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def truncate(self, size: int | None = None) -> int:
        return self._file.truncate(size)

    def tell(self) -> int:
        return self._file.tell()

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if self.closed:
            return
        super().close()
        with self._file as file:
            if self._name is None:
                file.seek(0)
                self._send(file.read())
            else:
                file.flush()
                self._send(self._name)

    def discard(self) -> None:
        """Send nothing."""
        super().close()
        self._file.close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()

    def __del__(self) -> None:
        # At the end of the process there is no event loop any more that could send it.
        if sys.is_finalizing():
            self.discard()
        else:
            self.close()

    def _move_to_disk(self) -> None:
        memory, disk = self._file, tempfile.NamedTemporaryFile(prefix="zenml-")  # noqa: SIM115 - closed with this
        position = memory.seek(0, io.SEEK_CUR)
        memory.seek(0)
        disk.write(memory.read())
        disk.seek(position)
        self._file, self._name = disk, disk.name


class Download(io.RawIOBase):
    """A file that is read by ranges of its bytes. Whoever reads on gets what was fetched meanwhile, several ranges at a time.

    `fetch` is a coroutine function, `fetch(start, end)`, that runs in `loop`.
    """

    def __init__(self, fetch: Callable[[int, int], Any], loop: asyncio.AbstractEventLoop, size: int) -> None:
        self._fetch = fetch
        self._loop = loop
        self._size = size
        self._position = 0
        self._blocks: dict[int, Future[bytes]] = {}
        self._last = -1

    def readinto(self, buffer: Any) -> int:
        index, offset = divmod(self._position, _BLOCK)
        room = min(len(buffer), self._size - self._position, _BLOCK - offset)
        if room <= 0:
            return 0
        part = self._block(index)[offset : offset + room]
        buffer[: len(part)] = part
        self._position += len(part)
        return len(part)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def tell(self) -> int:
        return self._position

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        self._forget(self._blocks)
        super().close()

    def _block(self, index: int) -> memoryview:
        # Who jumps about gets what he asks for, and no more.
        ahead = _AHEAD if index in (self._last, self._last + 1) else 1
        wanted = range(index, min(index + ahead, -(-self._size // _BLOCK)))
        self._forget(self._blocks.keys() - set(wanted))
        for number in wanted:
            if number not in self._blocks:
                start = number * _BLOCK
                self._blocks[number] = asyncio.run_coroutine_threadsafe(
                    self._fetch(start, min(start + _BLOCK, self._size)), self._loop
                )
        self._last = index
        return memoryview(self._blocks[index].result())

    def _forget(self, numbers: Any) -> None:
        for number in list(numbers):
            self._blocks.pop(number).cancel()
