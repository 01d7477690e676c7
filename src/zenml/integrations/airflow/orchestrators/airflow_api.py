"""Airflow's REST API, as far as it is needed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError

if TYPE_CHECKING:
    from zenml.integrations.airflow.orchestrators.airflow_orchestrator import AirflowOrchestrator

_TIMEOUT = 10.0
"""Seconds for which an answer is waited for."""

_UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _FAILING = 401, 403, 404, 500


class AirflowDeniedError(RunError):
    """Airflow does not let us in."""


class AirflowAPI:
    """One user of the Airflow of an orchestrator.

    Every method raises EngineUnreachableError if it does not answer, AirflowDeniedError if it does not let this user, and RunError if
    it refuses what it is asked for.
    """

    def __init__(self, orchestrator: AirflowOrchestrator) -> None:
        self._name = orchestrator.name
        self._url = orchestrator.address
        self._user = orchestrator.username
        self._password = orchestrator.password
        self._token = orchestrator.token.get_secret_value() if orchestrator.token else None
        self._is_own_token = self._token is not None

    def version(self) -> str:
        """That of Airflow."""
        answer = self._ask("GET", "/api/v2/version")
        return str(answer["version"]) if answer else "unknown"

    def dag(self, dag: str) -> dict[str, Any] | None:
        """What Airflow knows of a DAG."""
        return self._ask("GET", f"/api/v2/dags/{quote(dag, safe='')}")

    def unpause(self, dag: str) -> None:
        """Let the runs of a DAG begin."""
        self._ask("PATCH", f"/api/v2/dags/{quote(dag, safe='')}", {"is_paused": False})

    def parse_again(self, file_token: str) -> None:
        """Ask for a look at the file of a DAG."""
        self._ask("PUT", f"/api/v2/parseDagFile/{quote(file_token, safe='')}")

    def import_error(self, file: str) -> str | None:
        """Why Airflow cannot read the file of that name."""
        answer = self._ask("GET", "/api/v2/importErrors?limit=100&order_by=-timestamp") or {}
        errors = answer.get("import_errors", [])
        return next((e["stack_trace"] for e in errors if (e.get("filename") or "").endswith(file)), None)

    def trigger(self, dag: str, run: str, conf: dict[str, Any]) -> None:
        """Start a DAG."""
        body = {"dag_run_id": run, "logical_date": None, "conf": conf}
        self._ask("POST", f"/api/v2/dags/{quote(dag, safe='')}/dagRuns", body)

    def run(self, dag: str, run: str) -> dict[str, Any] | None:
        """How a run of a DAG is."""
        return self._ask("GET", f"/api/v2/dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}")

    def end_run(self, dag: str, run: str) -> None:
        """End a run of a DAG: its tasks are stopped, no others begin."""
        path = f"/api/v2/dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}"
        self._ask("PATCH", path, {"state": "failed"})

    def tasks(self, dag: str, run: str) -> list[dict[str, Any]]:
        """The tasks of a run of a DAG."""
        path = f"/api/v2/dags/{quote(dag, safe='')}/dagRuns/{quote(run, safe='')}/taskInstances?limit=1000"
        return list((self._ask("GET", path) or {}).get("task_instances", []))

    def slots(self, pool: str) -> int | None:
        """How many slots a pool has; None if there is none of that name."""
        answer = self._ask("GET", f"/api/v2/pools/{quote(pool, safe='')}")
        return None if answer is None else int(answer["slots"])

    def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """The answer; None if there is no such thing."""
        if self._token is None:
            self._token = self._new_token()
        try:
            return self._send(method, path, body, {"Authorization": f"Bearer {self._token}"})
        except AirflowDeniedError:
            if self._is_own_token:
                raise
        self._token = self._new_token()  # the one before has expired
        return self._send(method, path, body, {"Authorization": f"Bearer {self._token}"})

    def _new_token(self) -> str:
        """A token for the user; without one, that which Airflow gives to everybody, if it does."""
        if self._user is None or self._password is None:
            answer = self._send("GET", "/auth/token", None, {})
        else:
            body = {"username": self._user, "password": self._password.get_secret_value()}
            answer = self._send("POST", "/auth/token", body, {})
        if answer is None:
            raise AirflowDeniedError(f"There is no Airflow 3 at {self._url}: it has no /auth/token.")
        return str(answer["access_token"])

    def _send(self, method: str, path: str, body: Any, headers: dict[str, str]) -> dict[str, Any] | None:
        data = None if body is None else json.dumps(body).encode()
        headers = {**headers, "Content-Type": "application/json", "Accept": "application/json"}
        request = Request(f"{self._url}{path}", data, headers, method=method)  # noqa: S310  the scheme is checked by the orchestrator
        try:
            with urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
                content = response.read()
                return json.loads(content) if content else {}
        except HTTPError as error:
            with error:
                if error.code == _NOT_FOUND:
                    return None
                raise self._refusal(f"{method} {path.partition('?')[0]}", error) from None
        except (URLError, OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            raise EngineUnreachableError(
                f"The Airflow at {self._url} of the orchestrator '{self._name}' does not answer: {reason}. Start it, or give the "
                "orchestrator another url."
            ) from None

    def _refusal(self, question: str, error: HTTPError) -> RunError:
        if error.code in (_UNAUTHORIZED, _FORBIDDEN):
            return AirflowDeniedError(
                f"The Airflow at {self._url} does not let the orchestrator '{self._name}' do {question}: give it a username and a "
                "password, or a token, of a user who may start DAGs."
            )
        if error.code >= _FAILING:
            return EngineUnreachableError(f"The Airflow at {self._url} fails at {question}: {error}.")
        told = error.read(2000).decode(errors="replace")
        return RunError(f"The Airflow at {self._url} refuses {question}: {error.code}, {told}")
