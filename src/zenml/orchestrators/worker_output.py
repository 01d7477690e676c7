"""What worker processes write, brought to this process's `sys.stdout` and `sys.stderr`."""

from __future__ import annotations

import codecs
import os
import sys
import threading
from contextlib import suppress

_PATIENCE = 2.0


class WorkerOutput:
    """Two pipes for the standard streams of processes, and threads that pass on whole lines.

    Not the descriptors of this process themselves: in a notebook they lead nowhere, and on a terminal a table may be shown, which
    lines have to stand above.
    """

    def __init__(self) -> None:
        self.stdout, stdout = self._relayed("stdout")
        self.stderr, stderr = self._relayed("stderr")
        self._threads = (stdout, stderr)

    def close(self) -> None:
        """Wait until all is passed on that was written, when the processes have ended."""
        os.close(self.stdout)
        os.close(self.stderr)
        for thread in self._threads:
            thread.join(_PATIENCE)  # a process that a step has left behind may hold the pipe

    def _relayed(self, name: str) -> tuple[int, threading.Thread]:
        source, target = os.pipe()
        thread = threading.Thread(target=_relay, args=(source, name), name=f"zenml-{name}", daemon=True)
        thread.start()
        return target, thread


def _relay(source: int, name: str) -> None:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    rest = ""
    with open(source, "rb", buffering=0) as pipe:
        while data := pipe.read(1 << 16):
            text = rest + decoder.decode(data)
            cut = text.rfind("\n") + 1
            _show(name, text[:cut])
            rest = text[cut:]
    _show(name, rest)


def _show(name: str, text: str) -> None:
    stream = getattr(sys, name)
    if text and stream is not None:
        with suppress(OSError, ValueError):  # nobody listens any more
            stream.write(text)
            stream.flush()
