"""A fake of the endpoints at which managed identities and service principals of Azure get tokens."""

import secrets
import time

from tests.fakes.https import Answer, Asked, Fake, answers

IDENTITY_HEADER = "identity"
TENANT = "11111111-2222-3333-4444-555555555555"
PRINCIPAL = {"client_id": "66666666-7777-8888-9999-000000000000", "client_secret": "principal-password"}


class FakeAzure(Fake):
    """Gives tokens to who knows the header of the managed identity, or the password of the service principal."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: set[str] = set()
        self.identity = IDENTITY_HEADER

    def is_authorized(self, asked: Asked) -> bool:
        return asked.headers.get("Authorization", "").removeprefix("Bearer ") in self.tokens

    @answers("GET", "/identity")
    def give_token(self, asked: Asked) -> Answer:
        if asked.headers.get("X-IDENTITY-HEADER") != self.identity:
            return Answer({"statusCode": 401, "message": "The identity header is wrong."}, 401)
        self.tokens.add(token := secrets.token_hex())
        expires = str(int(time.time()) + 3600)
        return Answer({"access_token": token, "expires_on": expires, "token_type": "Bearer", "resource": "r"})

    @answers("GET", f"/{TENANT}/v2.0/.well-known/openid-configuration")
    def configuration(self, asked: Asked) -> Answer:
        place = f"{self.url}/{TENANT}"
        return Answer(
            {
                "issuer": f"{place}/v2.0",
                "authorization_endpoint": f"{place}/oauth2/v2.0/authorize",
                "token_endpoint": f"{place}/oauth2/v2.0/token",
            }
        )

    @answers("POST", f"/{TENANT}/oauth2/v2.0/token")
    def give_principal_token(self, asked: Asked) -> Answer:
        if {name: asked.form.get(name) for name in PRINCIPAL} != PRINCIPAL:
            return Answer(
                {
                    "error": "invalid_client",
                    "error_description": "AADSTS7000215: Invalid client secret provided.",
                },
                401,
            )
        self.tokens.add(token := secrets.token_hex())
        return Answer({"access_token": token, "expires_in": 3600, "token_type": "Bearer"})
