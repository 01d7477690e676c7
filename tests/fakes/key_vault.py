"""A fake of the wire protocol of Azure Key Vault."""

from itertools import count
from typing import Any

from tests.fakes.azure_identity import FakeAzure
from tests.fakes.https import Answer, Asked, answers

_NAME = "(?P<name>[0-9a-zA-Z-]{1,127})"


class FakeKeyVault(FakeAzure):
    """A vault in memory, whose deleted secrets can be recovered.

    A deleted secret stays in the state of being deleted, and a recovered one in that of being recovered, for `delay` requests.
    `pages` counts the lists that it gave.
    """

    page = 3

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, dict[str, Any]] = {}
        self.deleted: dict[str, dict[str, Any]] = {}
        self.busy: dict[str, int] = {}
        self.versions = count(1)
        self.delay = 0
        self.pages = 0
        self.denied = False

    def answer(self, asked: Asked) -> Answer:
        if asked.path != "/identity":
            if not self.is_authorized(asked):
                # A host that the vault's ends with, as https://vault.azure.net is one for https://my.vault.azure.net.
                resource = self.url.replace("127.0.0.1", "0.0.1")
                challenge = f'Bearer authorization="https://login.example.org/tenant", resource="{resource}"'
                return _error(
                    401, "Unauthorized", "AKV10000: no valid token.", {"WWW-Authenticate": challenge}
                )
            if self.denied:
                return _error(403, "Forbidden", "The user does not have the permission.")
            assert asked.form["api-version"]
        return super().answer(asked)

    @answers("PUT", f"/secrets/{_NAME}")
    def set(self, asked: Asked, name: str) -> Answer:
        if self._is_busy(name) or name.lower() in self.deleted:
            return _error(409, "Conflict", f"Secret {name} is currently in a deleted but recoverable state.")
        id = f"{self.url}/secrets/{name}/{next(self.versions):032x}"
        self.secrets[name.lower()] = {**asked.body, "id": id, "attributes": {"enabled": True}}
        return Answer(self.secrets[name.lower()])

    @answers("GET", f"/secrets/{_NAME}/?")
    def get(self, asked: Asked, name: str) -> Answer:
        secret = self.secrets.get(name.lower())
        return _missing(name) if secret is None else Answer(secret)

    @answers("GET", "/secrets/?")
    def list(self, asked: Asked) -> Answer:
        self.pages += 1
        start = int(asked.form.get("$skiptoken", 0))
        found = [self.secrets[name] for name in sorted(self.secrets)][start : start + self.page]
        items = [{k: v for k, v in secret.items() if k != "value"} for secret in found]
        for item in items:
            item["id"] = item["id"].rpartition("/")[0]
        more = start + self.page < len(self.secrets)
        version = asked.form["api-version"]
        link = f"{self.url}/secrets?api-version={version}&$skiptoken={start + self.page}" if more else None
        return Answer({"value": items, "nextLink": link})

    @answers("DELETE", f"/secrets/{_NAME}")
    def delete(self, asked: Asked, name: str) -> Answer:
        secret = self.secrets.pop(name.lower(), None)
        if secret is None:
            return _missing(name)
        self.deleted[name.lower()] = secret
        self.busy[name.lower()] = self.delay
        return Answer({**secret, "recoveryId": f"{self.url}/deletedsecrets/{name}"})

    @answers("POST", f"/deletedsecrets/{_NAME}/recover")
    def recover(self, asked: Asked, name: str) -> Answer:
        if self._is_busy(name):
            return _error(409, "Conflict", f"Secret {name} is currently being deleted.")
        secret = self.deleted.pop(name.lower(), None)
        if secret is None:
            return _missing(name)
        self.secrets[name.lower()] = secret
        self.busy[name.lower()] = self.delay
        return Answer(secret)

    def _is_busy(self, name: str) -> bool:
        left = self.busy.get(name.lower(), 0)
        self.busy[name.lower()] = max(0, left - 1)
        return left > 0


def _error(status: int, code: str, message: str, headers: dict[str, str] | None = None) -> Answer:
    return Answer({"error": {"code": code, "message": message}}, status, headers or {})


def _missing(name: str) -> Answer:
    return _error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found in this key vault.")
