"""What a step prints and logs goes to the terminal as before, and to a log beside its artifacts; values of secrets to neither.

In the user's own process it is told by the thread whose output it is: the step's own thread, and those that it started. What else
that process does meanwhile is no part of the log, nor is what the step's child processes write themselves. Where a process executes
nothing but steps (`own_process`), all that it and its children write to the descriptors 1 and 2 belongs to the step under way.

`sys.stdout` is a C text stream for the thread of the step, so that a `print` costs what it costs elsewhere; this module sees chunks.
"""

from __future__ import annotations

import codecs
import faulthandler
import io
import logging
import os
import re
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, TextIO

from zenml.engine.capture_log import Helper, LogFile
from zenml.engine.errors import error_record
from zenml.secret.known import Redactor

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    from zenml.artifact_stores import BaseArtifactStore

    _Terminal: TypeAlias = "TextIO | _Prefixed"

_NAMES = ("stdout", "stderr")
_TICK = 0.1  # seconds after which what was printed is shown at the latest
_CHUNK = 32_768
_LONGEST_LINE = 1_000_000
_PIPE = 4096  # bytes that POSIX writes into a pipe in one piece
_LINE_ENDS = re.compile(r"\r+\n")
_OVERWRITTEN = re.compile(r"[^\n]*\r")


class Capture:
    """The output of one attempt, within `with`: `label` names the step, `folder` is that of the attempt in the store."""

    def __init__(self, store: BaseArtifactStore, folder: str, label: str) -> None:
        self._store = store
        self._folder = folder
        self._label = label
        self._channels: dict[str, _Channel] = {}
        self._lock = threading.RLock()
        self._thread = threading.get_ident()
        self._others = frozenset(threading.enumerate())

    def __enter__(self) -> None:
        _installed.enter(self._thread, self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        _installed.leave(self._thread)
        if _own is not None:
            _flush_c()
        self.flush()
        if error is None and not self._channels:
            return
        with self._lock:
            for channel in self._channels.values():
                self._log.add(channel.end())
            if error is not None:
                self._log.add(error_record(error).traceback)
        self._log.close()

    @cached_property
    def _log(self) -> LogFile:
        return LogFile(self._store, self._folder, self._label)

    def covers(self, thread: threading.Thread) -> bool:
        """Whether the thread was started since, so that it is one of the step's."""
        return thread not in self._others and not isinstance(thread, Helper)

    def text(self, name: str) -> io.TextIOWrapper:
        """The stream of that name for the step: "stdout" or "stderr"."""
        with self._lock:
            return self.channel(name).text

    def channel(self, name: str, terminal: _Terminal | None = None) -> _Channel:
        """The channel of that name, made at its first use."""
        if name not in self._channels:
            terminal = _installed.terminal(name, self._label) if terminal is None else terminal
            self._channels[name] = _Channel(name, self, terminal)
            _ticker.start()
        return self._channels[name]

    def take(self, channel: _Channel, data: bytes) -> None:
        """Take a piece of output."""
        with self._lock:
            if channel.name == "stderr" and "stdout" in self._channels:
                self._channels["stdout"].text.flush()  # what was printed before comes before
            self._log.add(channel.show(data))

    def flush(self) -> None:
        """Show what was printed."""
        for channel in list(self._channels.values()):
            with suppress(ValueError):  # the step has closed it
                channel.text.flush()
        if _own is not None:
            with self._lock:
                for name, data in _own.new():
                    terminal = _own.terminal(name, self._label)
                    self.take(self.channel(f"descriptor {name}", terminal), data)

    def forked(self) -> None:
        """Be usable in a forked child, whatever lock another thread held."""
        self._lock = threading.RLock()
        self._log.forked()


class _Channel(io.RawIOBase):
    """One stream of a step: bytes in, redacted text out, to the terminal and, as whole lines, to the log."""

    def __init__(self, name: str, capture: Capture, terminal: _Terminal | None) -> None:
        self.name = name
        self.text = io.TextIOWrapper(
            self,
            encoding="utf-8",
            errors="backslashreplace",
            newline="\n",
            write_through=name == "stderr",
        )
        self.text._CHUNK_SIZE = _CHUNK  # type: ignore[attr-defined]  # noqa: SLF001 - how much it gathers has no public name
        self._capture = capture
        self._terminal = terminal
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._redactor = Redactor()
        self._line = ""
        self._is_over = False

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._capture.take(self, content)
        return len(content)

    def show(self, data: bytes) -> str:
        """Show a piece; gives the lines that are whole now."""
        shown = self._redactor.feed(self._decoder.decode(data))
        self._print(shown)
        return "" if self._is_over else self._whole_lines(shown)

    def close(self) -> None:
        """Whoever closes `sys.stdout` closes it for nobody else."""

    def end(self) -> str:
        """The step has ended: show what it did not finish; gives the last lines.

        Whoever has kept the stream writes to the terminal alone from now on.
        """
        rest = self._redactor.finish()
        self._print(rest)
        lines = self._whole_lines(rest)
        if last := self._line.rstrip("\r").rpartition("\r")[2]:
            lines += f"{last}\n"
        if isinstance(self._terminal, _Prefixed):
            self._terminal.finish()
        self._line, self._is_over = "", True
        return lines

    def _print(self, text: str) -> None:
        if self._terminal is None or not text:
            return
        try:
            try:
                self._terminal.write(text)
            except UnicodeEncodeError:
                encoding = self._terminal.encoding or "ascii"
                self._terminal.write(text.encode(encoding, "backslashreplace").decode(encoding))
            self._terminal.flush()
        except (OSError, ValueError):  # nobody listens any more
            self._terminal = None

    def _whole_lines(self, text: str) -> str:
        text = self._line + text
        cut = text.rfind("\n") + 1
        whole, rest = text[:cut], text[cut:]
        if "\r" in whole:  # a progress bar: what it was last
            whole = _last_states(whole)
        if "\r" in rest:
            shown = rest.rstrip("\r")
            rest = shown.rpartition("\r")[2] + rest[len(shown) :]
        if len(rest) > _LONGEST_LINE:
            whole, rest = whole + rest, ""
        self._line = rest
        return whole


class _Router(threading.local):
    """Stands for `sys.stdout` or `sys.stderr`: in a step's thread its stream, elsewhere what was there before.

    The attributes of a thread are found in C: `write` and `flush` of a step's thread are those of its stream themselves.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def bind(self, stream: io.TextIOWrapper) -> None:
        self.__dict__.update(write=stream.write, flush=stream.flush)

    def unbind(self) -> None:
        self.__dict__.pop("write", None)
        self.__dict__.pop("flush", None)

    def write(self, text: str) -> int:
        stream = _installed.stream(self._name)
        return len(text) if stream is None else stream.write(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        stream = _installed.stream(self._name)
        if stream is not None:
            stream.flush()

    @property
    def buffer(self) -> Any:
        stream = _installed.stream(self._name)
        if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, _Channel):
            stream.flush()
        return getattr(stream, "buffer", None)

    @classmethod
    def resemble(cls, stream: Any) -> None:
        """Have whatever else the stream has: with `__getattr__`, each `print` would take half as long again."""
        for name in dir(stream):
            if not name.startswith("_") and not hasattr(cls, name):
                setattr(cls, name, _delegated(name))

    def __iter__(self) -> Iterator[str]:
        raise io.UnsupportedOperation("not readable")


def _delegated(name: str) -> property:
    return property(lambda router: getattr(_installed.outer[router._name], name))  # noqa: SLF001 - of a router


class _Installed:
    """Which attempts of this process are under way, by thread, and what `sys.stdout` and `sys.stderr` are without them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._routers: dict[str, _Router] = {}
        self.outer: dict[str, Any] = {}
        self._known: set[type] = set()
        self.captures: dict[int, Capture] = {}

    def enter(self, thread: int, capture: Capture) -> None:
        with self._lock:
            if _own is not None:
                _own.begin()
                _ticker.start()
            self.captures[thread] = capture
            if not self._routers:
                self._routers = {name: _Router(name) for name in _NAMES}
                os.register_at_fork(before=_flush_all, after_in_child=self._forked)
            for name, router in self._routers.items():
                present = getattr(sys, name)
                if present is not router:
                    self.outer[name] = present
                    if type(present) not in self._known:
                        self._known.add(type(present))
                        router.resemble(present)
                    setattr(sys, name, router)
                    redirect_handlers(present, router)

    def leave(self, thread: int) -> None:
        with self._lock:
            del self.captures[thread]
            for name, router in self._routers.items():
                router.unbind()
                if not self.captures and getattr(sys, name) is router:
                    setattr(sys, name, self.outer[name])
                    redirect_handlers(router, self.outer[name])

    def stream(self, name: str) -> TextIO | None:
        """Where this thread writes to."""
        capture = self.captures.get(threading.get_ident())
        if capture is not None:
            text = capture.text(name)
            self._routers[name].bind(text)
            return text
        under_way = list(self.captures.values())
        if len(under_way) == 1 and under_way[0].covers(threading.current_thread()):
            return under_way[0].text(name)
        outer: TextIO | None = self.outer[name]
        return outer

    def terminal(self, name: str, label: str) -> _Terminal | None:
        """Where a step's stream is shown."""
        if _own is not None:
            return _own.terminal(name, label)
        outer: TextIO | None = self.outer[name]
        return outer

    def _forked(self) -> None:
        self._lock = threading.Lock()
        for capture in self.captures.values():
            capture.forked()
        _ticker.forked()


class _Ticker:
    """Shows what was printed, ten times a second, while a step prints."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: Helper | None = None
        self._busy = threading.Event()

    def start(self) -> None:
        self._busy.set()
        if self._thread is None:
            with self._lock:
                if self._thread is None:
                    self._thread = Helper(target=self._run, name="zenml-capture", daemon=True)
                    self._thread.start()

    def forked(self) -> None:
        self.__init__()  # type: ignore[misc]  # the thread is gone

    def _run(self) -> None:
        while True:
            self._busy.wait()
            time.sleep(_TICK)
            self._busy.clear()
            if _installed.captures:
                self._busy.set()
            _flush_all()


class _OwnProcess:
    """The descriptors 1 and 2 of a process that executes nothing but steps.

    They lead to files rather than pipes: code that writes while it holds the interpreter's lock would wait for ever for a reader in
    this process.
    """

    def __init__(self, *, prefixed: bool) -> None:
        self._prefixed = prefixed
        self._saved: dict[str, TextIO] = {}
        self._files: dict[str, IO[bytes]] = {}
        self._read: dict[str, int] = {}
        self._lock = threading.Lock()
        _flush_c()
        for descriptor, name in enumerate(_NAMES, 1):
            getattr(sys, name).flush()
            self._saved[name] = os.fdopen(
                os.dup(descriptor), "w", encoding="utf-8", errors="backslashreplace"
            )
            self._files[name] = tempfile.TemporaryFile("ab+", buffering=0)  # noqa: SIM115 - open until `restore`
            self._read[name] = 0
            os.dup2(self._files[name].fileno(), descriptor)
        faulthandler.enable(self._saved["stderr"])

    def begin(self) -> None:
        """What was written until now is no step's."""
        for name, data in self.new():
            self._saved[name].write(data.decode("utf-8", "replace"))
            self._saved[name].flush()

    def new(self) -> list[tuple[str, bytes]]:
        """What was written since the last call, by stream."""
        with self._lock:
            return [(name, data) for name in _NAMES if (data := self._new(name))]

    def terminal(self, name: str, label: str) -> _Terminal:
        """Where the stream of that name of a step is shown."""
        return _Prefixed(self._saved[name], label) if self._prefixed else self._saved[name]

    def restore(self) -> None:
        self.begin()
        for descriptor, name in enumerate(_NAMES, 1):
            os.dup2(self._saved[name].fileno(), descriptor)
            self._saved[name].close()
            self._files[name].close()

    def _new(self, name: str) -> bytes:
        descriptor = self._files[name].fileno()
        size = os.fstat(descriptor).st_size
        if size == self._read[name]:
            return b""
        data = os.pread(descriptor, size - self._read[name], self._read[name])
        self._read[name] += len(data)
        return data


class _Prefixed:
    """A terminal that several processes write to: whole lines, each behind the name of its step."""

    def __init__(self, stream: TextIO, label: str) -> None:
        self._stream = stream
        self._prefix = f"[{label}] "
        self._line = ""

    encoding = "utf-8"

    def write(self, text: str) -> int:
        text = self._line + text
        cut = text.rfind("\n") + 1
        lines, self._line = text[:cut], text[cut:]
        if "\r" in self._line:
            self._line = self._line.rstrip("\r").rpartition("\r")[2] + "\r"
        self._send(lines)
        return len(text)

    def finish(self) -> None:
        """Show what has no end."""
        if self._line:
            self._send(f"{self._line}\n")

    def flush(self) -> None:
        """There are no parts of lines."""

    def _send(self, lines: str) -> None:
        if "\r" in lines:
            lines = _last_states(lines)
        prefix = self._prefix
        data = (prefix + lines[:-1].replace("\n", f"\n{prefix}") + "\n").encode() if lines else b""
        while data:
            cut = data.rfind(b"\n", 0, _PIPE) + 1 or data.find(b"\n") + 1
            self._stream.buffer.write(data[:cut])
            self._stream.buffer.flush()
            data = data[cut:]


@contextmanager
def own_process(*, prefixed: bool = False) -> Iterator[None]:
    """Say that this process executes nothing but steps, one at a time: what it and its children write is the step's.

    With `prefixed`, each line on the terminal begins with the step's name: other processes write there as well.
    """
    global _own  # noqa: PLW0603 - descriptors are the process's
    _own = _OwnProcess(prefixed=prefixed)
    try:
        yield
    finally:
        own, _own = _own, None
        own.restore()


def redirect_handlers(old: Any, new: Any) -> None:
    """Let what logs to the stream `old` log to `new`."""
    if old is None:
        return
    # Handlers keep the stream that they were made with. The list of all of them has no public name.
    for reference in logging._handlerList[:]:  # type: ignore[attr-defined]  # noqa: SLF001
        handler = reference()
        if isinstance(handler, logging.StreamHandler) and vars(handler).get("stream") is old:
            handler.setStream(new)


def _flush_all() -> None:
    for capture in list(_installed.captures.values()):
        capture.flush()


def _last_states(lines: str) -> str:
    return _OVERWRITTEN.sub("", _LINE_ENDS.sub("\n", lines))


def _flush_c() -> None:
    import ctypes

    ctypes.CDLL(None).fflush(None)


_installed = _Installed()
_ticker = _Ticker()
_own: _OwnProcess | None = None
