"""The log of an attempt as a file: written by a thread of its own, within a limit.

A store that is slow or fails costs the log, never the step.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import deque
from functools import lru_cache
from typing import IO, TYPE_CHECKING

from zenml.model.runs import LOG_FILE

if TYPE_CHECKING:
    from zenml.artifact_stores import BaseArtifactStore

LIMIT_VARIABLE = "ZENML_LOG_LIMIT"
"""Environment variable: how many characters of an attempt's output its log keeps at the most."""

DEFAULT_LIMIT = 10_000_000

_TAIL = 10  # a tenth of the limit is for the last lines
_WAITING = 64_000_000  # bytes that all logs of this process together may have in memory
_PATIENCE = 5.0  # seconds that the end of an attempt waits for its log, as long as no log was late before
_PATIENCE_WHEN_LATE = 0.05
_AT_EXIT = 10.0  # seconds that the end of the process waits for all
_PAUSE = 0.1  # seconds in which what comes is gathered for one write

logger = logging.getLogger("zenml.logs")


class Helper(threading.Thread):
    """A thread of the capture itself: what it says is no step's."""


class LogFile:
    """The log of one attempt. It is made with its first line; a step that says nothing has none."""

    def __init__(self, store: BaseArtifactStore, folder: str, label: str) -> None:
        self._store = store
        self._folder = folder
        self._label = label
        limit = _limit()
        self._tail_limit = limit // _TAIL
        self._room = limit - self._tail_limit
        self._tail: deque[str] = deque()
        self._tail_size = 0
        self._dropped = 0
        self._queue: deque[bytes] = deque()
        self._file: IO[bytes] | None = None
        # An object store cannot append: its files are written anew, seldom enough.
        self._content: list[bytes] | None = None if store.local_path is not None else []
        self._next_write = 0.0
        self._closing = False
        self._failed = False
        self._written = threading.Event()
        self._pid = os.getpid()

    def add(self, text: str) -> None:
        """Take whole lines; never waits, except in a forked child, whose threads are gone."""
        if not text:
            return
        if self._failed or not _writer.has_room(len(text)):
            self._dropped += text.count("\n")
        elif self._pid != os.getpid():
            if self._content is None:
                self._queue.append(_encoded(text))
                self.write_out()
        elif len(text) <= self._room:
            self._room -= len(text)
            self._put(_encoded(text))
        else:
            cut = text.rfind("\n", 0, self._room) + 1
            if cut:
                self._put(_encoded(text[:cut]))
            self._room = 0
            self._keep_last(text[cut:])

    def close(self) -> None:
        """Write what is left, and wait for it, not for long."""
        if self._dropped or self._tail:
            last = "".join(self._tail)
            if self._dropped:
                last = (
                    f"[... {self._dropped:,} lines are left out here ...]\n{last}[{self._dropped:,} lines were "
                    f"dropped: a log keeps {_limit():,} characters; {LIMIT_VARIABLE} sets the limit]\n"
                )
            self._put(_encoded(last))
        self._closing = True
        if self._queue or self._file is not None or self._content:
            _writer.wake(self)
            _writer.await_end(self._written)

    def forked(self) -> None:
        """In a forked child: what was taken before is written by the parent."""
        self._queue = deque()
        self._file = None

    def write_out(self) -> bool:
        """Write what waits, in the writer's thread; whether there is nothing more to come."""
        if self._failed:
            return True
        closing = self._closing
        if self._content is not None and not closing and time.monotonic() < self._next_write:
            return False
        data = b"".join([self._queue.popleft() for _ in range(len(self._queue))])
        if not data and not closing:
            return False
        try:
            if self._content is None:
                self._append(data, last=closing)
            else:
                self._content.append(data)
                self._write_whole(self._content)
        except Exception as error:  # noqa: BLE001 - whatever a store raises, the step goes on
            self._failed = True
            self._queue.clear()
            logger.warning("The log of the step `%s` cannot be written: %s", self._label, error)
        _writer.release(len(data))
        if closing or self._failed:
            self._written.set()
        return closing or self._failed

    def _put(self, data: bytes) -> None:
        if self._failed:
            return
        _writer.take(len(data))
        self._queue.append(data)
        _writer.wake(self)

    def _keep_last(self, text: str) -> None:
        self._tail.append(text)
        self._tail_size += len(text)
        while self._tail_size > self._tail_limit:
            oldest = self._tail.popleft()
            self._tail_size -= len(oldest)
            if not self._tail and len(oldest) > self._tail_limit > 0:
                # One large piece: the end of it, from the beginning of a line on.
                start = len(oldest) - self._tail_limit
                cut = oldest.find("\n", start - 1) + 1 or start
                self._tail.append(oldest[cut:])
                self._tail_size = len(oldest) - cut
                oldest = oldest[:cut]
            self._dropped += oldest.count("\n")

    def _append(self, data: bytes, *, last: bool) -> None:
        if self._file is None:
            self._store.makedirs(self._folder)
            self._file = self._store.open(f"{self._folder}/{LOG_FILE}", "ab")
        self._file.write(data)
        self._file.flush()
        if last:
            self._file.close()

    def _write_whole(self, content: list[bytes]) -> None:
        began = time.monotonic()
        if not self._next_write:
            self._store.makedirs(self._folder)
        with self._store.open(f"{self._folder}/{LOG_FILE}", "wb") as file:
            file.write(b"".join(content))
        ended = time.monotonic()
        # A slow store is asked seldom: it spends a tenth of the time on logs.
        self._next_write = ended + max(2.0, 10 * (ended - began))


class _Writer:
    """The thread that writes the logs of this process."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        self._logs: dict[LogFile, None] = {}
        self._changed = threading.Condition()
        self._waiting = 0
        self._thread: Helper | None = None
        self._late = False

    def has_room(self, size: int) -> bool:
        return self._waiting + size <= _WAITING

    def take(self, size: int) -> None:
        with self._changed:
            self._waiting += size

    def release(self, size: int) -> None:
        with self._changed:
            self._waiting -= size

    def wake(self, log: LogFile) -> None:
        """Let the log be written soon."""
        if log in self._logs:
            if log._closing:  # noqa: SLF001 - the two are one
                with self._changed:
                    self._changed.notify()
            return
        with self._changed:
            self._logs[log] = None
            if self._thread is None:
                self._thread = Helper(target=self._run, name="zenml-logs", daemon=True)
                self._thread.start()
                atexit.register(self._finish)
                os.register_at_fork(after_in_child=self.reset)
            self._changed.notify()

    def await_end(self, written: threading.Event) -> None:
        """Wait for a log, unless one was late: a slow store shall not cost this time for each step."""
        self._late = not written.wait(_PATIENCE_WHEN_LATE if self._late else _PATIENCE)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._logs:
                    self._changed.wait()
                logs = list(self._logs)
                if not any(log._closing for log in logs):  # noqa: SLF001
                    self._changed.wait(_PAUSE)
            for log in logs:
                if log.write_out():
                    with self._changed:
                        del self._logs[log]
                        self._changed.notify_all()

    def _finish(self) -> None:
        deadline = time.monotonic() + _AT_EXIT
        with self._changed:
            while self._logs and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


def _limit() -> int:
    return _parsed(os.environ.get(LIMIT_VARIABLE, ""))


@lru_cache(maxsize=8)  # a wrong value is worth one warning
def _parsed(given: str) -> int:
    if given.isdecimal():
        return int(given)
    if given:
        logger.warning(
            "%s is %r; expected a number of characters. Using %s.",
            LIMIT_VARIABLE,
            given,
            f"{DEFAULT_LIMIT:,}",
        )
    return DEFAULT_LIMIT


_writer = _Writer()
