"""The end of a process that was started for steps alone."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from typing import NoReturn


def end_process(code: int) -> NoReturn:
    """End this process as the processes of `multiprocessing` end: threads are waited for, what `atexit` knows is called, output is written.

    The interpreter would then take every module apart, which takes half as long as to import them, while a run waits for this process.
    """
    with contextlib.suppress(Exception):  # an interrupt while threads are waited for
        threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001  there is no other way to wait for those that are no daemons
    atexit._run_exitfuncs()  # noqa: SLF001  nor another one to call what is registered
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            stream.flush()
    os._exit(code)
