"""Whatever a text does to a secret that it holds, the secret is not in what is shown of it."""

from __future__ import annotations

import base64
import html
import json
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.known_secrets import forget
from zenml.secret import ArbitrarySecretSchema
from zenml.secret.known import Redactor, redact, remember
from zenml.secret.references import resolve

FORMS: dict[str, Callable[[str, str, str], str]] = {
    "raw": lambda before, value, after: before + value + after,
    "quoted": lambda before, value, after: quote(before + value + after, safe=""),
    "quoted, with slashes": lambda before, value, after: quote(before + value + after),
    "in a query": lambda before, value, after: urlencode({"a": before + value + after}),
    "json": lambda before, value, after: json.dumps([before + value + after]),
    "json in utf-8": lambda before, value, after: json.dumps([before + value + after], ensure_ascii=False),
    "json in json": lambda before, value, after: json.dumps(json.dumps([before + value + after])),
    "python": lambda before, value, after: repr([before + value + after]),
    "bytes": lambda before, value, after: repr((before + value + after).encode()),
    "html": lambda before, value, after: html.escape(before + value + after),
    "hex": lambda before, value, after: (before + value + after).encode().hex(),
    "base64": lambda before, value, after: base64.b64encode((before + value + after).encode()).decode(),
    "base64 for URLs": lambda before, value, after: base64.urlsafe_b64encode(
        (before + value + after).encode()
    ).decode(),
    "quoted base64": lambda before, value, after: quote(
        base64.b64encode((before + value + after).encode()), safe=""
    ),
}


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=8, max_size=40).map(
    lambda text: f"c{text}y"
)
AROUND = st.text("xyz .,", max_size=5)


@pytest.mark.parametrize("form", FORMS)
@given(value=VALUES, before=AROUND, after=AROUND)
def test_a_value_is_found_in_every_form_at_every_place(
    form: str, value: str, before: str, after: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forget(patch)
        remember([value])
        text = FORMS[form](before, value, after)
        shown = redact(text)
        assert shown != text
        assert "***" in shown
        # What is left are the characters around it, and in base64 those that hold bits of both.
        assert len(shown) <= len(FORMS[form](before, "", after)) + 3 + 8


@example(
    value="c0000000\x85y", pieces=[8], before="", after=""
)  # no end of a line, though Python splits there
@given(value=VALUES, pieces=st.lists(st.integers(0, 60), max_size=6), before=AROUND, after=AROUND)
def test_a_value_is_found_wherever_a_text_is_split(
    value: str, pieces: list[int], before: str, after: str
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        forget(patch)
        remember([value])
        text = f"{before}{value}{after}{value}"
        cuts = [0, *sorted(min(cut, len(text)) for cut in pieces), len(text)]
        redactor = Redactor()
        shown = "".join(redactor.feed(text[a:b]) for a, b in pairwise(cuts))
        assert shown + redactor.finish() == redact(text)


def test_what_is_held_back_comes_when_it_is_no_secret() -> None:
    remember(["password-of-all"])
    redactor = Redactor()
    assert redactor.feed("the passw") == "the "
    assert redactor.feed("age") == "passwage"
    assert redactor.feed("password-of-al") == ""
    assert redactor.finish() == "password-of-al"


@pytest.mark.parametrize("value", ["", "abc", "12345", "true", "default", " on ", "localhost"])
def test_values_that_would_blacken_every_log_are_not_redacted(value: str) -> None:
    remember([value])
    text = f"a text with {value} in it, and true, default, localhost, 12345, abc, on"
    assert redact(text) == text


@pytest.mark.parametrize("value", ["abcd", "123456", " with spaces\n", "übermut"])
def test_values_from_four_characters_on_are(value: str) -> None:
    remember([value])
    assert redact(f"<{value.strip()}>") == "<***>"


def test_each_line_of_a_key_counts() -> None:
    remember(["-----BEGIN KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEFAASC\n-----END KEY-----\n"])
    assert redact("line by line: hkiG9w0BAQEFAASC") == "line by line: ***"


def test_the_longest_value_wins() -> None:
    remember(["secret-1", "secret-12345"])
    assert redact("secret-12345 secret-1") == "*** ***"


def test_secrets_and_references_are_known_when_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    ArbitrarySecretSchema(name="service", token="value-of-a-secret")  # type: ignore[call-arg]
    monkeypatch.setenv("SOME_TOKEN", "value-of-a-variable")
    resolve("{{env.SOME_TOKEN}} {{other.token}}", lambda name, key: "value-from-elsewhere")
    shown = redact("value-of-a-secret value-of-a-variable value-from-elsewhere")
    assert shown == "*** *** ***"


def test_the_error_that_ends_a_program_is_shown_without_secrets() -> None:
    program = "from zenml.secret.known import remember; remember(['hunter2-hunter2']); raise ValueError('it is hunter2-hunter2')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("ValueError: it is ***\n")
    assert "hunter2-hunter2" not in done.stderr
