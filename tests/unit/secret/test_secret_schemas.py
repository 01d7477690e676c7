import copy
import pickle
import subprocess
import sys
from typing import ClassVar

import pytest
from pydantic import TypeAdapter, ValidationError

import zenml.secret
from zenml.exceptions import AlreadyExistsException, DoesNotExistException, InterfaceError, SecretError
from zenml.secret import (
    ArbitrarySecretSchema,
    BaseSecretSchema,
    SecretSchemaClassRegistry,
    register_secret_schema_class,
)
from zenml.secret.registry import restore_secret
from zenml.secret.schemas import (
    AWSSecretSchema,
    AzureSecretSchema,
    BasicAuthSecretSchema,
    GCPSecretSchema,
    MYSQLSecretSchema,
)

CANARY = "canary-5b1f"


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(SecretSchemaClassRegistry, "_classes", SecretSchemaClassRegistry.all_classes())


def test_content_gives_the_values():
    assert ArbitrarySecretSchema(name="db", user="ann", password="x").content == {
        "user": "ann",
        "password": "x",
    }
    assert ArbitrarySecretSchema(name="db", a="1", arbitrary_kv_pairs={"a key": "2"}).content == {
        "a": "1",
        "a key": "2",
    }
    aws = AWSSecretSchema(name="aws", aws_access_key_id="id", aws_secret_access_key="key")
    assert aws.content == {"aws_access_key_id": "id", "aws_secret_access_key": "key"}
    assert MYSQLSecretSchema(name="m", user="ann").content == {
        "user": "ann",
        "ssl_verify_server_cert": "False",
    }
    assert aws.aws_secret_access_key == "key"


def test_schemas_know_their_keys():
    assert ArbitrarySecretSchema.get_schema_keys() == []
    assert BasicAuthSecretSchema.get_schema_keys() == ["username", "password"]
    assert AzureSecretSchema.get_schema_keys()[:2] == ["account_name", "account_key"]
    assert set(SecretSchemaClassRegistry.all_classes()) == {
        "arbitrary",
        "aws",
        "azure",
        "basic_auth",
        "gcp",
        "mysql",
    }


@pytest.mark.parametrize(
    "secret",
    [
        ArbitrarySecretSchema(name="s", k=CANARY),
        BasicAuthSecretSchema(name="s", username="ann", password=CANARY),
    ],
)
def test_no_text_shows_a_value(secret):
    texts = [
        repr(secret),
        str(secret),
        f"{secret}",
        str(secret.model_dump()),
        secret.model_dump_json(),
        str({"in": [secret]}),
    ]
    texts.append(TypeAdapter(BaseSecretSchema).dump_json(secret).decode())
    assert [text for text in texts if CANARY in text or "ann" in text] == []
    assert copy.deepcopy(secret) == secret
    assert pickle.loads(pickle.dumps(secret)).content == secret.content  # noqa: S301 - made here


def test_every_mistake_is_listed_without_values():
    with pytest.raises(SecretError) as error:
        AWSSecretSchema(name="s3", aws_acces_key_id=CANARY, aws_session_token=7)
    assert str(error.value) == (
        "The secret 's3' does not fit the schema 'aws':\n"
        "  aws_access_key_id: is required, but it is not given.\n"
        "  aws_secret_access_key: is required, but it is not given.\n"
        "  aws_session_token: Input should be a valid string.\n"
        "  aws_acces_key_id: the schema has no such key. Did you mean 'aws_access_key_id'?"
    )
    assert error.value.__cause__ is None
    with pytest.raises(ValidationError) as raw:
        BasicAuthSecretSchema.model_validate({"name": "s", "username": "ann", "pasword": CANARY})
    assert CANARY not in str(raw.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("env", "'env' cannot be the name of a secret: '{{env.X}}' refers to the environment variable X."),
        ("../up", "'../up' cannot be the name of a secret: it must begin with"),
        ("", "'' cannot be the name of a secret: it is empty."),
        ("a\nb", "'a\\nb' cannot be the name of a secret"),
    ],
)
def test_names_that_no_secret_can_have(name, message):
    with pytest.raises(SecretError) as error:
        ArbitrarySecretSchema(name=name, key="x")
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"": "x"}, "a key is empty"),
        ({"name": "x"}, "'name' cannot be a key: it is the secret's own name"),
        ({"port": 1}, "port: Input should be a valid string"),
    ],
)
def test_keys_that_no_secret_can_have(pairs, message):
    with pytest.raises(SecretError, match=message):
        ArbitrarySecretSchema(name="s", arbitrary_kv_pairs=pairs)


def test_a_secret_without_a_name():
    with pytest.raises(
        SecretError, match="The secret does not fit the schema 'arbitrary':\n  name: is required"
    ):
        ArbitrarySecretSchema(key="x")


def test_google_credentials():
    assert GCPSecretSchema(name="g", token='{"type": "user"}').get_credential_dict() == {"type": "user"}
    for token in (CANARY, "[1]"):
        with pytest.raises(
            SecretError, match=r"The token of the secret 'g' is no JSON object.*--token=@FILE"
        ) as error:
            GCPSecretSchema(name="g", token=token).get_credential_dict()
        assert CANARY not in str(error.value)


def test_a_schema_of_ones_own():
    @register_secret_schema_class
    class TokenSecretSchema(BaseSecretSchema):
        TYPE: ClassVar[str] = "token"
        token: str

    assert SecretSchemaClassRegistry.get_class("token") is TokenSecretSchema
    assert restore_secret("token", "t", {"token": "x"}) == TokenSecretSchema(name="t", token="x")


def test_an_unknown_schema_names_the_nearest():
    with pytest.raises(
        DoesNotExistException, match="There is no secret schema 'basic-auth'. Did you mean 'basic_auth'?"
    ):
        SecretSchemaClassRegistry.get_class("basic-auth")


def test_a_type_belongs_to_one_class():
    class Other(BaseSecretSchema):
        TYPE: ClassVar[str] = "aws"

    with pytest.raises(
        AlreadyExistsException,
        match=r"zenml\.secret\.schemas\.AWSSecretSchema is the secret schema 'aws' already",
    ):
        register_secret_schema_class(Other)
    register_secret_schema_class(AWSSecretSchema)

    class Nameless(BaseSecretSchema):
        pass

    with pytest.raises(InterfaceError, match="Nameless must set the class variable TYPE"):
        register_secret_schema_class(Nameless)


def test_a_secret_whose_class_is_not_imported_keeps_its_type():
    secret = restore_secret("seldon_s3", "s", {"key": "x"})
    assert (secret.TYPE, secret.name, secret.content) == ("seldon_s3", "s", {"key": "x"})


def test_the_public_names_are_there():
    for name in zenml.secret.__all__:
        assert getattr(zenml.secret, name)
    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        zenml.secret.Nothing  # noqa: B018 - the access is the test


def test_references_need_no_pydantic():
    program = "import sys, zenml.secret.references; sys.exit('pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
