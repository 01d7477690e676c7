"""Our container registries pass the suite, and which addresses each allows."""

import pytest

from zenml.container_registries import (
    AWSContainerRegistry,
    AzureContainerRegistry,
    BaseContainerRegistry,
    DefaultContainerRegistry,
    DockerHubContainerRegistry,
    GCPContainerRegistry,
    GitHubContainerRegistry,
    GitLabContainerRegistry,
    LocalContainerRegistry,
)
from zenml.enums import ContainerRegistryFlavor, Reach, StackComponentType
from zenml.exceptions import ConfigurationError, SecretError
from zenml.stack.flavors import find_flavor, load_flavor
from zenml.testing.conformance import ContainerRegistryConformance

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
    LocalContainerRegistry: ["localhost:5000", "127.0.0.1:5001/team"],
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
    LocalContainerRegistry: ["localhost", "0.0.0.0:5000", "registry.example.org:5000"],
}
EXPECTED = {
    DefaultContainerRegistry: "HOST[:PORT][/NAME...]",
    DockerHubContainerRegistry: "docker.io/NAME",
    GCPContainerRegistry: "LOCATION-docker.pkg.dev/PROJECT/REPOSITORY, gcr.io/PROJECT or REGION.gcr.io/PROJECT",
    AzureContainerRegistry: "NAME.azurecr.io",
    AWSContainerRegistry: "ACCOUNT.dkr.ecr.REGION.amazonaws.com with an account of twelve digits and no path",
    GitHubContainerRegistry: "ghcr.io/OWNER",
    GitLabContainerRegistry: "registry.gitlab.com/NAME or registry.HOST[:PORT]",
    LocalContainerRegistry: "localhost:PORT[/NAME...]",
}


def cases(addresses):
    return [
        pytest.param(class_, uri, id=f"{class_.FLAVOR}-{uri}")
        for class_, uris in addresses.items()
        for uri in uris
    ]


class OfFlavor(ContainerRegistryConformance):
    flavor: type[BaseContainerRegistry]

    @pytest.fixture
    def registry(self):
        return self.flavor(name="images", uri=ALLOWED[self.flavor][0])


class TestDefault(OfFlavor):
    flavor = DefaultContainerRegistry


class TestDockerHub(OfFlavor):
    flavor = DockerHubContainerRegistry


class TestGCP(OfFlavor):
    flavor = GCPContainerRegistry


class TestAzure(OfFlavor):
    flavor = AzureContainerRegistry


class TestAWS(OfFlavor):
    flavor = AWSContainerRegistry


class TestGitHub(OfFlavor):
    flavor = GitHubContainerRegistry


class TestGitLab(OfFlavor):
    flavor = GitLabContainerRegistry


class TestLocal(OfFlavor):
    flavor = LocalContainerRegistry


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
