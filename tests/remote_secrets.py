"""Secret stores for tests: real ones where they run here, else fakes."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import requests


@contextmanager
def served(application) -> Iterator[str]:
    """The URL at which a WSGI application answers, one request at a time."""
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, application)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def moto() -> Iterator[str]:
    """The address of moto, which behaves as Amazon's services do; as these, it answers to what is asked at once one after the other."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

    with served(DomainDispatcherApplication(create_backend_app)) as url:
        # What it keeps belongs to the process.
        requests.post(f"{url}/moto-api/reset", timeout=10).raise_for_status()
        yield url
