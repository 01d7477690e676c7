"""The process that keeps the lease of a run."""

import socket
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from tests.metadata_stores import register, server_store
from zenml.liveness import LEASE, keeping
from zenml.metadata_stores import SQLiteMetadataStore

ROOT = Path(__file__).parents[3]


def until(condition, seconds=30.0):
    """Wait until it holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
    return found


def keepers() -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process().children()
        if child.status() != psutil.STATUS_ZOMBIE and "zenml.liveness.renewal" in child.cmdline()
    ]


@pytest.fixture(params=["postgresql_database", "mariadb_database"])
def store(request):
    return server_store(request.getfixturevalue(request.param))


def test_the_lease_is_renewed_until_the_run_ends(store):
    run = register(store, lease_until=time.time() + 5)
    with keeping(store, run.run_id, every=0.1):
        (keeper,) = keepers()
        first = until(lambda: (lease := store.run(run.run_id).lease_until) > time.time() + 30 and lease)
        until(lambda: store.run(run.run_id).lease_until > first)
        assert store.run(run.run_id).lease_until <= time.time() + LEASE
        secret = store.password.get_secret_value()
        assert not any(secret in word for word in keeper.cmdline())
        assert secret not in "".join(keeper.environ().values())
    assert not keeper.is_running()


def test_a_short_run_does_not_make_it_connect(store):
    run = register(store)
    lease = store.run(run.run_id).lease_until
    started = time.monotonic()
    with keeping(store, run.run_id):
        pass
    assert time.monotonic() - started < 10
    assert store.run(run.run_id).lease_until == lease
    assert keepers() == []


def test_a_store_of_this_machine_needs_none(tmp_path):
    store = SQLiteMetadataStore(name="local", uri=str(tmp_path / "metadata.db"))
    with keeping(store, 1, every=0.01):
        assert keepers() == []


def test_what_happens_in_the_block_goes_on(store):
    with pytest.raises(ZeroDivisionError), keeping(store, register(store).run_id):
        _ = 1 / 0
    assert keepers() == []


RUN = """
    import os, sys, time
    from tests.metadata_stores import register, server_store
    from zenml.liveness import keeping
    store = server_store(sys.argv[1])
    run = register(store, lease_until=time.time() + 5)
    with keeping(store, run.run_id, every=0.1):
        if os.fork() == 0:   # keeps all pipes open
            time.sleep(float(sys.argv[2]))
            os._exit(0)
        print(run.run_id, flush=True)
        time.sleep(60)
"""


def test_it_ends_with_a_process_that_is_killed(store, request):
    url = store._database.url.render_as_string(hide_password=False)
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(RUN), url, "20"], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        request.addfinalizer(process.kill)
        run_id = int(process.stdout.readline())
        until(lambda: store.run(run_id).lease_until > time.time() + 30)
        family = psutil.Process(process.pid).children()
        (keeper,) = [child for child in family if "zenml.liveness.renewal" in child.cmdline()]
        process.kill()
        process.wait()
        until(lambda: not keeper.is_running() or keeper.status() == psutil.STATUS_ZOMBIE)
        for child in family:
            if child.is_running():
                child.kill()


def test_a_store_that_does_not_answer_does_not_hold_up_the_end(store):
    with socket.socket() as silent:  # takes connections, and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        deaf = type(store)(**{**store.__dict__, "port": silent.getsockname()[1]})
        with keeping(deaf, 1, every=0.1):
            (keeper,) = keepers()
            silent.accept()[0].close()
            connection = silent.accept()[0]  # it tries again
        assert not keeper.is_running()
        connection.close()
