"""``mattelike models``: which there are, whether their files are whole, where they lie."""

from __future__ import annotations

from typing import Any

import click


@click.group(short_help="List the models, check their files, say where they are.")
def command() -> None:
    """The models: list them, check their files, say where they are."""


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def list_models(as_json: bool) -> None:
    """All models, and whether they can be used here."""
    import json

    from mattelike.cli.installed import installed

    found = [installed(name) for name in _names()]
    if as_json:
        click.echo(json.dumps([model.as_json() for model in found], indent=1))
        return
    width = max(len(model.name) for model in found)
    for model in found:
        click.echo(f"{model.name:<{width}}  {model.state:<20}  {model.summary}")
        click.echo(f"{'':<{width}}  {'':<20}  licence: {model.licence}")


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify(names: tuple[str, ...]) -> int:
    """Compare files with the hashes of their cards; all models that came with the package by default."""
    from mattelike.cli.installed import check, installed

    code = 0
    for name in names or [name for name in _names() if installed(name).folder is not None]:
        problem = check(name)
        click.echo(f"{name}: {problem or 'ok'}")
        code |= bool(problem)
    return code


@command.command()
@click.argument("name")
def path(name: str) -> None:
    """The folder of a model's files, on standard output."""
    from mattelike.cli.installed import installed

    model = installed(name)
    if model.folder is None:
        raise click.ClickException(f"{name} has no files here: {model.state}")
    click.echo(model.folder)


def _names() -> list[Any]:
    from mattelike.models import MODELS

    return list(MODELS)
