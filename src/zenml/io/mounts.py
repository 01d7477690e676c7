"""What kind of file system a path lies on."""

from __future__ import annotations

import os
import re
from pathlib import Path

_TABLE = Path("/proc/self/mounts")
_NETWORK = re.compile(
    r"9p|afs|beegfs|ceph|cifs|davfs2?|glusterfs|gpfs|lustre|ncpfs|nfs4?|orangefs|panfs|prl_fs|pvfs2|smb2|smb3|smbfs|vboxsf|virtiofs"
    r"|fuse\.(ceph|davfs2?|gcsfuse|glusterfs|grpcfuse|juicefs|osxfs|rclone|s3fs|sshfs)"
)


def network_file_system(path: Path) -> str | None:
    """The kind of network file system that a path lies on ("nfs4"), or of one that a virtual machine has from its host.

    None for a local one, and where it cannot be found out: it is told from Linux's table of mounts.
    """
    try:
        table = _TABLE.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return None
    real = os.path.realpath(path)
    mounts: dict[str, str] = {}
    for line in table.splitlines():
        _, folder, kind, *_ = line.split(" ")
        mounts[re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), folder)] = kind
    folders = (real, *map(str, Path(real).parents))
    here = next((mounts[folder] for folder in folders if folder in mounts), "")
    return here if _NETWORK.fullmatch(here) else None
