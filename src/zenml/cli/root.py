"""The group `zenml`: every command by name, imported when it is called."""

from __future__ import annotations

from functools import partial

import click

from zenml._version import __version__
from zenml.cli.groups import Entry, LazyGroup, dashed, entry
from zenml.cli.terminal import Terminal
from zenml.enums import StackComponentType


def _component(type_: StackComponentType) -> click.Command:
    from zenml.cli.component import component_group

    return component_group(type_)


_ENTRIES = {
    **{
        dashed(type_.value): Entry(
            "Stack Components",
            f"Register and manage {type_.plural.replace('_', ' ')}.",
            partial(_component, type_),
        )
        for type_ in StackComponentType
    },
    "served-models": entry(
        "Model Deployment", "zenml.cli.served_models:served_models", "See and control the servers of models."
    ),
    "integration": entry(
        "Integrations",
        "zenml.cli.integration:integration",
        "Install what integrations with other libraries need.",
    ),
    "pipeline": entry("Management Tools", "zenml.cli.pipeline:pipeline", "Run pipelines, and see what ran."),
    "artifact": entry(
        "Management Tools", "zenml.cli.artifact:artifact", "See, verify and copy the values that steps gave."
    ),
    "prune": entry(
        "Management Tools", "zenml.cli.prune:prune", "Remove values that need not be kept, by way of a trash."
    ),
    "schedule": entry(
        "Management Tools", "zenml.cli.schedule:schedule", "Run pipelines at their times, and see which."
    ),
    "stack": entry("Management Tools", "zenml.cli.stack:stack", "Put components together to stacks."),
    "profile": entry(
        "Identity and Security", "zenml.cli.profile:profile", "Keep several isolated sets of stacks."
    ),
    "secret": entry(
        "Identity and Security", "zenml.cli.secret:secret", "Manage the secrets of the active stack."
    ),
    "completion": entry(
        "Other Commands",
        "zenml.cli.completion:completion",
        "Print the script that completes commands in a shell.",
    ),
    "init": entry("Other Commands", "zenml.cli.init:init", "Make a folder a repository."),
    "status": entry(
        "Other Commands", "zenml.cli.status:status", "Show what is active, and which setting decided it."
    ),
    "version": entry("Other Commands", "zenml.cli.version:version", "Print the version."),
}


@click.group(
    cls=LazyGroup,
    entries=_ENTRIES,
    context_settings={"token_normalize_func": dashed},
    epilog="Each command has --help. Options may be spelled with dashes or underscores.",
)
@click.version_option(
    __version__, "-v", "--version", message="%(prog)s, version %(version)s", prog_name="zenml"
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Write machine-learning pipelines once, run them on any stack.

    A stack is a set of components: an orchestrator, an artifact store, a metadata store, and whatever else your pipelines
    need. Start with `zenml init` in your project's folder; `zenml status` shows what is active.
    """
    terminal = ctx.ensure_object(Terminal)
    ctx.with_resource(terminal.listening())
