"""`zenml pipeline runs graph`: the steps and artifacts of a run, in the terminal or drawn to a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from zenml.cli.session import active_run
from zenml.cli.terminal import Terminal, output_option, pass_terminal

if TYPE_CHECKING:
    from rich.text import Text
    from rich.tree import Tree

    from zenml.post_execution.graph import ArtifactNode, RunGraph, StepNode

_COLUMNS_OF_A_LEVEL = 4
_COLUMNS_OF_A_STEP = 48
_UNLIMITED = 1000
_DEEPEST = 16


@click.command("graph")
@click.argument("name", metavar="RUN_NAME")
@click.option(
    "--to",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the graph to this file: .svg, .html (a page to look around in) or .png.",
)
@output_option
@pass_terminal
def graph(terminal: Terminal, name: str, file: Path | None) -> None:
    """Show how the steps of a run hang together, and what they gave.

    In the tree, a step stands below one that it waits for; where it waits for several, the others refer to it.
    """
    run = active_run(terminal, name)
    if file is not None:
        terminal.say(f"The graph of the run '{name}' is in {run.draw(file)}.")
    elif terminal.output == "table":
        width = terminal.width or _UNLIMITED
        click.echo(tree_text(run.graph, width, colored=terminal.is_interactive), nl=False)
    else:
        terminal.show(run.graph.to_document(), None)


def tree_text(graph: RunGraph, width: int, *, colored: bool) -> str:
    """The graph as a tree, at most `width` columns wide."""
    from rich.console import Console

    console = Console(width=width, force_terminal=colored, color_system="auto" if colored else None)
    with console.capture() as capture:
        console.print(_tree(graph, min(_DEEPEST, (width - _COLUMNS_OF_A_STEP) // _COLUMNS_OF_A_LEVEL)))
    return capture.get()


def _tree(graph: RunGraph, deepest: int) -> Tree:
    """Each step once, below the first one that it waits for; what would stand too deep begins a branch of its own."""
    from rich.tree import Tree

    steps = {step.id: step for step in graph.steps}
    artifacts: dict[str, list[ArtifactNode]] = {}
    for artifact in graph.artifacts:
        artifacts.setdefault(artifact.step, []).append(artifact)
    following, waiting = _dependants(graph)
    root = Tree(_line(f"{graph.run.name}: {graph.run.status}", "bold"))
    shown: set[str] = set()
    later = [step for step in steps if step not in waiting]
    for first in later:  # grows while it is read
        stack = [(first, root, 0)]
        while stack:
            id, above, depth = stack.pop()
            step = steps[id]
            if id in shown:
                above.add(_line(f"→ {step.label} (above)", "dim"))
                continue
            if depth > max(deepest, 1):
                above.add(_line(f"→ {step.label} (below)", "dim"))
                if id not in later:
                    later.append(id)
                continue
            shown.add(id)
            branch = above.add(_step(step, None if depth else waiting.get(id)))
            for artifact in artifacts.get(step.name, ()):
                branch.add(_artifact(artifact))
            stack += [(next_, branch, depth + 1) for next_ in reversed(following.get(id, ()))]
    return root


def _dependants(graph: RunGraph) -> tuple[dict[str, list[str]], dict[str, str]]:
    """The steps that wait for each step, by id; and for each step that waits, the name of one that it waits for."""
    owner = {artifact.id: artifact.step for artifact in graph.artifacts}
    names = {step.id: step.name for step in graph.steps} | owner
    following: dict[str, dict[str, None]] = {}
    waiting: dict[str, str] = {}
    for edge in graph.edges:
        if edge.kind != "output":
            name = names[edge.source]
            following.setdefault(f"step:{name}", {})[edge.target] = None
            waiting.setdefault(edge.target, name)
    return {id: list(targets) for id, targets in following.items()}, waiting


def _step(step: StepNode, after: str | None) -> Text:
    from zenml.cli.progress import style_of
    from zenml.post_execution.graph import first_line
    from zenml.post_execution.wording import duration, plain

    line = _line(step.label, "bold")
    if after is not None:
        line.append(f" (after {plain(after)})", "dim")
    line.append(": ")
    line.append(step.counts or str(step.status), style_of(step.status))
    facts = []
    if step.seconds is not None:
        facts.append(duration(step.seconds))
    if step.attempts > 1:
        facts.append(f"{step.attempts} attempts")
    line.append("".join(f", {fact}" for fact in facts))
    note = first_line(step.error) if step.error else step.reason
    if note:
        line.append(f" - {plain(note)}", "dim")
    return line


def _artifact(artifact: ArtifactNode) -> Text:
    from zenml.post_execution.wording import bytes_text

    line = f"• {artifact.label}"
    if artifact.type_name:
        line += f": {artifact.type_name}"
    if artifact.value is not None:
        line += f", {bytes_text(artifact.value.size)}"
    missing = "removed" if artifact.is_removed else "not there"
    return _line(line if artifact.exists else f"{line}, {missing}", "dim")


def _line(text: str, style: str) -> Text:
    from rich.text import Text

    from zenml.post_execution.wording import plain

    return Text.assemble((plain(text), style), no_wrap=True, overflow="ellipsis")
