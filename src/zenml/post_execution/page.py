"""Files with the graph of a run: an SVG drawing, a picture, or a page that one can look around in."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from zenml.exceptions import ConfigurationError, MissingPackageError
from zenml.post_execution.drawing import ACCENTS, FONTS, facts, text, to_svg
from zenml.post_execution.graph import StepNode
from zenml.post_execution.wording import duration, shortened

if TYPE_CHECKING:
    from zenml.post_execution.graph import ArtifactNode, RunGraph

_RESVG = "resvg-py>=0.5"
_ZOOM = 2.0
_LARGEST = 16_000
"""Pixels of a picture's longer side: hardly a program shows more."""
_LEGIBLE = 0.25
_ON_A_PAGE = 20_000
"""Characters of one parameter, error or traceback."""


def draw(graph: RunGraph, file: Path) -> Path:
    """Write the graph to a file: `.svg`, `.html` (a page that needs no network) or `.png`, which takes the library resvg-py.

    Gives the file.

    Raises:
        ConfigurationError: the file's name ends otherwise; for a picture, there is no font, or it would be too large.
        MissingPackageError: resvg-py is not installed.
    """
    kind = file.suffix.lower()
    if kind == ".svg":
        file.write_text(to_svg(graph), encoding="utf-8")
    elif kind == ".html":
        file.write_text(to_html(graph), encoding="utf-8")
    elif kind == ".png":
        file.write_bytes(to_png(graph))
    else:
        raise ConfigurationError(
            f"A graph cannot be drawn to {str(file)!r}: expected a name that ends in .svg, .png or .html."
        )
    return file


def to_png(graph: RunGraph) -> bytes:
    """The drawing, in light, as pixels. Raises what `draw` raises."""
    try:
        from resvg_py import svg_to_bytes
    except ImportError as error:
        raise MissingPackageError(
            f"To draw a PNG takes a library that is not installed: pip install '{_RESVG}'. An .svg or .html file needs none."
        ) from error
    sample, nothing = (svg_to_bytes(svg_string=_SAMPLE.format(letters)) for letters in ("Aa", ""))
    if sample == nothing:
        raise ConfigurationError(
            "A PNG would have no texts: there is no font on this machine. Install one (Debian: fonts-dejavu-core), or draw an .svg file."
        )
    drawing = to_svg(graph)
    zoom = min(_ZOOM, _LARGEST / max(_extent(drawing)))
    if zoom < _LEGIBLE:
        raise ConfigurationError(
            f"A graph of {len(graph.steps)} steps is too large for a picture that one could read: draw an .html or an .svg file."
        )
    return bytes(svg_to_bytes(svg_string=drawing, zoom=zoom))


_SAMPLE = f'<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><text y="15" font-family="{FONTS}">{{}}</text></svg>'


def _extent(drawing: str) -> tuple[float, float]:
    _, _, width, height = drawing.partition('viewBox="')[2].partition('"')[0].split()
    return float(width), float(height)


def to_html(graph: RunGraph) -> str:
    """A page with the drawing. What is clicked shows its details; the page loads nothing, and runs no script but its own."""
    nodes: list[StepNode | ArtifactNode] = [*graph.steps, *graph.artifacts]
    run = graph.run
    took = "" if run.ended is None else f" in {duration(run.ended - run.created)}"
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    legend = "".join(
        f'<li><span style="background:{ACCENTS[status]}"></span>{number} {status}</li>'
        for status, number in graph.counts.items()
    )
    return _PAGE.format(
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        title=text(run.name),
        heading=f"{text(run.name)}: {run.status}{took}",
        subtitle=f"pipeline {text(run.pipeline)}, stack {text(run.stack)}",
        legend=legend,
        drawing=to_svg(graph, linked=True),
        details="\n".join(_details(number, node) for number, node in enumerate(nodes)),
        style=_STYLE,
        script=_SCRIPT,
    )


def _details(number: int, node: StepNode | ArtifactNode) -> str:
    (_, title), *rest = facts(node)
    rows = [
        f"<dt>{text(name)}</dt><dd>{text(shortened(value, _ON_A_PAGE), lines=True)}</dd>"
        for name, value in rest
    ]
    error = node.error if isinstance(node, StepNode) else None
    if error is not None and error.traceback:
        shown = text(shortened(error.traceback, _ON_A_PAGE), lines=True)
        rows.append(f"<dt>traceback</dt><dd><pre>{shown}</pre></dd>")
    return f'<section id="n{number}" tabindex="-1"><h2>{text(title)}</h2><dl>{"".join(rows)}</dl></section>'


_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--faint:#5d646d;--edge:#d4d8de}
@media (prefers-color-scheme:dark){:root{--paper:#15181c;--ink:#e8eaed;--faint:#a3abb5;--edge:#3a4048}}
*{box-sizing:border-box}
body{margin:0;height:100vh;display:flex;flex-direction:column;background:var(--paper);color:var(--ink);
font:14px/1.4 system-ui,'Segoe UI',Helvetica,Arial,sans-serif}
header{padding:10px 16px;border-bottom:1px solid var(--edge);display:flex;flex-wrap:wrap;gap:4px 20px;align-items:baseline}
h1{font-size:16px;margin:0;overflow-wrap:anywhere}
header p,header ul{margin:0;padding:0;color:var(--faint);list-style:none;display:flex;gap:14px}
header span{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:5px}
header div{margin-left:auto}
main{flex:1;display:flex;min-height:0}
#view{flex:1;overflow:auto;cursor:grab}
#view svg{display:block;margin:auto}
#view a:hover .card,#view a:hover .pill,#view a:focus .card,#view a:focus .pill{stroke-width:3;outline:none}
aside{overflow:auto;max-width:42%;border-left:1px solid var(--edge)}
section{display:none;width:26rem;max-width:100%;padding:12px 16px;outline:none}
section:target{display:block}
h2{font-size:15px;margin:0 0 8px;overflow-wrap:anywhere}
dl{margin:0}
dt{color:var(--faint);font-size:12px;margin-top:8px}
dd{margin:0;overflow-wrap:anywhere;white-space:pre-wrap}
pre{font-size:12px;overflow:auto;margin:0;white-space:pre}
"""

_SCRIPT = """
const view = document.getElementById("view"), svg = view.querySelector("svg");
const width = svg.width.baseVal.value, height = svg.height.baseVal.value;
let scale = 1, held = null;
function zoom(factor, x = view.clientWidth / 2, y = view.clientHeight / 2) {
  const next = Math.min(8, Math.max(0.02, scale * factor)), ratio = next / scale;
  const left = (view.scrollLeft + x) * ratio - x, top = (view.scrollTop + y) * ratio - y;
  svg.style.width = width * next + "px"; svg.style.height = height * next + "px";
  scale = next; view.scrollTo(left, top);
}
const actions = {
  in: () => zoom(1.25), out: () => zoom(0.8), full: () => zoom(1 / scale),
  fit: () => zoom(Math.min(view.clientWidth / width, view.clientHeight / height) / scale),
};
for (const button of document.querySelectorAll("button")) button.onclick = actions[button.name];
view.addEventListener("wheel", event => {
  if (!event.ctrlKey && !event.metaKey) return;
  event.preventDefault();
  const box = view.getBoundingClientRect();
  zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15, event.clientX - box.left, event.clientY - box.top);
}, {passive: false});
view.onpointerdown = event => { held = event.pointerType === "mouse" && event.button === 0 ? event : null; };
view.onpointermove = event => { if (held && event.buttons) view.scrollBy(-event.movementX, -event.movementY); };
view.ondragstart = () => false;
view.scrollLeft = (view.scrollWidth - view.clientWidth) / 2;
document.addEventListener("keydown", event => {
  const action = {"+": "in", "-": "out", "0": "full", "f": "fit"}[event.key];
  if (action && !event.ctrlKey && !event.metaKey) actions[action]();
});
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<header><h1>{heading}</h1><p>{subtitle}</p><ul>{legend}</ul>
<div><button name="out" aria-label="smaller">&minus;</button> <button name="in" aria-label="larger">+</button>
<button name="full">1:1</button> <button name="fit">fit</button></div></header>
<main><div id="view">
{drawing}</div><aside aria-live="polite">
{details}
</aside></main>
<script>{script}</script>
</body>
</html>
"""
