"""The graph of a run as SVG: readable without color, in light and in dark, with details where the pointer rests."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from datetime import datetime, timezone
from html import escape
from typing import TYPE_CHECKING

from zenml.enums import ExecutionStatus
from zenml.post_execution.graph import StepNode, first_line
from zenml.post_execution.layout import layered, ranks
from zenml.post_execution.wording import bytes_text, duration, json_text, plain, shortened

if TYPE_CHECKING:
    from zenml.post_execution.graph import ArtifactNode, RunGraph
    from zenml.post_execution.layout import Line

ACCENTS = {
    ExecutionStatus.PENDING: "#8a8f98",
    ExecutionStatus.SUBMITTED: "#8a8f98",
    ExecutionStatus.RUNNING: "#0072b2",
    ExecutionStatus.COMPLETED: "#009e73",
    ExecutionStatus.CACHED: "#3a9bd6",
    ExecutionStatus.FAILED: "#d55e00",
    ExecutionStatus.SKIPPED: "#8a8f98",
    ExecutionStatus.CANCELLED: "#c78500",
    ExecutionStatus.CRASHED: "#b5548d",
}
"""A color for each status, for white and black ground: after Okabe and Ito, whom the color-blind can tell apart."""

# Each in a square of 12 by 12.
_SHAPES = {
    ExecutionStatus.PENDING: "M2 6h.1M6 6h.1M10 6h.1",
    ExecutionStatus.SUBMITTED: "M2 6h.1M6 6h.1M10 6h.1",
    ExecutionStatus.RUNNING: "M3 1.5v9l7-4.5z",
    ExecutionStatus.COMPLETED: "M1.5 6.5l3 3.5 6-8",
    ExecutionStatus.CACHED: "M1 6.5l2.5 3 5-7M6.5 9.5l4.5-6.5",
    ExecutionStatus.FAILED: "M2 2l8 8M10 2l-8 8",
    ExecutionStatus.SKIPPED: "M1.5 2.5l4 3.5-4 3.5M6 2.5l4 3.5-4 3.5",
    ExecutionStatus.CANCELLED: "M2 2h8v8h-8z",
    ExecutionStatus.CRASHED: "M7 0.5l-4 6h5l-3.5 5.5",
}

_PAPER, _INK, _FAINT, _LINE, _CARD, _PILL = "#ffffff", "#1c2024", "#5d646d", "#9aa1ab", "#ffffff", "#f1f3f6"
_DARK = (
    ".zenml-graph .paper{fill:#15181c}.zenml-graph text{fill:#e8eaed}.zenml-graph .faint{fill:#a3abb5}"
    ".zenml-graph .card{fill:#1f2328}.zenml-graph .pill{fill:#2a2f36;stroke:#565d67}.zenml-graph .line{stroke:#6f7782}"
    ".zenml-graph .tip{fill:#6f7782}"
)
FONTS = "system-ui,'Segoe UI',Helvetica,Arial,'Noto Sans','Liberation Sans','DejaVu Sans',Ubuntu,sans-serif"
_STYLE = (
    f".zenml-graph text{{font-family:{FONTS};font-size:12px}}"
    ".zenml-graph .name{font-weight:bold}.zenml-graph .small{font-size:11px}"
    ".zenml-graph .line{fill:none;stroke-width:1.2}.zenml-graph .after{stroke-dasharray:6 4}.zenml-graph .when{stroke-dasharray:2 3}"
    ".zenml-graph .absent{stroke-dasharray:3 3}"
    f"@media (prefers-color-scheme:dark){{{_DARK}}}"
)

_MARGIN = 16.0
_LONGEST = 34
"""Cells of text in a box."""
_CELL = 7.4
_LINE_HEIGHT = 17.0
_IN_A_TOOLTIP = 300


def to_svg(graph: RunGraph, *, linked: bool = False) -> str:
    """The drawing as an SVG document, which needs nothing else.

    With `linked`, the steps and artifacts are links to "#n0", "#n1" ..., counted in the order of the graph, steps first.
    """
    nodes: list[StepNode | ArtifactNode] = [*graph.steps, *graph.artifacts]
    index = {node.id: position for position, node in enumerate(nodes)}
    texts = [*map(_step_texts, graph.steps), *map(_artifact_texts, graph.artifacts)]
    sizes = [_step_size(lines) for lines in texts[: len(graph.steps)]]
    sizes += [_artifact_size(lines) for lines in texts[len(graph.steps) :]]
    edges = [(index[edge.source], index[edge.target]) for edge in graph.edges]
    layout = layered(sizes, _layers(graph, index), edges)
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    key = f"zenml-{graph.run.uuid}"
    title = f"Run '{graph.run.name}' of the pipeline '{graph.run.pipeline}': {graph.run.status}"
    size = f'width="{_n(width)}" height="{_n(height)}" viewBox="0 0 {_n(width)} {_n(height)}"'
    role = "group" if linked else "img"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="zenml-graph" role="{role}" aria-labelledby="{key}-t {key}-d" {size}>',
        f'<title id="{key}-t">{text(title)}</title><desc id="{key}-d">{text(graph.summary)}</desc>',
        f"<style>{_STYLE}</style>",
        f'<rect class="paper" width="100%" height="100%" fill="{_PAPER}"/>',
        f'<g transform="translate({_n(_MARGIN)} {_n(_MARGIN)})">',
        *(_line(graph, line) for line in layout.lines),
    ]
    for number, (node, lines, corner, box) in enumerate(
        zip(nodes, texts, layout.corners, sizes, strict=True)
    ):
        drawn = _step(node, lines, box) if isinstance(node, StepNode) else _artifact(node, lines, box)
        about = "\n".join(f"{name}: {shortened(value, _IN_A_TOOLTIP)}" for name, value in facts(node))
        parts += [
            f'<a href="#n{number}" aria-label="{text(node.label)}">' if linked else "",
            f'<g transform="translate({_n(corner[0])} {_n(corner[1])})"><title>{text(about, lines=True)}</title>',
            *drawn,
            "</g></a>" if linked else "</g>",
        ]
    return "\n".join([*parts, "</g></svg>"]) + "\n"


def facts(node: StepNode | ArtifactNode) -> Iterator[tuple[str, str]]:
    """What there is to say about a step or an artifact: names and texts, as they were recorded."""
    return _step_facts(node) if isinstance(node, StepNode) else _artifact_facts(node)


def text(value: object, *, lines: bool = False) -> str:
    """Text for the inside of an element or of an attribute in double quotes."""
    return escape(plain(value, lines=lines))


def _step_facts(step: StepNode) -> Iterator[tuple[str, str]]:
    yield "step", step.label
    yield "status", str(step.status)
    if step.instances is not None:
        yield "instances", step.counts or "none"
    if step.entrypoint_name != step.name:
        yield "code", step.entrypoint_name
    if step.seconds is not None:
        yield "time", duration(step.seconds)
    if step.started is not None:
        yield "started", datetime.fromtimestamp(step.started, timezone.utc).isoformat(timespec="seconds")
    if step.attempts > 1:
        yield "attempts", str(step.attempts)
    for name, value in step.parameters.items():
        yield f"parameter {name}", json_text(value)
    if step.error is not None:
        yield "error", f"{step.error.type}: {step.error.message}"
    if step.reason:
        yield "reason", step.reason
    if step.cache_key:
        yield "cache key", step.cache_key


def _artifact_facts(artifact: ArtifactNode) -> Iterator[tuple[str, str]]:
    yield "artifact", f"{artifact.label} of {artifact.step}"
    value = artifact.value
    yield "type", value.data_type if value else artifact.annotation
    if value is not None:
        yield "size", bytes_text(value.size)
        yield "uri", value.uri
        yield "digest", value.digest
        yield "from the cache", "yes" if artifact.is_cached else "no"
        if artifact.is_removed:
            yield "removed", "its files are gone"
    elif artifact.count is None:
        yield "value", "the step has not given it"


def _layers(graph: RunGraph, index: dict[str, int]) -> list[int]:
    """Steps in every other layer, their artifacts below them."""
    position = {step.name: i for i, step in enumerate(graph.steps)}
    of_artifact = {artifact.id: position[artifact.step] for artifact in graph.artifacts}
    between = [
        (of_artifact.get(edge.source, index[edge.source]), index[edge.target])
        for edge in graph.edges
        if edge.kind != "output"
    ]
    rank = ranks(len(graph.steps), between)
    return [2 * r for r in rank] + [2 * rank[position[a.step]] + 1 for a in graph.artifacts]


def _step_texts(step: StepNode) -> list[str]:
    state = [str(step.status)]
    if step.seconds is not None:
        state.append(duration(step.seconds))
    if step.attempts > 1:
        state.append(f"{step.attempts} attempts")
    lines = [step.label, ", ".join(state)]
    if step.counts:
        lines.append(step.counts)
    if note := _note(step):
        lines.append(note)
    return [_fitted(line) for line in lines]


def _note(step: StepNode) -> str:
    if step.error is not None:
        return first_line(step.error)
    return step.reason or "" if step.status is ExecutionStatus.SKIPPED else ""


def _artifact_texts(artifact: ArtifactNode) -> list[str]:
    return [_fitted(f"{artifact.label}: {artifact.type_name}" if artifact.type_name else artifact.label)]


def _step_size(lines: list[str]) -> tuple[float, float]:
    return max(max(map(_cells, lines)) * _CELL + 44, 110), len(lines) * _LINE_HEIGHT + 14


def _artifact_size(lines: list[str]) -> tuple[float, float]:
    return _cells(lines[0]) * _CELL * 0.92 + 24, 24.0


def _step(step: StepNode, lines: list[str], size: tuple[float, float]) -> Iterator[str]:
    accent, (width, height) = ACCENTS[step.status], size
    box = f'width="{_n(width)}" height="{_n(height)}" rx="6" stroke="{accent}" stroke-width="1.5"'
    if step.instances is not None:
        for behind in (6, 3):
            yield f'<rect class="card" x="{behind}" y="{behind}" {box} fill="{_CARD}"/>'
    yield f'<rect class="card" {box} fill="{_CARD}"/>'
    yield f'<rect width="5" height="{_n(height)}" rx="2.5" fill="{accent}"/>'
    fill = accent if step.status is ExecutionStatus.RUNNING else "none"
    yield (
        f'<path transform="translate(14 13)" d="{_SHAPES[step.status]}" fill="{fill}" stroke="{accent}"'
        ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round"/>'
    )
    for number, line in enumerate(lines):
        look = f'class="name" fill="{_INK}"' if not number else f'class="faint" fill="{_FAINT}"'
        yield f'<text x="34" y="{_n(23 + number * _LINE_HEIGHT)}" {look}>{text(line)}</text>'


def _artifact(artifact: ArtifactNode, lines: list[str], size: tuple[float, float]) -> Iterator[str]:
    look = "pill" if artifact.exists else "pill absent"
    yield (
        f'<rect class="{look}" width="{_n(size[0])}" height="{_n(size[1])}" rx="12" fill="{_PILL}" stroke="{_LINE}"/>'
    )
    look = f'class="small" fill="{_INK}"' if artifact.exists else f'class="small faint" fill="{_FAINT}"'
    yield f'<text x="12" y="16" {look}>{text(lines[0])}</text>'


def _line(graph: RunGraph, line: Line) -> str:
    edge = None if line.edge is None else graph.edges[line.edge]
    # What begins at a step and is no end of an edge is on its way from a step to one that only waits for it.
    kind = edge.kind if edge else "after" if line.source < len(graph.steps) else "input"
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = line.points
    middle = (y1 + y2) / 2
    path = (
        f"M{_n(x0)} {_n(y0)}V{_n(y1)}C{_n(x1)} {_n(middle)} {_n(x2)} {_n(middle)} {_n(x2)} {_n(y2)}V{_n(y3)}"
    )
    look = f"line {kind}" if kind in ("after", "when") else "line"
    drawn = f'<path class="{look}" d="{path}" stroke="{_LINE}" fill="none"/>'
    if edge is None or kind == "output":
        return drawn
    tip = f'<path class="tip" d="M{_n(x3 - 3.5)} {_n(y3 - 7)}h7l-3.5 7z" fill="{_LINE}"/>'
    about = f"when {edge.name}" if kind == "when" else edge.name or "waits for it"
    return f"<g><title>{text(about)}</title>{drawn}{tip}</g>"


def _fitted(line: str) -> str:
    """The text in at most as many cells as a box has."""
    shown = plain(line)
    if _cells(shown) <= _LONGEST:
        return shown
    while _cells(shown) >= _LONGEST:
        shown = shown[: min(_LONGEST, len(shown)) - 1]
    return shown + "…"


def _cells(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in line)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
