"""A fake of the wire protocol of Google Cloud's Secret Manager."""

from itertools import count
from typing import Any

from tests.fakes.google_accounts import PROJECT, FakeGoogle, error
from tests.fakes.https import Answer, Asked, answers

_SECRETS = rf"/v1/projects/{PROJECT}/secrets"
_SECRET = rf"{_SECRETS}/(?P<id>[^/:]+)"


class FakeSecretManager(FakeGoogle):
    """Keeps secrets of one project in memory. `pages` counts the lists that it gave."""

    page = 3

    def __init__(self) -> None:
        super().__init__()
        self.secrets: dict[str, dict[str, Any]] = {}
        self.versions: dict[str, list[str | None]] = {}
        self.etags = count(1)
        self.pages = 0
        self.denied = False

    def answer(self, asked: Asked) -> Answer:
        if asked.path.startswith("/v1/"):
            if not self.is_authorized(asked):
                return error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
            if self.denied:
                return error(403, "PERMISSION_DENIED", "Permission denied on resource (or it may not exist).")
            if not asked.path.startswith(_SECRETS):
                return error(404, "NOT_FOUND", "Project not found.")
        return super().answer(asked)

    @answers("GET", _SECRETS)
    def list(self, asked: Asked) -> Answer:
        self.pages += 1
        label, _, value = asked.form["filter"].removeprefix("labels.").partition("=")
        found = [
            self.secrets[i] for i in sorted(self.secrets) if self.secrets[i]["labels"].get(label) == value
        ]
        start = int(asked.form.get("pageToken", 0))
        end = start + min(self.page, int(asked.form["pageSize"]))
        more = {"nextPageToken": str(end)} if end < len(found) else {}
        return Answer({"secrets": found[start:end]} | more if found else {})

    @answers("POST", _SECRETS)
    def create(self, asked: Asked) -> Answer:
        id = asked.form["secretId"]
        if id in self.secrets:
            return error(409, "ALREADY_EXISTS", f"Secret [projects/1/secrets/{id}] already exists.")
        assert "replication" in asked.body
        self.secrets[id] = {**asked.body, "name": f"projects/1/secrets/{id}", "etag": self.etag()}
        self.versions[id] = []
        return Answer(self.secrets[id])

    @answers("GET", _SECRET)
    def get(self, asked: Asked, id: str) -> Answer:
        return Answer(self.secrets[id]) if id in self.secrets else _missing(id)

    @answers("PATCH", _SECRET)
    def patch(self, asked: Asked, id: str) -> Answer:
        if id not in self.secrets:
            return _missing(id)
        if asked.body["etag"] != self.secrets[id]["etag"]:
            return error(400, "FAILED_PRECONDITION", "The etag provided does not match the resource's etag.")
        for name in asked.form["updateMask"].split(","):
            self.secrets[id][name] = asked.body[name]
        self.secrets[id]["etag"] = self.etag()
        return Answer(self.secrets[id])

    @answers("DELETE", _SECRET)
    def delete(self, asked: Asked, id: str) -> Answer:
        if id not in self.secrets:
            return _missing(id)
        del self.secrets[id], self.versions[id]
        return Answer({})

    @answers("POST", rf"{_SECRET}:addVersion")
    def add_version(self, asked: Asked, id: str) -> Answer:
        if id not in self.secrets:
            return _missing(id)
        self.versions[id].append(asked.body["payload"]["data"])
        return Answer(
            {"name": f"projects/1/secrets/{id}/versions/{len(self.versions[id])}", "state": "ENABLED"}
        )

    @answers("GET", rf"{_SECRET}/versions/(?P<number>\d+):access")
    def access(self, asked: Asked, id: str, number: str) -> Answer:
        if id not in self.secrets or int(number) > len(self.versions[id]):
            return _missing(id)
        data = self.versions[id][int(number) - 1]
        if data is None:
            return error(400, "FAILED_PRECONDITION", "The version is in DESTROYED state.")
        name = f"projects/1/secrets/{id}/versions/{number}"
        return Answer({"name": name, "payload": {"data": data}})

    @answers("POST", rf"{_SECRET}/versions/(?P<number>\d+):destroy")
    def destroy(self, asked: Asked, id: str, number: str) -> Answer:
        self.versions[id][int(number) - 1] = None
        return Answer({"state": "DESTROYED"})

    def etag(self) -> str:
        return f'"{next(self.etags)}"'


def _missing(id: str) -> Answer:
    return error(404, "NOT_FOUND", f"Secret [projects/1/secrets/{id}] not found or has no versions.")
