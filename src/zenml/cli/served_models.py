"""`zenml served-models`: the servers of the active stack's model deployer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from zenml.cli.groups import Group
from zenml.cli.session import Session
from zenml.cli.tables import Table
from zenml.cli.terminal import Terminal, output_option, pass_terminal
from zenml.exceptions import DoesNotExistException

if TYPE_CHECKING:
    from zenml.model_deployers import BaseModelDeployer
    from zenml.services import BaseService

_uuid = click.argument("uuid", metavar="SERVED_MODEL_UUID", type=click.UUID)
_timeout = click.option(
    "-t",
    "--timeout",
    type=click.IntRange(min=0),
    default=300,
    show_default=True,
    help="Seconds to wait; 0 does not.",
)
_yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")
_force = click.option("--force", is_flag=True, help="Do not wait for it to end by itself.")


@click.group("served-models", cls=Group)
def served_models() -> None:
    """See and control the servers of models.

    They belong to the model deployer of the active stack.
    """


@served_models.command("list")
@click.option("-p", "--pipeline", metavar="NAME", help="Only those that this pipeline deployed.")
@click.option("-s", "--step", metavar="NAME", help="Only those that this step deployed.")
@click.option("-r", "--pipeline-run", metavar="NAME", help="Only those that this run deployed.")
@click.option("-m", "--model", metavar="NAME", help="Only those of this model.")
@click.option("--running", is_flag=True, help="Only those that answer now.")
@output_option
@pass_terminal
def list_(  # noqa: PLR0917 - click passes all but the first by name
    terminal: Terminal,
    /,
    pipeline: str | None,
    step: str | None,
    pipeline_run: str | None,
    model: str | None,
    running: bool,
) -> None:
    """List the servers."""
    services = _deployer(terminal).find_model_server(
        running=running,
        pipeline_name=pipeline,
        pipeline_step_name=step,
        pipeline_run_id=pipeline_run,
        model_name=model,
    )
    documents = [_document(service) for service in services]
    keys = ("status", "uuid", "pipeline_name", "pipeline_step_name", "model_name")
    rows = [[document[key] for key in keys] for document in documents]
    table = Table([key.upper() for key in keys], rows) if rows else None
    terminal.show(documents, table, "No served models found.")


@served_models.command()
@_uuid
@output_option
@pass_terminal
def describe(terminal: Terminal, uuid: UUID) -> None:
    """Show one server."""
    deployer = _deployer(terminal)
    service = deployer.get_model_server(uuid)
    document = _document(service) | deployer.get_model_server_info(service)
    rows = [(key.upper(), value) for key, value in sorted(document.items())]
    title = f"Properties of Served Model {uuid}"
    terminal.show(document, Table(("MODEL SERVICE PROPERTY", "VALUE"), rows, title=title))


@served_models.command("get-url")
@_uuid
@pass_terminal
def get_url(terminal: Terminal, uuid: UUID) -> None:
    """Print the URL that answers requests."""
    service = _deployer(terminal).get_model_server(uuid)
    url = getattr(service, "prediction_url", None)
    if url is None:
        raise DoesNotExistException(f"The served model {uuid} has no URL: it is {service.status.state}.")
    click.echo(url)


@served_models.command()
@_uuid
@_timeout
@pass_terminal
def start(terminal: Terminal, uuid: UUID, timeout: int) -> None:
    """Start a server that was stopped."""
    _deployer(terminal).start_model_server(uuid, timeout=timeout)
    terminal.say(f"Started served model {uuid}.")


@served_models.command()
@_uuid
@_timeout
@_yes
@_force
@pass_terminal
def stop(terminal: Terminal, uuid: UUID, timeout: int, yes: bool, force: bool) -> None:
    """Stop a server; it can be started again."""
    deployer = _deployer(terminal)
    deployer.get_model_server(uuid)
    if not terminal.confirm(
        f"This will stop served model {uuid}. Are you sure you want to proceed?", yes=yes
    ):
        terminal.say("Stopping canceled.")
        return
    deployer.stop_model_server(uuid, timeout=timeout, force=force)
    terminal.say(f"Stopped served model {uuid}.")


@served_models.command()
@_uuid
@_timeout
@_yes
@_force
@pass_terminal
def delete(terminal: Terminal, uuid: UUID, timeout: int, yes: bool, force: bool) -> None:
    """Stop a server and forget it."""
    deployer = _deployer(terminal)
    deployer.get_model_server(uuid)
    if not terminal.confirm(
        f"This will delete served model {uuid}. Are you sure you want to proceed?", yes=yes
    ):
        terminal.say("Deletion canceled.")
        return
    deployer.delete_model_server(uuid, timeout=timeout, force=force)
    terminal.say(f"Deleted served model {uuid}.")


@served_models.command()
@_uuid
@click.option("-f", "--follow", is_flag=True, help="Go on with what is written later, until Ctrl-C.")
@click.option("-t", "--tail", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@pass_terminal
def logs(terminal: Terminal, uuid: UUID, follow: bool, tail: int | None) -> None:
    """Print the log of a server."""
    for line in _deployer(terminal).get_model_server_logs(uuid, follow=follow, tail=tail):
        click.echo(line.rstrip("\n"))


def _deployer(terminal: Terminal) -> BaseModelDeployer:
    stack = Session.open(terminal, header=False).repository.active_stack
    if stack.model_deployer is None:
        raise DoesNotExistException(
            f"The active stack '{stack.name}' has no model deployer. Register one with "
            f"`zenml model-deployer register NAME --flavor=local` and add it with `zenml stack update {stack.name} -d NAME`."
        )
    return stack.model_deployer


def _document(service: BaseService) -> dict[str, Any]:
    config = service.config
    return {
        "status": service.status.state.value,
        "uuid": str(service.uuid),
        "pipeline_name": config.pipeline_name,
        "pipeline_step_name": config.pipeline_step_name,
        "model_name": getattr(config, "model_name", ""),
    }
