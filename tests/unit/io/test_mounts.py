"""Which paths lie on a network file system."""

import pytest

from zenml.io import mounts
from zenml.io.mounts import network_file_system


@pytest.fixture
def table(tmp_path, monkeypatch):
    def write(*lines: str) -> None:
        file = tmp_path / "mounts"
        file.write_text("".join(f"{line} rw 0 0\n" for line in lines))
        monkeypatch.setattr(mounts, "_TABLE", file)

    return write


def test_the_innermost_mount_counts(table, tmp_path):
    data = tmp_path / "data"
    table(
        "/dev/sda / ext4", f"server:/x {data} nfs4", f"tmpfs {data}/scratch tmpfs", f"//s/y {tmp_path}/d cifs"
    )
    assert network_file_system(data / "a" / "metadata.db") == "nfs4"
    assert network_file_system(data) == "nfs4"
    assert network_file_system(data / "scratch" / "metadata.db") is None
    assert network_file_system(tmp_path / "data2") is None
    assert network_file_system(tmp_path / "d" / "metadata.db") == "cifs"


def test_a_mount_over_another_hides_it(table, tmp_path):
    table("/dev/sda / ext4", f"server:/x {tmp_path} nfs", f"/dev/sdb {tmp_path} xfs")
    assert network_file_system(tmp_path / "x") is None


def test_links_are_followed_and_blanks_understood(table, tmp_path):
    folder = tmp_path / "my data"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    table("/dev/sda / ext4", f"host {tmp_path}/my\\040data fuse.sshfs")
    assert network_file_system(tmp_path / "link" / "metadata.db") == "fuse.sshfs"


def test_other_kinds_are_local(table, tmp_path):
    for kind in ("ext4", "overlay", "fuse.ntfs-3g", "fuseblk", "nfsd", "tmpfs"):
        table(f"x / {kind}")
        assert network_file_system(tmp_path) is None


def test_without_a_table_nothing_is_known(monkeypatch, tmp_path):
    monkeypatch.setattr(mounts, "_TABLE", tmp_path / "none")
    assert network_file_system(tmp_path) is None
    monkeypatch.undo()
    assert network_file_system(tmp_path) is None  # this machine's own
