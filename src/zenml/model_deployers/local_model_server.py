"""A server of predictions: a process that holds a model and answers over HTTP.

    GET  /health                             -> 200 {"model": NAME}
    POST /predict {"instances": [...]}       -> 200 {"predictions": [...]}

Whatever cannot be answered gives {"error": REASON}: 400 for a body that is not of that form, 401 without the token, 404, 411 without
Content-Length, 413 for a body that is too large, 415 for a content type other than application/json, 500 if the model raises.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from pydantic import Field, SecretStr, TypeAdapter, ValidationError, field_validator

from zenml.environment import is_this_machine
from zenml.exceptions import ArtifactError, RunError
from zenml.model.records import ComponentRecord  # noqa: TC001 - the type of a field, evaluated at run time
from zenml.model.runs import ArtifactRecord
from zenml.services import (
    HTTPEndpointHealthMonitor,
    HTTPEndpointHealthMonitorConfig,
    LocalDaemonService,
    LocalDaemonServiceConfig,
    LocalDaemonServiceEndpoint,
    LocalDaemonServiceEndpointConfig,
    LocalDaemonServiceEndpointStatus,
    ServiceEndpointProtocol,
    ServiceType,
)

_SLOWEST = 30
_RECORD = TypeAdapter(ArtifactRecord)


class LocalModelServerConfig(LocalDaemonServiceConfig):
    """Which model is served, and to whom.

    `artifact` is the stored model, given as a record or as the path of a JSON file of one (`artifact_json` gives its content). Its
    files are compared with the recorded digests before they are read. It must have a method `predict`.

    `artifact_store` is needed for an artifact that does not lie on this machine; of the references in it, those to the
    environment alone can be resolved.

    With `token`, requests must bring it (`Authorization: Bearer TOKEN`); only its digest is kept. An address other than a loopback one
    needs a token. The connection is not encrypted: put a proxy that ends TLS before a server for other machines.
    """

    model_name: str = "model"
    artifact: ArtifactRecord
    artifact_store: ComponentRecord | None = None
    host: str = "127.0.0.1"
    port: int | None = Field(default=None, ge=1, le=65535)
    max_request_bytes: int = Field(default=10 * 2**20, gt=0)
    token: SecretStr | None = Field(default=None, exclude=True, repr=False)
    token_digest: str = Field(default="", repr=False)

    @field_validator("artifact", mode="before")
    @classmethod
    def _read_artifact(cls, value: Any) -> Any:
        if not isinstance(value, (str, Path)):
            return value
        try:
            return _RECORD.validate_json(Path(value).expanduser().read_bytes())
        except OSError as error:
            raise ValueError(f"{str(value)!r} cannot be read: {error.strerror}") from None
        except ValidationError as error:
            fields = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False)
            )
            raise ValueError(f"{str(value)!r} is no record of an artifact: {fields}") from None

    def model_post_init(self, context: Any, /) -> None:
        """Keep the token's digest, and refuse an open address without one."""
        super().model_post_init(context)
        if self.token is not None:
            self.token_digest = _digest(self.token.get_secret_value())
        if not self.token_digest and not is_this_machine(self.host):
            raise ValueError(
                f"The server of the model '{self.model_name}' would answer other machines at {self.host!r} without asking who they are: "
                "set `token`, or leave `host` at 127.0.0.1."
            )

    @property
    def model_uri(self) -> str:
        """Where the model lies."""
        return self.artifact.uri

    @property
    def model_type(self) -> str:
        """The import path of the model's class."""
        return self.artifact.data_type


class LocalModelServer(LocalDaemonService):
    """The process."""

    SERVICE_TYPE: ClassVar[ServiceType] = ServiceType(
        type="model-serving",
        flavor="local",
        name="local model server",
        description="A process that answers over HTTP",
    )

    config: LocalModelServerConfig

    def provision(self) -> None:
        """Start the process."""
        self.endpoint = LocalDaemonServiceEndpoint(
            config=LocalDaemonServiceEndpointConfig(
                name="predictions",
                protocol=ServiceEndpointProtocol.HTTP,
                ip_address=self.config.host,
                port=self.config.port,
            ),
            status=LocalDaemonServiceEndpointStatus() if self.endpoint is None else self.endpoint.status,
            monitor=HTTPEndpointHealthMonitor(
                config=HTTPEndpointHealthMonitorConfig(healthcheck_uri_path="health")
            ),
        )
        super().provision()

    @property
    def prediction_url(self) -> str | None:
        """Where predictions are asked for; None before the first start."""
        uri = self.endpoint.status.uri if self.endpoint is not None else None
        return uri and f"{uri}predict"

    def predict(self, instances: Any, token: str | None = None) -> list[Any]:
        """Ask the server. `instances` are a list, an array or a DataFrame; `token` defaults to the one that the server was made with here.

        Raises:
            RunError: the server does not answer, or cannot; the message gives its reason.
        """
        if self.prediction_url is None:
            raise RunError(f"{self} has not been started.")
        if token is None and self.config.token is not None:
            token = self.config.token.get_secret_value()
        request = Request(  # noqa: S310 - the endpoint's own address
            self.prediction_url,
            data=json.dumps({"instances": _plain(instances)}, default=_plain).encode(),
            headers={
                "Content-Type": "application/json",
                **({"Authorization": f"Bearer {token}"} if token else {}),
            },
        )
        try:
            with build_opener(ProxyHandler({})).open(request) as response:
                predictions: list[Any] = json.load(response)["predictions"]
        except HTTPError as error:
            with error:
                reason = json.load(error).get("error", "no reason given")
            raise RunError(f"{self} refused the request ({error.code}): {reason}") from None
        except (URLError, OSError) as error:
            raise RunError(
                f"{self} does not answer at {self.prediction_url}: {getattr(error, 'reason', error)}"
            ) from None
        return predictions

    def run(self) -> None:
        """Load the model and answer until the process is ended."""
        assert self.endpoint is not None  # noqa: S101 - provision has made it
        predict = getattr(self._load_model(), "predict", None)
        if not callable(predict):
            raise ArtifactError(
                f"The artifact '{self.config.artifact.name}' ({self.config.model_type}) has no method `predict`."
            )
        address = (self.config.host, self.endpoint.status.port or 0)
        server = _Server(
            address, type("Handler", (_Handler,), {"config": self.config, "predict": staticmethod(predict)})
        )
        server.serve_forever()

    def _load_model(self) -> Any:
        from zenml.artifact_stores import LocalArtifactStore
        from zenml.materializers.values import read_value
        from zenml.stack.flavors import find_flavor, load_flavor

        record = self.config.artifact_store
        store: Any = (
            LocalArtifactStore(name="served", path=self.config.artifact.store)
            if record is None
            else load_flavor(find_flavor(record.type, record.flavor)).from_record(record)
        )
        return read_value(self.config.artifact, store)


def artifact_json(record: ArtifactRecord) -> str:
    """A stored value's record as JSON text, as a configuration takes it from a file."""
    return _RECORD.dump_json(record, indent=2).decode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        import socket

        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, handler)


class _Refusal(Exception):
    def __init__(self, code: int, reason: str) -> None:
        self.code = code
        self.reason = reason


class _Handler(BaseHTTPRequestHandler):
    config: ClassVar[LocalModelServerConfig]
    predict: ClassVar[Callable[[Any], Any]]
    protocol_version = "HTTP/1.1"
    timeout = _SLOWEST  # of each read: a client that sends nothing does not hold a thread for ever

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"model": self.config.model_name})
        else:
            self._answer(404, {"error": f"there is no {self.path}: GET /health, POST /predict"})

    def do_POST(self) -> None:
        try:
            instances = self._instances()
            predictions = self._predictions(instances)
        except _Refusal as refusal:
            self._answer(refusal.code, {"error": refusal.reason})
        else:
            self._answer(200, predictions)

    def _instances(self) -> list[Any]:
        if self.path != "/predict":
            raise _Refusal(404, f"there is no {self.path}: POST /predict")
        given = self.headers.get("Authorization", "")
        if self.config.token_digest and not (
            given.startswith("Bearer ") and hmac.compare_digest(_digest(given[7:]), self.config.token_digest)
        ):
            raise _Refusal(401, "a token is needed: Authorization: Bearer TOKEN")
        # A web page cannot send this type to another origin unasked.
        if self.headers.get_content_type() != "application/json":
            raise _Refusal(415, "the content type must be application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise _Refusal(411, "Content-Length is needed")
        if int(length) > self.config.max_request_bytes:
            raise _Refusal(413, f"the body has {length} bytes, {self.config.max_request_bytes} are the most")
        try:
            document = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError):
            raise _Refusal(400, "the body is no JSON") from None
        if not isinstance(document, dict) or not isinstance(document.get("instances"), list):
            raise _Refusal(400, 'the body must be {"instances": [...]}')
        return list(document["instances"])

    def _predictions(self, instances: list[Any]) -> bytes:
        try:
            rows: Any = instances
            if instances and all(isinstance(row, dict) for row in instances):
                import pandas as pd  # for models that were trained on named columns

                rows = pd.DataFrame(instances)
            found = _plain(type(self).predict(rows))
            return json.dumps({"predictions": found}, default=_plain, allow_nan=False).encode()
        except Exception as error:
            self.log_error("%s", f"{type(error).__name__}: {error}")
            raise _Refusal(500, f"{type(error).__name__}: {error}") from error

    def _answer(self, code: int, content: dict[str, Any] | bytes) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if code >= 400:  # noqa: PLR2004 - a body that was not read would be taken for the next request
            self.send_header("Connection", "close")
        if code == 401:  # noqa: PLR2004 - the status of HTTP
            self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        self.wfile.write(body)


def _plain(value: Any) -> Any:
    """Arrays and frames as lists; what is no JSON otherwise is refused by json."""
    if hasattr(value, "to_dict") and hasattr(value, "columns"):
        return value.to_dict(orient="records")
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, (list, tuple, dict, str, int, float)):
        return value
    raise TypeError(f"{type(value).__qualname__} cannot become JSON")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
