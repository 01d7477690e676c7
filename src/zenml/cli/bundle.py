"""`zenml pipeline runs export` and `import`."""

from __future__ import annotations

import click

from zenml.cli.session import active_run, active_stack
from zenml.cli.tables import amount
from zenml.cli.terminal import Terminal, pass_terminal


@click.command("export")
@click.argument("name", metavar="RUN")
@click.option("--to", "path", required=True, metavar="FILE", help="The file to write, as in run.zip.")
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@pass_terminal
def export(terminal: Terminal, name: str, path: str, overwrite: bool) -> None:
    """Write a run that has ended to one file: plan, parameters, environment, statuses, logs and values, with digests.

    `zenml pipeline runs import` reads it on another machine. It holds no secrets, but whatever the values and logs hold.
    """
    run = active_run(terminal, name)
    file = run.export(path, overwrite=overwrite)
    terminal.say(f"Exported run '{name}' to {str(file)!r} ({amount(file.stat().st_size)}).")


@click.command("import")
@click.argument("path", metavar="FILE", type=click.Path(exists=True, dir_okay=False))
@click.option("--name", metavar="RUN", help="Another name for the run.")
@click.option(
    "--max-size", metavar="SIZE", help="How much its values and logs may have: 100GB. [default: 50GB]"
)
@pass_terminal
def import_(terminal: Terminal, path: str, name: str | None, max_size: str | None) -> None:
    """Record a run from a file that `zenml pipeline runs export` has written, with the values, on the active stack.

    Every digest is checked first: it is recorded whole, or not at all. Its results are never taken from the cache. Reading one of its
    values runs the code of its materializer, that of a pickle included: do so if you trust whoever made the file.
    """
    from zenml.exceptions import StepInterfaceError
    from zenml.post_execution import import_run
    from zenml.post_execution.bundle import MAX_SIZE
    from zenml.steps.resources import size_in_bytes

    try:
        limit = size_in_bytes(max_size)
    except StepInterfaceError:
        raise click.BadParameter(
            f"{max_size!r} is no size; expected a number of bytes, or text like 4GB.", param_hint="--max-size"
        ) from None
    stack = active_stack(terminal)
    run = import_run(
        stack.metadata_store,
        stack.artifact_store,
        path,
        name=name,
        max_size=MAX_SIZE if limit is None else limit,
    )
    terminal.say(
        f"Imported run '{run.name}' of the pipeline '{run.pipeline_name}': {run.status}, {len(run.steps)} steps."
    )
