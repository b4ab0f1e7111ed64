"""`benito plan`: what an experiment would be, without root and without touching anything."""

import typer
from rich.console import Console

from benito.model import Kind
from benito.policy import AddressRule
from benito_cli import options


def plan(
    file: options.File,
    name: options.Name = None,
    project: options.Project = "lab",
    default_container: options.DefaultContainer = Kind.OPENVZ,
    packing: options.Packing = None,
    force_partition: options.ForcePartition = False,
    addressing: options.Addressing = AddressRule.CONTAINERS,
    json: options.Json = False,
) -> None:
    """Show the nodes, addresses, links and places of FILE's experiment. Needs no root, changes nothing."""
    from benito_cli import documents, tables

    experiment = options.read_experiment(
        file,
        name=name,
        project=project,
        default_container=default_container,
        packing=packing,
        force_partition=force_partition,
        addressing=addressing,
    )
    if json:
        typer.echo(documents.to_text(documents.plan_document(experiment)))
    else:
        tables.print_plan(Console(), experiment)
