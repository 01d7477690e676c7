"""Secrets in HashiCorp Vault or OpenBao."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar
from urllib.parse import quote, unquote

import hvac
from hvac import exceptions
from pydantic import Field, SecretStr, field_validator, model_validator
from requests import Session
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from zenml.exceptions import StoreError
from zenml.secrets_managers.remote_secrets_manager import ATTEMPTS, VersionedSecretsManager

if TYPE_CHECKING:
    from typing_extensions import Self

_URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?")
_SAFE_METHODS = ("GET", "LIST", "DELETE")


class VaultSecretsManager(VersionedSecretsManager):
    """Keeps secrets in the key-value engine (version 2) of HashiCorp Vault or OpenBao, at `<mount_point>/<prefix>/<name>`.

    Logs in with `token`, else as an AppRole with `role_id` and `secret_id` (where it is mounted at `approle_mount_point`), else with
    VAULT_TOKEN. `verify` is the file or folder of the authorities to trust, or false; `cert` a PEM file with the client's certificate
    and key.
    """

    FLAVOR: ClassVar[str] = "vault"

    url: str
    mount_point: str = "secret"
    token: SecretStr | None = None
    role_id: str | None = None
    secret_id: SecretStr | None = None
    approle_mount_point: str = "approle"
    namespace: str | None = None
    cert: str | None = None
    verify: Annotated[bool | str, Field(union_mode="left_to_right")] = True

    @field_validator("url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        if "@" in value:  # not shown: a password may stand before it
            raise ValueError(
                "it holds a user: expected an address alone, as in https://vault.example.org:8200"
            )
        if not _URL.fullmatch(value):
            raise ValueError(f"{value!r} is no address: expected one as https://vault.example.org:8200")
        return value.rstrip("/")

    @field_validator("mount_point", "approle_mount_point")
    @classmethod
    def _check_mount_point(cls, value: str) -> str:
        if not value.strip("/"):
            raise ValueError("it is empty: expected the path of a mount, as in 'secret'")
        return value.strip("/")

    @model_validator(mode="after")
    def _check_login(self) -> Self:
        if self.__dict__["role_id"] and self.__dict__["token"]:
            raise ValueError("a token and a role_id are given: expected one of them")
        if bool(self.__dict__["role_id"]) != bool(self.__dict__["secret_id"]):
            raise ValueError("an AppRole logs in with a role_id and a secret_id: only one of them is given")
        return self

    @property
    def _place(self) -> str:
        namespace = f" in the namespace '{self.namespace}'" if self.namespace else ""
        return f"'{self.mount_point}/{self.prefix}'{namespace} at {self.url}"

    def _connected(self) -> hvac.Client:
        session = Session()
        retry = Retry(
            ATTEMPTS - 1,
            backoff_factor=0.2,
            allowed_methods=_SAFE_METHODS,
            status_forcelist=(429, 502, 503),
            raise_on_status=False,
        )
        for scheme in ("http://", "https://"):
            session.mount(scheme, HTTPAdapter(max_retries=retry))
        session.cert, session.verify = self.cert, self.verify
        client = hvac.Client(
            self.url,
            token=self.token.get_secret_value() if self.token else None,
            namespace=self.namespace,
            timeout=self.timeout,
            session=session,
        )
        if self.role_id and self.secret_id:
            client.token = None
            client.auth.approle.login(
                self.role_id, self.secret_id.get_secret_value(), mount_point=self.approle_mount_point
            )
        self._check_mount(client)
        return client

    def _check_mount(self, client: hvac.Client) -> None:
        """See that the mount is one of key-value secrets, version 2: version 1 would keep what is sent, somewhere else."""
        try:
            answer = client.adapter.get(f"/v1/sys/internal/ui/mounts/{quote(self.mount_point)}")
        except exceptions.Forbidden:
            return  # whoever may read nothing there is told so by what comes next
        mount = answer["data"]
        if mount["type"] != "kv" or (mount.get("options") or {}).get("version") != "2":
            raise StoreError(
                f"The {self.TYPE.display} '{self.name}' cannot use {self._place}: the mount is of the type '{mount['type']}', and no "
                "key-value engine of version 2. Make one with `vault secrets enable -path=PATH kv-v2`, and set mount_point to its path."
            )

    def _ask(self, verb: str, **arguments: Any) -> Any:
        try:
            return self._asked(verb, **arguments)
        except exceptions.Forbidden:
            if not self.role_id or self._client.is_authenticated():
                raise
        self._clients.clear()  # the token of the AppRole has expired: log in anew
        return self._asked(verb, **arguments)

    def _asked(self, verb: str, **arguments: Any) -> Any:
        return getattr(self._client.secrets.kv.v2, verb)(mount_point=self.mount_point, **arguments)

    def _path(self, name: str) -> str:
        # As in a URL, but with a sign that URLs leave alone.
        return f"{self.prefix}/{quote(name, safe='').replace('%', '=')}"

    def _names(self) -> Iterable[str]:
        try:
            answer = self._ask("list_secrets", path=self.prefix)
        except exceptions.InvalidPath as error:
            if error.errors:
                raise
            return []
        keys: list[str] = answer["data"]["keys"]
        return [unquote(key.replace("=", "%")) for key in keys if not key.endswith("/")]

    def _read(self, name: str) -> tuple[Any, Any] | None:
        document, version = self._latest(name)
        return None if document is None else (document, version)

    def _latest(self, name: str) -> tuple[Any, int]:
        """The document, None if it was deleted by other means, and the number of its version."""
        try:
            answer = self._ask("read_secret_version", path=self._path(name), raise_on_deleted_version=False)
        except exceptions.InvalidPath as error:
            if error.errors:
                raise
            return None, 0
        return answer["data"]["data"], answer["data"]["metadata"]["version"]

    def _write(self, name: str, document: dict[str, Any], version: Any) -> bool:
        if version is None:
            present, version = self._latest(name)
            if present is not None:
                return False
        try:
            self._ask("create_or_update_secret", path=self._path(name), secret=document, cas=version)
        except exceptions.InvalidRequest as error:
            if "check-and-set" not in str(error):
                raise
            return False
        return True

    def _remove(self, name: str) -> None:
        self._ask("delete_metadata_and_all_versions", path=self._path(name))

    def _explained(self, error: BaseException) -> str | None:
        if isinstance(error, exceptions.VaultDown):
            return "it is sealed or on standby. Unseal it with `vault operator unseal`, or ask who runs it."
        if isinstance(error, exceptions.InvalidPath):
            return "there is no such mount, or no such namespace. List the mounts with `vault secrets list`."
        if (
            isinstance(error, (exceptions.InvalidRequest, exceptions.Forbidden))
            and self.role_id
            and not self._clients
        ):
            return "the AppRole is not accepted: role_id or secret_id are wrong, used up or expired. Get new ones."
        if isinstance(error, (exceptions.Forbidden, exceptions.Unauthorized)):
            client = next(iter(self._clients.values()), None)
            if client is not None and client.is_authenticated():
                return (
                    f"access is denied. The policy must grant create, read and update on '{self.mount_point}/data/{self.prefix}/*', "
                    f"and list, read and delete on '{self.mount_point}/metadata/{self.prefix}/*'."
                )
            return "the token is missing, wrong or expired. Get a new one with `vault login`, and set it as VAULT_TOKEN."
        return None
