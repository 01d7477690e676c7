"""Requests to the API server of a cluster, and what goes wrong with them in words."""

from __future__ import annotations

import json
import os
import ssl
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zenml.exceptions import MissingPackageError, RunError, StackValidationError
from zenml.jobs import EngineUnreachableError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient
    from urllib3 import HTTPResponse

_TIMEOUT = (5.0, 30.0)
"""Seconds to connect, and between two pieces of an answer."""

_ROOT_CAUSES = (ssl.SSLCertVerificationError, ssl.SSLError, ConnectionRefusedError, TimeoutError)


class ApiError(RunError):
    """The API server refuses a request; `status` is that of HTTP, `reason` the word that Kubernetes has for it."""

    def __init__(self, message: str, status: int, reason: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason


class Api:
    """A connection to the cluster of a context of the user's kubeconfig; without a context, of the present one, or from inside of a pod.

    Documents come and go as plain data, as the API reference has them. Every request raises EngineUnreachableError when there is no answer,
    or one that says nothing of the request (credentials are no longer accepted, too much to do), and ApiError when it is refused.
    """

    def __init__(self, context: str | None) -> None:
        self._client = _client(context)
        self.server: str = self._client.configuration.host

    @property
    def certificate_end(self) -> float | None:
        """When the certificate of this user ends, in seconds since the epoch; None for users with tokens, which the client renews."""
        from cryptography import x509

        path: str | None = self._client.configuration.cert_file
        if path is None:
            return None
        return x509.load_pem_x509_certificate(Path(path).read_bytes()).not_valid_after_utc.timestamp()

    def version(self) -> tuple[dict[str, str], str | None]:
        """The server's version, and its time, as a header of HTTP has it."""
        response = self._answer("GET", "/version", None, {})
        return json.loads(response.data), response.headers.get("Date")

    def get(self, path: str, **query: str | int) -> Any:
        """Read an object, or a list of them."""
        return self._request("GET", path, None, query)

    def post(self, path: str, body: dict[str, Any], **query: str | int) -> Any:
        """Make an object."""
        return self._request("POST", path, body, query)

    def delete(self, path: str) -> None:
        """Delete an object, if it is there, and in a while what it owns."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        try:
            self._request("DELETE", path, options, {})
        except ApiError as error:
            if error.status != 404:  # noqa: PLR2004  it is gone, which was wanted
                raise

    def text(self, path: str, **query: str | int) -> str:
        """Read what is no document, such as a log."""
        text: str = self._answer("GET", path, None, query).data.decode(errors="replace")
        return text

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
        self._client.rest_client.pool_manager.clear()

    def _request(self, method: str, path: str, body: Any, query: dict[str, str | int]) -> Any:
        return json.loads(self._answer(method, path, body, query).data)

    def _answer(self, method: str, path: str, body: Any, query: dict[str, str | int]) -> HTTPResponse:
        from kubernetes.client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        headers = {"Accept": "application/json, */*"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            response: HTTPResponse = self._client.call_api(
                path,
                method,
                query_params=list(query.items()),
                header_params=headers,
                body=body,
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                # Else the client keeps and logs what is in it.
                _preload_content=False,
                _request_timeout=_TIMEOUT,
            )
            response.data  # noqa: B018  all of it is read
        except (ApiException, HTTPError, OSError) as error:
            # The client makes one of its own, with no status, of what TLS refuses.
            if isinstance(error, ApiException) and error.status:
                raise self._refusal(error) from None
            raise EngineUnreachableError(
                f"The Kubernetes API server {self.server} does not answer: {_cause(error)}."
            ) from None
        return response

    def _refusal(self, error: Any) -> RunError:
        message = reason = str(error.reason or "")
        with suppress(ValueError, TypeError):
            document = json.loads(error.body)
            message, reason = document.get("message") or message, document.get("reason") or reason
        if error.status == 401:  # noqa: PLR2004
            return EngineUnreachableError(
                f"The Kubernetes API server {self.server} does not accept the credentials of this user: renew them, as you do for kubectl."
            )
        if error.status == 429 or error.status >= 500:  # noqa: PLR2004  too many requests; its own failures
            return EngineUnreachableError(
                f"The Kubernetes API server {self.server} cannot answer now: {message} (status {error.status})."
            )
        return ApiError(message, error.status, reason)


def _client(context: str | None) -> ApiClient:
    try:
        from kubernetes import client, config  # takes a second
    except ImportError:
        raise MissingPackageError(
            "A Kubernetes cluster is used by a package that is not installed: run `pip install 'kubernetes>=30'`."
        ) from None
    configuration = client.Configuration()
    # The client would try again at once, and write of each time to the user's terminal.
    configuration.retries = False
    # Read now: the library keeps what it was when it was imported.
    files = os.environ.get("KUBECONFIG") or "~/.kube/config"
    has_files = any(Path(file).expanduser().is_file() for file in files.split(os.pathsep) if file)
    try:
        if context is None and not has_files and "KUBERNETES_SERVICE_HOST" in os.environ:
            config.load_incluster_config(client_configuration=configuration)
        else:
            config.load_kube_config(files, context, configuration)
    except (config.ConfigException, OSError, ValueError) as error:
        raise StackValidationError(
            f"No Kubernetes cluster is known here by the context {context!r}: {_known(files, has_files)}"
            if context is not None
            else f"No Kubernetes cluster is known here: {error}. Let KUBECONFIG or ~/.kube/config name one, as for kubectl."
        ) from None
    return client.ApiClient(configuration)


def _known(files: str, has_files: bool) -> str:
    from kubernetes import config

    contexts: list[str] = []
    if has_files:
        with suppress(config.ConfigException, OSError, ValueError):
            contexts = sorted(context["name"] for context in config.list_kube_config_contexts(files)[0])
    if not contexts:
        return f"there is no context in {files}. Let KUBECONFIG name a file with it, as for kubectl."
    return f"{files} has {', '.join(map(repr, contexts))}. Set the component's kubernetes_context to one of these."


def _cause(error: BaseException) -> str:
    """What a person can do something about, of the errors that each came from another one."""
    seen: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in seen:
        seen.append(one)
        reason = one.args[0] if one.args else None
        one = one.__cause__ or one.__context__ or (reason if isinstance(reason, BaseException) else None)
    found = next((e for e in seen if isinstance(e, _ROOT_CAUSES)), error)
    if isinstance(found, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({found.verify_message}); see `certificate-authority` in the kubeconfig"
    if isinstance(found, ConnectionRefusedError):
        return "the connection is refused; see that it runs there"
    if isinstance(found, TimeoutError) or "timed out" in str(found):
        return "it takes too long; see that this machine can reach it"
    return f"{type(found).__name__}: {found}"
