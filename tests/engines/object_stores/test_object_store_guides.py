"""The commands of the guides work, with servers that are there in the places of the examples."""

from pathlib import Path

from tests.dask_cluster import dask_cluster
from tests.guides import run_guide
from tests.object_stores import BUCKET, S3Server


def test_object_stores(seaweedfs: S3Server, azurite_connection: str) -> None:
    printed = run_guide(
        "object-stores",
        {
            "my-bucket": BUCKET,
            "my-container": BUCKET,
            "https://minio.example.org": seaweedfs.endpoint,
            "=KEY": "=admin",
            "=SECRET": f"={seaweedfs.password}",
            "=TEXT": f"='{azurite_connection}'",
        },
    )
    assert [text for text in printed if text.endswith("6\n")]
    assert seaweedfs.password not in "".join(printed)


def test_dask(tmp_path: Path) -> None:
    with dask_cluster(tmp_path, workers=1) as cluster:
        printed = run_guide("dask", {"tcp://10.0.0.5:8786": cluster.address})
    assert "workers" in printed[-1]
