"""A fake of the token server of Google's service accounts."""

import json
import secrets

from google.auth import jwt

from tests.fakes.https import Answer, Asked, Fake, answers

PROJECT = "my-project"


class FakeGoogle(Fake):
    """Gives tokens to who has the key of `account`."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.private, self.public = _keys()

    def is_authorized(self, asked: Asked) -> bool:
        return asked.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens

    @property
    def account(self) -> str:
        """The file of a service account, as the cloud's console gives it."""
        return json.dumps(
            {
                "type": "service_account",
                "project_id": PROJECT,
                "private_key_id": "1",
                "private_key": self.private,
                "client_email": f"robot@{PROJECT}.iam.gserviceaccount.com",
                "client_id": "1",
                "token_uri": f"{self.url}/token",
            }
        )

    @answers("POST", "/token")
    def give_token(self, asked: Asked) -> Answer:
        try:
            jwt.decode(asked.form["assertion"], certs=self.public)
        except ValueError:
            return Answer({"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, 400)
        self.tokens.add(token := secrets.token_hex())
        return Answer({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})


def error(code: int, status: str, message: str) -> Answer:
    return Answer({"error": {"code": code, "message": message, "status": status}}, code)


def _keys() -> tuple[str, bytes]:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private.decode(), public
