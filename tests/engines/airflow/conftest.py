from collections.abc import Iterator

import pytest

from tests.airflow_server import Airflow, airflow_server
from tests.services import ServiceMissingError


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Airflow]:
    """One for all tests."""
    try:
        with airflow_server(tmp_path_factory.mktemp("airflow") / "home") as server:
            yield server
    except ServiceMissingError as error:
        pytest.skip(str(error))
