"""`python -m zenml.services.daemon_entrypoint FOLDER`: leave a process behind that runs the service of that folder."""

from __future__ import annotations

import os
import sys

from zenml.services.daemon import LocalDaemonService, record_process


def main(runtime_path: str) -> int:
    """Fork the daemon; gives 0 when it is recorded which process it is."""
    ready, recorded = os.pipe()
    if os.fork():
        os.close(recorded)
        return 0 if os.read(ready, 1) else 1
    os.close(ready)
    os.setsid()
    record_process(runtime_path, os.getpid())
    os.write(recorded, b"1")
    os.close(recorded)
    LocalDaemonService.load(runtime_path).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
