"""The API of Kubeflow Pipelines, as far as it is needed."""

from __future__ import annotations

import json
import ssl
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from zenml.exceptions import RunError
from zenml.jobs import EngineUnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zenml.integrations.kubeflow.orchestrators.kubeflow_orchestrator import KubeflowOrchestrator

_TIMEOUT = 10.0
"""Seconds for which an answer is waited for."""

_NOT_FOUND, _FAILING = 404, 500


class KubeflowAPI:
    """The user of an orchestrator, in its namespace.

    Every method raises EngineUnreachableError if there is no answer, and RunError if what is asked for is refused. It is KFP's generated
    client that asks: the one above it never gives up on an answer, and prints.
    """

    def __init__(self, orchestrator: KubeflowOrchestrator) -> None:
        import kfp_server_api as kfp
        from urllib3 import Retry

        configuration = kfp.Configuration(host=orchestrator.endpoint)
        configuration.retries = Retry(connect=0, read=0)  # who asks does so again
        configuration.ssl_ca_cert = ssl.get_default_verify_paths().cafile  # else it trusts a package's alone
        if orchestrator.token is not None:
            configuration.api_key["authorization"] = orchestrator.token.get_secret_value()
            configuration.api_key_prefix["authorization"] = "Bearer"
        client = kfp.ApiClient(configuration)
        self._experiments, self._runs = kfp.ExperimentServiceApi(client), kfp.RunServiceApi(client)
        self._namespace = orchestrator.namespace
        self._who = (
            f"The Kubeflow Pipelines at {orchestrator.endpoint} of the orchestrator '{orchestrator.name}'"
        )

    def check(self) -> str:
        """See that it answers, and lets us in."""
        self._asked(
            self._experiments.experiment_service_list_experiments_with_http_info,
            page_size=1,
            namespace=self._namespace,
        )
        return ""

    def start(self, pipeline: str, run: str, package: Mapping[str, Any]) -> str:
        """Start a run in the experiment that is called like its pipeline; gives its id."""
        import kfp_server_api as kfp

        body = kfp.V2beta1Run(
            display_name=run, experiment_id=self._experiment(pipeline), pipeline_spec=package
        )
        return str(self._asked(self._runs.run_service_create_run_with_http_info, body).run_id)

    def run(self, id_: str) -> Any:
        """What it knows of a run; None if that is nothing."""
        return self._asked(self._runs.run_service_get_run_with_http_info, id_, is_known=False)

    def terminate(self, id_: str) -> None:
        """End a run: no more tasks are started, the pods of those that run are stopped."""
        self._asked(self._runs.run_service_terminate_run_with_http_info, id_)

    def _experiment(self, name: str) -> str:
        import kfp_server_api as kfp

        same = {"operation": "EQUALS", "key": "display_name", "stringValue": name}
        found = self._asked(
            self._experiments.experiment_service_list_experiments_with_http_info,
            filter=json.dumps({"predicates": [same]}),
            namespace=self._namespace,
        ).experiments
        if found:
            return str(found[0].experiment_id)
        body = kfp.V2beta1Experiment(display_name=name, namespace=self._namespace)
        create = self._experiments.experiment_service_create_experiment_with_http_info
        return str(self._asked(create, body).experiment_id)

    def _asked(self, ask: Callable[..., Any], *arguments: Any, is_known: bool = True, **options: Any) -> Any:
        """The answer. What is not `is_known` for sure may not be there: None."""
        from kfp_server_api import ApiException
        from urllib3.exceptions import HTTPError

        try:
            answer, _, headers = ask(*arguments, _request_timeout=(_TIMEOUT, _TIMEOUT), **options)
        except ApiException as error:
            if error.status == _NOT_FOUND and not is_known:
                return None
            raise self._refusal(error) from None
        except (HTTPError, OSError) as error:
            raise self._silence(error) from None
        if "json" not in headers.get("Content-Type", ""):
            raise RunError(f"{self._who} answers with a page, as of a login: look at its endpoint and token.")
        return answer

    def _refusal(self, error: Any) -> RunError:
        told = f"{error.status} {error.reason}"
        with suppress(ValueError, KeyError, TypeError):
            told += f", {json.loads(error.body)['message']}"
        if error.status >= _FAILING:
            return self._silence(told)
        return RunError(f"{self._who} refuses: {told}. Look at its endpoint, namespace and token.")

    def _silence(self, reason: object) -> EngineUnreachableError:
        return EngineUnreachableError(
            f"{self._who} does not answer: {reason}. Start it, or give the orchestrator another endpoint."
        )
