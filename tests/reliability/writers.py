"""What many processes do with one metadata store at once."""

from __future__ import annotations

import time
from pathlib import Path

from tests.metadata_stores import complete, finish, hit, register, server_store, share, start
from zenml.liveness import this_process
from zenml.metadata_stores import BaseMetadataStore, SQLiteMetadataStore
from zenml.model.runs import Claim, ErrorRecord


def opened(where: str) -> BaseMetadataStore:
    """The store at a path or a URL."""
    return server_store(where) if "://" in where else SQLiteMetadataStore(name="local", uri=where)


def write_runs(where: str, number: int, count: int, go: str) -> None:
    """Record that many runs, each with a step that completes, one that is cached, one that is retried, and one that others compute too."""
    store = opened(where)
    while not Path(go).exists():
        time.sleep(0.001)
    for i in range(count):
        run = register(
            store,
            f"{number}/{i}",
            steps=["a", "b", "c", "d"],
            owner=this_process(),
            pipeline=f"p{i % 3}",
        )
        a, b, c, d = run.step_run_ids.values()
        store.recent_results(f"p{i % 3}", "/store")
        key = f"{number}/{i}"
        (output,) = complete(store, a, key)
        hit(store, b, store.find_results([key], "/store")[key].step_run_id, key)
        claim = start(store, c, f"c{key}", {"x": output.id})
        store.fail_attempt(claim, ErrorRecord("E", "m"), final=False)
        complete(store, c, f"c{key}", inputs={"x": output.id})
        shared = share(store, d, f"same in all {i}")
        if isinstance(shared, Claim):
            store.complete_attempt(shared, [])
        else:
            store.skip_steps({d: "another one does it"})
        store.log_metrics(c, {"loss": 0.5})
        store.renew_lease(run.run_id, 1e12)
        assert not store.is_cancel_requested(run.run_id)
        finish(store, run)
        assert store.runs(limit=5, newest_first=True)
