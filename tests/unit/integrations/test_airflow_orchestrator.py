"""What the Airflow orchestrator says where it cannot work, and the file that it writes. The Airflow here is a fake."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from zenml.enums import CheckOutcome, Reach
from zenml.exceptions import ConfigurationError, RunError, StackValidationError
from zenml.integrations.airflow.orchestrators import AirflowOrchestrator
from zenml.integrations.airflow.orchestrators.airflow_orchestrator import dag_file
from zenml.jobs import EngineUnreachableError
from zenml.jobs.tasks import packed_stack
from zenml.model.deployment import Deployment
from zenml.orchestrators.exporter import Graph, Node
from zenml.pipelines import pipeline
from zenml.pipelines.running import active_stack, compile_for
from zenml.stack import Stack
from zenml.testing.conformance import programs
from zenml.testing.isolation import isolated_stack


class FakeAirflow(BaseHTTPRequestHandler):
    """Lets ann in, has one pool of four slots, and knows no DAG."""

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/auth/token" and told == {"username": "ann", "password": "right"}:
            self._answer(201, {"access_token": "good"})
        else:
            self._answer(401, {"detail": "no"})

    def do_GET(self) -> None:
        if self.headers["Authorization"] != "Bearer good":
            self._answer(401, {"detail": "no"})
        elif self.path == "/api/v2/version":
            self._answer(200, {"version": "3.3.2"})
        elif self.path == "/api/v2/pools/default_pool":
            self._answer(200, {"slots": 4})
        elif self.path.startswith("/api/v2/importErrors"):
            self._answer(200, {"import_errors": []})
        else:
            self._answer(404, {"detail": "no such thing"})

    def _answer(self, code: int, content: dict) -> None:
        self.send_response(code)
        self.end_headers()
        self.wfile.write(json.dumps(content).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), FakeAirflow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


SECRETS = {"some": {"thing": "else"}}  # so that there is a manager, which keeps the password


def orchestrator(url: str, **fields) -> AirflowOrchestrator:
    given = {"dags_folder": str(Path.cwd()), "username": "ann", "password": "right", **fields}
    return AirflowOrchestrator(name="airflow", url=url, **given)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "127.0.0.1:8080"}, "no address of Airflow: expected one as http://127.0.0.1:8080"),
        ({"url": "http://ann:pw@h:1"}, "holds a password: give it in the fields"),
        ({"username": "ann"}, "belong together: only the username is given"),
        (
            {"username": "ann", "password": "p", "token": "t"},
            "a token is enough: leave out password and username",
        ),
        ({"run_in": "pod"}, "run_in"),
    ],
)
def test_what_cannot_be_configured(fields, message) -> None:
    with pytest.raises(ConfigurationError, match=message):
        AirflowOrchestrator(**{"name": "airflow", "url": "http://h:1", "dags_folder": "/d", **fields})


@pytest.mark.parametrize(
    ("url", "run_in", "spread"),
    [
        ("http://localhost:8080", "process", Reach.HOST),
        ("http://127.0.0.1:8080", "container", Reach.NETWORK),
        ("https://airflow.example.org", "process", Reach.NETWORK),
    ],
)
def test_how_far_steps_are_spread(url: str, run_in, spread: Reach) -> None:
    assert orchestrator(url, run_in=run_in).spread is spread


def run_with(orchestrator: AirflowOrchestrator, made=None) -> None:
    with isolated_stack(secrets=SECRETS, orchestrator=orchestrator) as stack:
        try:
            (made or programs.within_means()).run()
        finally:
            assert stack.metadata_store.count_runs() == 0


def test_an_airflow_that_is_not_there_is_seen_before_the_run() -> None:
    with pytest.raises(
        StackValidationError, match="at http://127.0.0.1:9 .* does not answer: .*Start it, or give"
    ):
        run_with(orchestrator("http://127.0.0.1:9"))


def test_a_wrong_password_is_seen_before_the_run_and_not_shown(url: str) -> None:
    with pytest.raises(
        StackValidationError, match="does not let the orchestrator 'airflow' do POST /auth/token"
    ) as raised:
        run_with(orchestrator(url, password="wr0ng"))
    assert "wr0ng" not in str(raised.value)


def test_a_pool_that_is_not_there_is_seen_before_the_run(url: str) -> None:
    with pytest.raises(StackValidationError, match="Airflow has no pool 'large', which the orchestrator"):
        run_with(orchestrator(url, pool="large"))


def test_a_folder_that_is_not_there_is_seen_before_the_run(url: str) -> None:
    with pytest.raises(StackValidationError, match="dags_folder '/nowhere' .* is not there"):
        run_with(orchestrator(url, dags_folder="/nowhere"))


def test_a_step_that_needs_more_than_the_pool_has_is_refused(url: str) -> None:
    with pytest.raises(
        StackValidationError, match="'immodest' needs 1e.06 cores, but the pool 'default_pool' .* 4 slots"
    ):
        run_with(orchestrator(url), programs.beyond_means())


def test_mapped_steps_are_refused(url: str) -> None:
    with pytest.raises(
        StackValidationError, match="cannot execute mapped steps, since a DAG has as many tasks .*'square'"
    ):
        run_with(orchestrator(url), programs.mapped(count=2))


def test_a_dag_that_airflow_does_not_see_ends_the_run(url: str) -> None:
    with (
        isolated_stack(secrets=SECRETS, orchestrator=orchestrator(url, patience_seconds=0.1)),
        pytest.raises(
            RunError, match=r"not seen the DAG 'zenml.within_means\..*' within 0.1 seconds: does it read"
        ),
    ):
        programs.within_means().run()


def test_a_check_says_what_is_wrong(url: str) -> None:
    assert {c.outcome for c in orchestrator(url).check()} == {CheckOutcome.OK}
    failed = [c for c in orchestrator(url, password="wrong").check() if c.outcome is not CheckOutcome.OK]
    assert [c.what for c in failed] == ["answers", "lets in"]


def test_an_airflow_that_goes_away_is_told_from_one_that_refuses() -> None:
    with pytest.raises(EngineUnreachableError):
        orchestrator("http://127.0.0.1:9").api().version()


# The file


@pipeline
def odd_names() -> None:
    programs.add(programs.number(id="one: first"), id="one_ first")


def graph_of(stack: Stack, made) -> Graph:
    compiled = compile_for(made, stack, run_name="r", enable_cache=True, verify="present", options={})
    deployment: Deployment = compiled.deployment
    nodes = tuple(Node(step, tuple(step.upstream)) for step in deployment.steps)
    url = f"/store/runs/{deployment.run_uuid}/tasks/deployment.json"
    return Graph(deployment, 1, nodes, url, packed_stack(deployment.stack))


def test_the_file_does_not_depend_on_the_run_but_on_the_steps(url: str) -> None:
    here = orchestrator(url)
    with isolated_stack(secrets=SECRETS, orchestrator=here):
        stack = active_stack()
        name, content = dag_file(here, graph_of(stack, programs.chain(length=3)))
        again = dag_file(here, graph_of(stack, programs.chain(length=3)))
        other = dag_file(here, graph_of(stack, programs.chain(length=4)))
    assert again == (name, content)
    assert other[0] != name
    assert "right" not in content
    assert "import zenml" not in content
    assert "from zenml" not in content
    compile(content, name, "exec")


def test_names_that_airflow_does_not_take_are_made_others(url: str) -> None:
    here = orchestrator(url)
    with isolated_stack(secrets=SECRETS, orchestrator=here):
        stack = active_stack()
        _, content = dag_file(here, graph_of(stack, odd_names()))
    assert "'one: first': 'one__first.0'" in content
    assert "'one_ first': 'one__first.1'" in content
