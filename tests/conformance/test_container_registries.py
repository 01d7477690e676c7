"""What every container registry does, and which addresses each flavor allows."""

import pytest

from zenml.artifact_stores import LocalArtifactStore
from zenml.container_registries import (
    AWSContainerRegistry,
    AzureContainerRegistry,
    DefaultContainerRegistry,
    DockerHubContainerRegistry,
    GCPContainerRegistry,
    GitHubContainerRegistry,
    GitLabContainerRegistry,
)
from zenml.enums import ContainerRegistryFlavor, Reach, StackComponentType
from zenml.exceptions import ConfigurationError, SecretError
from zenml.metadata_stores import SQLiteMetadataStore
from zenml.orchestrators import LocalOrchestrator
from zenml.secret.schemas import BasicAuthSecretSchema
from zenml.secrets_managers import LocalSecretsManager
from zenml.stack import Stack
from zenml.stack.flavors import find_flavor, load_flavor

ALLOWED = {
    DefaultContainerRegistry: [
        "localhost:5000",
        "localhost",
        "registry.example.org/team",
        "10.0.0.7:80/a/b__c",
        "[::1]:5000",
    ],
    DockerHubContainerRegistry: ["docker.io/ann", "docker.io/team/images"],
    GCPContainerRegistry: [
        "gcr.io/project",
        "eu.gcr.io/project/x",
        "europe-west1-docker.pkg.dev/project/repository",
    ],
    AzureContainerRegistry: ["images.azurecr.io", "images.azurecr.io/team"],
    AWSContainerRegistry: ["123456789012.dkr.ecr.eu-west-1.amazonaws.com"],
    GitHubContainerRegistry: ["ghcr.io/ann", "ghcr.io"],
    GitLabContainerRegistry: ["registry.gitlab.com/group/project", "registry.example.org:5050/group"],
}
REFUSED = {
    DefaultContainerRegistry: [
        "",
        "ann",
        "a b.c",
        "example.org/Team",
        "example.org//x",
        "example.org:0",
        "example.org:65536",
        "-x.org",
    ],
    DockerHubContainerRegistry: ["docker.io", "example.org/ann", "docker.io.example.org/ann"],
    GCPContainerRegistry: [
        "gcr.io",
        "europe-west1-docker.pkg.dev/project",
        "gcr.io.example.org/x",
        "evilgcr.io/x",
    ],
    AzureContainerRegistry: ["azurecr.io", "example.org", "images.azurecr.io.example.org"],
    AWSContainerRegistry: [
        "123456789012.dkr.ecr.eu-west-1.amazonaws.com/x",
        "12.dkr.ecr.eu-west-1.amazonaws.com",
    ],
    GitHubContainerRegistry: ["github.com/ann", "ghcr.io.example.org"],
    GitLabContainerRegistry: ["gitlab.com/group"],
}
EXPECTED = {
    DefaultContainerRegistry: "HOST[:PORT][/NAME...]",
    DockerHubContainerRegistry: "docker.io/NAME",
    GCPContainerRegistry: "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY, gcr.io/PROJECT or REGION.gcr.io/PROJECT",
    AzureContainerRegistry: "NAME.azurecr.io",
    AWSContainerRegistry: "ACCOUNT.dkr.ecr.REGION.amazonaws.com with an account of twelve digits and no path",
    GitHubContainerRegistry: "ghcr.io/OWNER",
    GitLabContainerRegistry: "registry.gitlab.com/NAME or registry.HOST[:PORT]",
}


def cases(addresses):
    return [
        pytest.param(class_, uri, id=f"{class_.FLAVOR}-{uri}")
        for class_, uris in addresses.items()
        for uri in uris
    ]


@pytest.fixture(params=ALLOWED, ids=lambda class_: class_.FLAVOR)
def registry(request):
    return request.param(name="images", uri=ALLOWED[request.param][0])


def on_stack(registry, manager=None):
    stack = Stack(
        "team",
        orchestrator=LocalOrchestrator(name="local"),
        metadata_store=SQLiteMetadataStore(name="local", uri="store.db"),
        artifact_store=LocalArtifactStore(name="local", path="artifacts"),
        container_registry=registry,
        secrets_manager=manager,
    )
    return stack.container_registry


def test_every_flavor_has_its_class():
    for flavor in ContainerRegistryFlavor:
        class_ = load_flavor(find_flavor(StackComponentType.CONTAINER_REGISTRY, flavor))
        assert class_ in ALLOWED
        assert flavor == class_.FLAVOR


@pytest.mark.parametrize(("class_", "uri"), cases(ALLOWED))
def test_addresses_that_are_allowed(class_, uri):
    assert class_(name="images", uri=uri).uri == uri
    assert class_(name="images", uri=f"{uri}//").uri == uri


@pytest.mark.parametrize(("class_", "uri"), cases(REFUSED))
def test_addresses_that_are_refused(class_, uri):
    with pytest.raises(ConfigurationError) as error:
        class_(name="images", uri=uri)
    message = str(error.value)
    assert message.startswith(
        f"The container registry 'images' of flavor '{class_.FLAVOR}' cannot be configured so:\n  uri: {uri!r} "
    )
    if "has the port" not in message and "is no address" not in message:
        assert EXPECTED[class_] in message


def test_an_address_with_a_scheme():
    with pytest.raises(
        ConfigurationError,
        match="'https://example.org/x' has a scheme: give it without, as in 'example.org/x'",
    ):
        DefaultContainerRegistry(name="images", uri="https://example.org/x")


def test_an_address_with_a_password_is_not_repeated():
    with pytest.raises(ConfigurationError, match="it holds a user: expected HOST") as error:
        DefaultContainerRegistry(name="images", uri="https://ann:canary@example.org")
    assert "canary" not in str(error.value)


def test_an_address_from_the_environment_is_checked_when_used(monkeypatch):
    registry = DockerHubContainerRegistry(name="images", uri="docker.io/{{env.TEAM}}/")
    monkeypatch.setenv("TEAM", "ann")
    assert registry.uri == "docker.io/ann"
    monkeypatch.setenv("TEAM", "No Name")
    with pytest.raises(
        ConfigurationError, match=r"'docker.io/\{\{env.TEAM\}\}/' refers to cannot be the uri"
    ):
        _ = registry.uri


def test_a_registry_without_a_user(registry):
    assert registry.credentials is None
    assert not registry.requires_authentication
    assert type(registry).from_record(registry.to_record()) == registry


def test_a_user_from_a_secret_of_the_stack(registry):
    manager = LocalSecretsManager(name="vault")
    manager.register_secret(BasicAuthSecretSchema(name="login", username="ann", password="canary"))
    named = registry.updated({"authentication_secret": "login"})
    referring = registry.updated({"username": "{{login.username}}", "password": "{{login.password}}"})
    for wanted in (named, referring):
        assert wanted.requires_authentication
        assert on_stack(wanted, manager).credentials == ("ann", "canary")
        assert "canary" not in repr(on_stack(wanted, manager))
        assert "canary" not in str(wanted.to_record())


def test_a_secret_that_is_not_there(registry):
    wanted = registry.updated({"authentication_secret": "login"})
    manager = LocalSecretsManager(name="vault")
    with pytest.raises(
        SecretError, match="The stack 'team' has no secrets manager that could resolve '{{login.username}}'"
    ):
        _ = on_stack(wanted).credentials
    with pytest.raises(
        SecretError, match="the secrets manager 'vault' has no secret 'login'|has no secret 'login'"
    ):
        _ = on_stack(wanted, manager).credentials


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"username": "ann"}, "username and password belong together: only the username is given"),
        ({"password": "canary"}, "username and password belong together: only the password is given"),
        (
            {"username": "ann", "password": "canary", "authentication_secret": "x"},
            "authentication_secret holds user and password: leave out password and username",
        ),
    ],
)
def test_halves_and_doubles_of_a_login(registry, fields, message):
    with pytest.raises(ConfigurationError, match=message) as error:
        registry.updated(fields)
    assert "canary" not in str(error.value)


def test_a_password_in_clear_is_used_but_not_kept(registry):
    registry = registry.updated({"username": "ann", "password": "canary"})
    assert registry.credentials == ("ann", "canary")
    assert "canary" not in repr(registry)
    with pytest.raises(SecretError, match="holds a secret in clear in: password"):
        registry.to_record()


def test_a_registry_on_this_machine_reaches_no_other():
    for uri in ("localhost:5000", "127.0.0.1:5000/x", "[::1]:80"):
        local = DefaultContainerRegistry(name="images", uri=uri)
        assert local.is_local
        assert local.reach is Reach.HOST
    for uri in ("localhost.example.org", "example.org/localhost", "127.0.0.1.example.org"):
        assert DefaultContainerRegistry(name="images", uri=uri).reach is Reach.NETWORK


def test_the_token_of_github_actions(monkeypatch):
    registry = GitHubContainerRegistry(name="images", uri="ghcr.io/ann", automatic_token_authentication=True)
    assert registry.requires_authentication
    monkeypatch.delenv("GITHUB_ACTOR", raising=False)
    monkeypatch.setenv("GITHUB_TOKEN", "canary")
    with pytest.raises(
        SecretError,
        match="'images' takes user and password from GitHub Actions, but 'GITHUB_ACTOR' is not set",
    ):
        _ = registry.credentials
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    assert registry.credentials == ("ann", "canary")
