"""Secrets in Google Cloud's Secret Manager."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import google.auth
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError
from google.oauth2 import service_account
from pydantic import SecretStr, field_validator
from requests import HTTPError, Response

from zenml.exceptions import SecretError
from zenml.integrations.gcp.rest import LOGIN, SCOPE, authorized, message, status, token_request
from zenml.secrets_managers.remote_secrets_manager import ATTEMPTS, VersionedSecretsManager, entry_name

if TYPE_CHECKING:
    from google.auth.transport.requests import AuthorizedSession

_LABEL = "zenml"
_NAME = "zenml-name"
_CURRENT = "zenml-current"
_PAGE = 1000


class GCPSecretsManager(VersionedSecretsManager):
    """Keeps secrets in Google Cloud's Secret Manager, as `<prefix>_<name>` of the project `project_id`.

    Credentials are the application default ones, unless `credentials` refers to a variable of the environment that holds the JSON text
    of a service account's key. `endpoint` is another one than the global, as for regional secrets.
    """

    FLAVOR: ClassVar[str] = "gcp_secrets_manager"

    project_id: str
    endpoint: str = "https://secretmanager.googleapis.com"
    credentials: SecretStr | None = None

    @field_validator("project_id")
    @classmethod
    def _check_project(cls, value: str) -> str:
        if not value or "/" in value:
            raise ValueError(f"{value!r} is no project: expected its id, as in 'my-project-123'")
        return value

    @field_validator("endpoint")
    @classmethod
    def _check_endpoint(cls, value: str) -> str:
        if not value.startswith(("https://", "http://")):
            raise ValueError(
                f"{value!r} is no address: expected one as https://secretmanager.europe-west3.rep.googleapis.com"
            )
        return value.rstrip("/")

    @property
    def _place(self) -> str:
        return f"'{self.prefix}_*' of the project '{self.project_id}' at {self.endpoint}"

    def _connected(self) -> AuthorizedSession:
        request = token_request()
        if self.credentials is None:
            credentials, _ = google.auth.default(scopes=[SCOPE], request=request)
        else:
            try:
                credentials = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]
                    json.loads(self.credentials.get_secret_value()), scopes=[SCOPE]
                )
            except (ValueError, GoogleAuthError):
                # The library's text may hold parts of the key.
                raise SecretError(
                    f"The credentials of the {self.TYPE.display} '{self.name}' are no key of a service account: expected the JSON text "
                    "of its file."
                ) from None
        return authorized(credentials, request, self.timeout)

    def _id(self, name: str) -> str:
        return f"{self.prefix}_{entry_name(name)}"

    def _ask(self, method: str, path: str, body: Any = None, **parameters: Any) -> Any:
        """The answer, parsed; None if there is no such thing."""
        response: Response = self._client.request(
            method,
            f"{self.endpoint}/v1/projects/{quote(self.project_id)}/secrets{path}",
            params=parameters,
            json=body,
            timeout=self.timeout,
            max_allowed_time=ATTEMPTS * self.timeout,
        )
        if response.status_code == 404 and status(response) == "NOT_FOUND" and path:  # noqa: PLR2004
            return None
        if not response.ok:
            raise HTTPError(message(response), response=response)
        return response.json()

    def _names(self) -> Iterable[str]:
        page: dict[str, str] = {}
        while True:
            answer = self._ask("GET", "", filter=f"labels.{_LABEL}={self.prefix}", pageSize=_PAGE, **page)
            for entry in answer.get("secrets", ()):
                # What has no current version is about to be made, or was left behind by whoever was ended while making it.
                if _CURRENT in entry.get("versionAliases", {}):
                    yield entry["annotations"][_NAME]
            if not answer.get("nextPageToken"):
                return
            page = {"pageToken": answer["nextPageToken"]}

    def _read(self, name: str) -> tuple[Any, Any] | None:
        path = f"/{self._id(name)}"
        entry = self._ask("GET", path)
        number = entry and entry.get("versionAliases", {}).get(_CURRENT)
        answer = number and self._ask("GET", f"{path}/versions/{number}:access")
        if not answer:
            return None
        try:
            document = json.loads(base64.b64decode(answer["payload"]["data"]))
        except ValueError:
            document = ""
        return document, entry["etag"]

    def _write(self, name: str, document: dict[str, Any], version: Any) -> bool:
        path = f"/{self._id(name)}"
        if version is None:
            version = self._reserved(path, name)
            if version is None:
                return False
        data = base64.b64encode(json.dumps(document).encode()).decode()
        added = self._ask("POST", f"{path}:addVersion", {"payload": {"data": data}})
        if added is None:  # removed meanwhile
            return False
        number = added["name"].rpartition("/")[2]
        body = {"versionAliases": {_CURRENT: number}, "etag": version}
        try:
            return self._ask("PATCH", path, body, updateMask="versionAliases") is not None
        except HTTPError as error:
            if error.response is None or status(error.response) not in ("FAILED_PRECONDITION", "ABORTED"):
                raise
        # Another version has become the current one: this one never will.
        self._ask("POST", f"{path}/versions/{number}:destroy", {})
        return False

    def _reserved(self, path: str, name: str) -> str | None:
        """The etag of a secret that has no current version, made if there is none; None if it has one."""
        body = {
            "replication": {"automatic": {}},
            "labels": {_LABEL: self.prefix},
            "annotations": {_NAME: name},
        }
        try:
            return str(self._ask("POST", "", body, secretId=path[1:])["etag"])
        except HTTPError as error:
            if error.response is None or status(error.response) != "ALREADY_EXISTS":
                raise
        entry = self._ask("GET", path)
        return None if entry is None or _CURRENT in entry.get("versionAliases", {}) else str(entry["etag"])

    def _remove(self, name: str) -> None:
        self._ask("DELETE", f"/{self._id(name)}")

    def _explained(self, error: BaseException) -> str | None:
        if isinstance(error, DefaultCredentialsError):
            return f"there are no credentials. {LOGIN}"
        if isinstance(error, RefreshError):
            return f"the credentials are not accepted, or have expired. {LOGIN}"
        if isinstance(error, HTTPError) and error.response is not None:
            return {
                "UNAUTHENTICATED": f"the credentials are not accepted, or have expired. {LOGIN}",
                "PERMISSION_DENIED": "access is denied, or there is no such project, or its Secret Manager is not enabled. Who uses it "
                "needs the role roles/secretmanager.admin.",
                "NOT_FOUND": "there is no such project. List yours with `gcloud projects list`.",
            }.get(status(error.response))
        return None
