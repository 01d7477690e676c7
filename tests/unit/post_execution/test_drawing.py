"""Drawings of runs: whatever steps are called and say, it stays text."""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graphs import artifact, graph, record, spec
from zenml.enums import ExecutionStatus
from zenml.exceptions import ConfigurationError, MissingPackageError
from zenml.model.deployment import ConditionSpec
from zenml.model.runs import ErrorRecord
from zenml.post_execution.drawing import to_svg
from zenml.post_execution.graph import RunGraph
from zenml.post_execution.page import draw, to_html
from zenml.post_execution.wording import bytes_text, duration, plain, shortened

HOSTILE = "</title></script><script>alert('x')</script>\" onload=\"alert(1)\x00\x1b[31m\u202e&amp;"
SVG = "{http://www.w3.org/2000/svg}"


def parsed(drawing: str) -> ET.Element:
    return ET.fromstring(drawing)  # noqa: S314 - our own


class Page(HTMLParser):
    """What a browser would act on."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


def run_of_all_kinds(text: str = "first") -> RunGraph:
    """A step of each status, mapped ones, and edges of each kind, with `text` wherever users' texts are shown."""
    statuses = [str(status) for status in ExecutionStatus]
    specs = [
        spec(text, outputs=("output", "other")),
        spec("mapped", {text: (text, "output", "items")}, parameters={text: text}),
        spec("gathered", {"all": ("mapped", "output", "all")}),
        spec("waiting", after=(text,), outputs=()),
        spec("conditional", {"x": (text, "other")}, when=ConditionSpec("gathered", "output", ">", 0.9)),
        *(spec(status, {"x": ("gathered", "output")}) for status in statuses),
    ]
    records = [
        record(text, "cached", parameters={text: text, "key": "{{aws.key}}"}, cache_key="c" * 64),
        record("mapped", "failed", error=ErrorRecord(text, f"{text}\nsecond line", text)),
        record("gathered", "skipped", reason=text),
        record("waiting", attempts=3),
        record("conditional", "running", ended=None),
        *(record(status, status) for status in statuses),
    ]
    instances = {"mapped": [record("mapped", "failed" if i < 2 else "completed", i) for i in range(50)]}
    outputs = {text: {"output": artifact(uri=text, data_type=text), "other": artifact("other")}}
    return graph(specs, records, instances=instances, outputs=outputs, name=text, pipeline=text)


def test_statuses_are_told_by_words_and_shapes():
    root = parsed(to_svg(run_of_all_kinds()))
    words = [element.text for element in root.iter(f"{SVG}text")]
    assert {word.split(",")[0] for word in words if word} >= {str(status) for status in ExecutionStatus}
    assert "mapped ×50" in words
    assert "2 failed, 48 completed" in words
    assert "output ×48: int" in words
    shapes = {e.get("d") for e in root.iter(f"{SVG}path") if e.get("stroke-width") == "2"}
    assert len(shapes) == len(ExecutionStatus) - 1, "pending and submitted look the same"


def test_a_drawing_can_be_read_out():
    root = parsed(to_svg(run_of_all_kinds()))
    ids = {e.get("id"): e.text for e in root.iter() if e.get("id")}
    title, description = (ids[id] for id in root.get("aria-labelledby", "").split())
    assert title == "Run 'first' of the pipeline 'first': completed"
    assert description is not None
    assert description.startswith("14 steps: 2 cached, 2 failed, ")


def test_the_pointer_finds_details():
    titles = [e.text for e in parsed(to_svg(run_of_all_kinds())).iter(f"{SVG}title")]
    first = next(title for title in titles if title and title.startswith("step: first"))
    assert first == (
        "step: first\nstatus: cached\ntime: 1.500s\nstarted: 1970-01-01T00:01:40+00:00\n"
        f"parameter first: first\nparameter key: {{{{aws.key}}}}\ncache key: {'c' * 64}"
    )
    assert any(title and "uri: first\ndigest: dddd" in title for title in titles)
    assert {"when gathered > 0.9", "waits for it", "all"} <= set(titles), "of edges"


@given(st.text(st.characters(), min_size=1))
def test_any_text_makes_well_formed_xml(text):
    drawn = to_svg(run_of_all_kinds(text))
    parsed(drawn)
    assert all(c.isprintable() or c == "\n" for c in drawn.replace("\t", ""))


def test_hostile_texts_stay_texts():
    graph = run_of_all_kinds(HOSTILE)
    page, tame = Page(to_html(graph)), Page(to_html(run_of_all_kinds()))
    assert page.tags.count("script") == 1
    assert page.tags == tame.tags
    names = {name for name, _ in page.attributes}
    assert names == {name for name, _ in tame.attributes}
    assert not [name for name in names if name.startswith("on")]
    drawn = parsed(to_svg(graph))
    assert {e.tag for e in drawn.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "title", "desc", "style", "g", "rect", "path", "text")
    }


def test_the_page_is_self_contained():
    page = to_html(run_of_all_kinds())
    found = Page(page)
    links = [value for name, value in found.attributes if name in ("href", "src", "action", "data")]
    assert links
    assert all(re.fullmatch(r"#n\d+", link) for link in links)
    targets = {value for name, value in found.attributes if name == "id"}
    assert {link[1:] for link in links} <= targets
    assert re.findall(r"https?://[^\"'<\s]*", page) == ["http://www.w3.org/2000/svg"]
    assert "@import" not in page
    assert "url(" not in page
    policies = [value for name, value in found.attributes if name == "content"]
    assert any(
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-" in value for value in policies
    )


def test_the_page_has_all_the_details():
    page = to_html(run_of_all_kinds())
    assert "<dt>parameter key</dt><dd>{{aws.key}}</dd>" in page
    assert "<dt>error</dt><dd>first: first\nsecond line</dd>" in page
    assert "<dt>traceback</dt><dd><pre>first</pre></dd>" in page
    assert "<dt>attempts</dt><dd>3</dd>" in page
    assert "<dt>value</dt><dd>the step has not given it</dd>" in page


def test_long_texts_are_cut():
    long = graph([spec("s")], [record("s", parameters={"text": "x" * 1_000_000})])
    assert len(to_svg(long)) < 10_000
    assert len(to_html(long)) < 50_000


def test_a_run_without_steps():
    assert parsed(to_svg(graph([]))).tag == f"{SVG}svg"


# Files


@pytest.mark.parametrize(
    ("name", "start"), [("a.svg", b"<svg"), ("a.HTML", b"<!DOCTYPE"), ("a.png", b"\x89PNG")]
)
def test_files(tmp_path, name, start):
    draw(run_of_all_kinds(), tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_picture_of_a_long_run_has_its_limits(tmp_path):
    specs = [spec("s0"), *(spec(f"s{i}", {"x": (f"s{i - 1}", "output")}) for i in range(1, 1000))]
    draw(graph(specs[:300]), tmp_path / "a.png")
    assert int.from_bytes((tmp_path / "a.png").read_bytes()[20:24], "big") <= 16_000
    with pytest.raises(ConfigurationError) as error:
        draw(graph(specs), tmp_path / "b.png")
    assert str(error.value) == (
        "A graph of 1000 steps is too large for a picture that one could read: draw an .html or an .svg file."
    )


def test_a_kind_of_file_that_nobody_draws(tmp_path):
    with pytest.raises(ConfigurationError) as error:
        draw(run_of_all_kinds(), Path("run.pdf"))
    assert str(error.value) == (
        "A graph cannot be drawn to 'run.pdf': expected a name that ends in .svg, .png or .html."
    )


def test_a_png_without_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(MissingPackageError) as error:
        draw(run_of_all_kinds(), tmp_path / "a.png")
    assert str(error.value) == (
        "To draw a PNG takes a library that is not installed: pip install 'resvg-py>=0.5'. An .svg or .html file needs none."
    )
    assert not (tmp_path / "a.png").exists()


def test_a_png_without_a_font(tmp_path, monkeypatch):
    import resvg_py

    monkeypatch.setattr(resvg_py, "svg_to_bytes", lambda **_: b"\x89PNG")
    with pytest.raises(ConfigurationError, match=r"there is no font on this machine\. Install one"):
        draw(run_of_all_kinds(), tmp_path / "a.png")


# Words


def test_words():
    assert [duration(s) for s in (0.0614, 59.9, 61, 3725, 90061)] == [
        "0.061s",
        "59.900s",
        "1m1s",
        "1h2m5s",
        "1d1h1m1s",
    ]
    assert [bytes_text(n) for n in (0, 999, 1000, 1_500_000, 10**15)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "1.5 MB",
        "1000.0 TB",
    ]
    assert plain("a\x1b[0m\nb\u202e") == "a\\x1b[0m\\nb\\u202e"
    assert plain("a\tb\nc\r", lines=True) == "a\tb\nc\\r"
    assert shortened("abcdef", 4) == "abc…"
