"""Views as HTML, for notebooks: small, without scripts, and with nothing from outside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from zenml.post_execution.drawing import ACCENTS, text, to_svg
from zenml.post_execution.preview import preview
from zenml.post_execution.wording import bytes_text, duration, json_text, shortened

if TYPE_CHECKING:
    from datetime import datetime

    from zenml.enums import ExecutionStatus
    from zenml.model.runs import ErrorRecord
    from zenml.post_execution.artifact import ArtifactView
    from zenml.post_execution.pipeline import PipelineView
    from zenml.post_execution.run import PipelineRunView
    from zenml.post_execution.step import StepView

_RUNS = 10
_STEPS = 40
_ARTIFACTS = 20
_LONGEST = 400


def pipeline_html(pipeline: PipelineView) -> str:
    """The latest runs."""
    runs = pipeline.runs
    latest = runs[-_RUNS:][::-1]
    rows = [
        (
            text(run.name),
            _status(run.status),
            _moment(run.start_time),
            duration(run.duration.total_seconds()),
        )
        for run in latest
    ]
    total = len(runs)
    return _block(
        f"Pipeline <b>{text(pipeline.name)}</b>: {total} run{'' if total == 1 else 's'}"
        + (f", the last {len(latest)}:" if total > len(latest) else ""),
        _table(("run", "status", "started", "time"), rows),
    )


def run_html(run: PipelineRunView) -> str:
    """The steps in a table, and the graph where it is not too large to be looked at in a notebook."""
    graph = run.graph
    steps = graph.steps
    if len(steps) > _STEPS:  # what went well is of least interest
        steps = tuple(sorted(steps, key=lambda step: step.status.is_successful)[:_STEPS])
    rows = [
        (
            text(step.label),
            _status(step.status),
            "" if step.seconds is None else duration(step.seconds),
            text(shortened(step.note, _LONGEST)),
        )
        for step in steps
    ]
    parts = [_table(("step", "status", "time", "note"), rows)]
    if len(graph.steps) <= _STEPS:
        parts.append(f'<div style="overflow:auto;max-height:40em">{to_svg(graph)}</div>')
    else:
        parts.append(
            f"<p>{text(graph.summary)} All: <code>zenml pipeline runs graph {text(run.name)} --to run.html</code></p>"
        )
    took = duration(run.duration.total_seconds())
    about = f"of the pipeline {text(run.pipeline_name)} on the stack {text(run.stack_name)}, {took}"
    return _block(f"Run <b>{text(run.name)}</b> {about}: {_status(run.status)}", *parts)


def step_html(step: StepView) -> str:
    """What it got and gave, and how it went."""
    facts: list[tuple[str, str]] = [("status", _status(step.status))]
    if step.is_mapped:
        counts = Counter(instance.status for instance in step.instances)
        shown = ", ".join(f"{number} {status}" for status, number in counts.items())
        facts.append(("instances", shown or "none"))
    if (took := step.duration) is not None:
        facts.append(("time", duration(took.total_seconds())))
    if step.attempts > 1:
        facts.append(("attempts", str(step.attempts)))
    for name, value in step.parameters.items():
        facts.append((f"parameter {text(name)}", _cut(json_text(value))))
    for kind, artifacts in (("input", step.inputs), ("output", step.outputs)):
        listed = list(artifacts.items())
        for name, artifact in listed[:_ARTIFACTS]:
            about = f"{artifact.data_type.rpartition('.')[2]}, {bytes_text(artifact.size)}, {artifact.uri}"
            facts.append((f"{kind} {text(name)}", _cut(about)))
        if len(listed) > _ARTIFACTS:
            facts.append((f"{kind}s", f"and {len(listed) - _ARTIFACTS} more"))
    if step.error is not None:
        facts.append(("error", _error(step.error)))
    if step.reason:
        facts.append(("reason", _cut(step.reason)))
    return _block(f"Step <b>{text(step.label)}</b> of the run {text(step.run.name)}", _table((), facts))


def artifact_html(artifact: ArtifactView) -> str:
    """What it is, where it is, and of small plain values what they are."""
    facts = [
        ("type", text(artifact.data_type)),
        ("size", bytes_text(artifact.size)),
        ("uri", text(artifact.uri)),
        ("digest", text(artifact.digest)),
    ]
    shown = preview(artifact._record, artifact._stores.artifacts)  # noqa: SLF001 - one package
    return _block(f"Artifact <b>{text(artifact.name)}</b> ({text(artifact.type)})", _table((), facts), shown)


def _error(error: ErrorRecord) -> str:
    shown = _cut(f"{error.type}: {error.message}")
    if not error.traceback:
        return shown
    return f"{shown}<details><summary>traceback</summary><pre>{text(error.traceback, lines=True)}</pre></details>"


def _cut(value: str) -> str:
    return text(shortened(value, _LONGEST), lines=True)


def _status(status: ExecutionStatus) -> str:
    return f'<span style="color:{ACCENTS[status]}">&#9632;</span> {status}'


def _moment(time: datetime) -> str:
    return time.isoformat(sep=" ", timespec="seconds")


def _block(heading: str, *parts: str) -> str:
    return f"<div><p>{heading}</p>{''.join(parts)}</div>"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are HTML."""
    head = "".join(f"<th>{column}</th>" for column in columns)
    start = f"<thead><tr>{head}</tr></thead>" if head else ""
    cell = '<td style="text-align:left">'
    body = "".join(f"<tr>{''.join(f'{cell}{value}</td>' for value in row)}</tr>" for row in rows)
    return f"<table>{start}<tbody>{body}</tbody></table>"
