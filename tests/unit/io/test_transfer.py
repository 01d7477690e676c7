"""Remote files on their way, and those that are kept on this machine."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from zenml.artifact_stores import FsspecArtifactStore
from zenml.io import transfer
from zenml.io.read_cache import ReadCache
from zenml.io.transfer import Download, Upload


@pytest.mark.parametrize("size", [0, 10, 100])
def test_what_is_written_in_any_order_is_sent_whole(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(transfer, "IN_MEMORY", 50)
    sent: list[bytes] = []
    with Upload(lambda c: sent.append(c if isinstance(c, bytes) else Path(c).read_bytes())) as file:
        file.write(b"x" * size)
        file.seek(0)
        file.write(b"y" * min(size, 5))

    assert sent == [b"y" * min(size, 5) + b"x" * max(0, size - 5)]


def test_what_fails_while_it_is_written_is_not_sent() -> None:
    sent: list[object] = []
    with pytest.raises(ZeroDivisionError), Upload(sent.append) as file:  # noqa: PT012 - the block is what fails
        file.write(b"half")
        1 / 0  # noqa: B018

    assert sent == []


def test_a_file_is_read_by_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "_BLOCK", 10)
    content, asked = os.urandom(95), []

    async def fetch(start: int, end: int) -> bytes:
        asked.append((start, end))
        return content[start:end]

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        assert Download(fetch, loop, 95).read() == content
        assert len(asked) == 10
        file = Download(fetch, loop, 95)
        file.seek(-5, os.SEEK_END)
        assert file.read() == content[-5:]
        assert asked[10:] == [(90, 95)]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def test_the_cache_keeps_what_was_used_last_within_its_limit(tmp_path: Path) -> None:
    cache = ReadCache(tmp_path / "cache", 25)
    with cache.scratch() as folder:
        for number in range(4):
            (folder / f"{number}").write_bytes(b"x" * 10)
            os.utime(folder / f"{number}", (number, number))
            cache.keep(f"digest{number}", folder / f"{number}")
        assert cache.take("digest3", folder / "taken")
        assert not cache.take("digest0", folder / "gone")
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["digest2", "digest3"]


def test_a_cache_that_cannot_be_used_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cache = ReadCache(tmp_path / "file" / "cache", 100)
    with cache.scratch() as folder:
        (folder / "a").write_bytes(b"x")
        cache.keep("digest", folder / "a")
        assert not cache.take("digest", folder / "b")


def test_options_hold_no_secret_in_clear() -> None:
    with pytest.raises(ValueError, match="options holds a secret in clear, 'password'"):
        FsspecArtifactStore(name="f", path="sftp://host", options='{"password": "canary"}')
