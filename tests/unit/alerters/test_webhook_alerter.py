import hashlib
import hmac
import logging
import socket

import pytest

from tests.unit.alerters.servers import WebServer, serving, web_server
from zenml.alerters import WebhookAlerter
from zenml.exceptions import ConfigurationError, SecretError

__all__ = ["web_server"]


def alerter(server: WebServer, **fields):
    return WebhookAlerter(name="team", url=f"{server.url}/canary?x=1", **fields)


def test_a_post_is_json(web_server):
    assert alerter(web_server).post('a "quoted" ✓\n\udcff')
    (asked,) = web_server.asked
    assert (asked.method, asked.path) == ("POST", "/canary?x=1")
    assert asked.headers["Content-Type"] == "application/json"
    assert asked.headers["User-Agent"].startswith("zenml/")
    assert asked.json() == {"text": 'a "quoted" ✓\n\udcff'}


def test_key_headers_and_signature(web_server):
    signed = alerter(
        web_server,
        message_key="content",
        headers={"X-Team": "zürich", "Authorization": "Bearer {{hook.token}}"},
        signing_secret="s",
    )
    assert signed.bound(lambda _name, _key: "t0ken").post("hello")
    (asked,) = web_server.asked
    assert asked.json() == {"content": "hello"}
    assert asked.headers["Authorization"] == "Bearer t0ken"
    assert (
        asked.headers["X-Hub-Signature-256"]
        == "sha256=" + hmac.new(b"s", asked.body, hashlib.sha256).hexdigest()
    )


@pytest.mark.parametrize("status", [200, 201, 204])
def test_what_counts_as_accepted(web_server, status):
    web_server.status = status
    assert alerter(web_server).post("hello") is True


@pytest.mark.parametrize(
    ("status", "reason"),
    [(400, "400 Bad Request"), (404, "404 Not Found"), (503, "503 Service Unavailable"), (599, "599")],
)
def test_what_counts_as_refused(web_server, status, reason, caplog):
    web_server.status = status
    caplog.set_level(logging.DEBUG)
    assert alerter(web_server).post("hello") is False
    host = web_server.url.removeprefix("http://")
    assert f"The alerter 'team' could not post to {host}: it answered {reason}." in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(web_server, status, caplog):
    with serving() as elsewhere:
        web_server.status, web_server.location = status, f"{elsewhere.url}/inner"
        assert alerter(web_server).post("hello") is False
        assert elsewhere.asked == []
    assert f"it answered {status}" in caplog.text


def test_a_server_that_does_not_answer(caplog):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/canary"
        assert WebhookAlerter(name="team", url=url, timeout=0.2).post("hello") is False
    assert "timed out" in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/canary",
        "ftp://canary.org",
        "canary.org/x",
        "https://",
        "https:///canary",
        "https://ann:canary@example.org",
        "https://example.org/canary x",
        "https://example.org/canary\r\nX: y",
        "https://example.org:port/canary",
        "https://[canary/",
        "https://canäry.org",
    ],
)
def test_addresses_that_are_refused_without_repeating_them(url, monkeypatch):
    with pytest.raises(
        ConfigurationError, match="  url: (expected a URL|a URL with a user is not supported)"
    ) as error:
        WebhookAlerter(name="team", url=url)
    assert "can" not in str(error.value).partition("\n")[2].replace("cannot", "")
    monkeypatch.setenv("HOOK", url)
    with pytest.raises(ConfigurationError, match="cannot be the url of the alerter 'team'") as error:
        WebhookAlerter(name="team", url="{{env.HOOK}}").post("hello")
    assert "can" not in str(error.value).replace("cannot", "")


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"X Y": "1"}, "'X Y' cannot be the name of a header"),
        ({"X": "1\r\nY: 2"}, "the value of 'X' holds a line break"),
        ({"X": "🌍"}, "the value of 'X' holds a line break, or what Latin-1 does not have"),
        (
            {"Authorization": "canary"},
            "the value of 'Authorization' is a secret: give a reference to it, as in '{{secret.key}}'",
        ),
        ({"X-Api-Key": "canary"}, "the value of 'X-Api-Key' is a secret"),
    ],
)
def test_headers_that_are_refused(web_server, headers, message):
    with pytest.raises(ConfigurationError) as error:
        alerter(web_server, headers=headers)
    assert message in str(error.value)
    assert "canary" not in str(error.value)


def test_a_secret_with_a_line_break_is_no_header(web_server):
    broken = alerter(web_server, headers={"Authorization": "{{hook.token}}"}).bound(
        lambda _name, _key: "canary\nX: y"
    )
    with pytest.raises(
        ConfigurationError, match="'team' cannot send the header 'Authorization': what it refers to holds"
    ) as error:
        broken.post("hello")
    assert "canary" not in str(error.value)
    assert web_server.asked == []


def test_the_address_is_a_secret(web_server):
    assert "canary" not in repr(alerter(web_server))
    with pytest.raises(SecretError, match="holds a secret in clear in: url"):
        alerter(web_server).to_record()
