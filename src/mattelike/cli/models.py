"""``mattelike models``: which there are, whether they are whole, where they lie; fetching, removing."""

from __future__ import annotations

from typing import Any

import click


@click.group(short_help="List, fetch, check, remove and convert models.")
def command() -> None:
    """The models: list them, fetch them, check their files, say where they are."""


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
        for each in model.pulled:
            click.echo(f"{'':<{width}}  {'pulled':<20}  {each.name}, {each.bytes / 1e6:,.1f} MB")


@command.command()
@click.argument("name")
@click.option("--source", default="", metavar="ID", help="Id on the hub, where the model has several.")
@click.option("--revision", default="", metavar="NAME", help="Branch, tag or commit.  [default: main]")
def pull(name: str, source: str, revision: str) -> None:
    """Fetch a model's files now, rather than when it is first used.

    What an earlier attempt has left is taken up; every file is compared with its hash before it counts.
    Several processes may ask for the same model: one fetches, the others wait. Files go to MATTELIKE_HOME, or
    to mattelike in the cache folder. MATTELIKE_OFFLINE=1 forbids it.
    """
    from mattelike.cli.installed import pull as pulled

    found = pulled(name, source, revision)
    if found is None:
        click.echo(f"{name} came with the package; there is nothing to fetch", err=True)
        return
    click.echo(f"{found.name}, {len(found.files)} files, {found.bytes / 1e6:,.1f} MB", err=True)
    click.echo(found.folder)


@command.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
def verify(names: tuple[str, ...]) -> int:
    """Compare files with their hashes; all models that are here by default."""
    from mattelike.cli.installed import checked, installed

    code = 0
    for name in names or [name for name in _names() if installed(name).is_here]:
        for what, problem in checked(name):
            click.echo(f"{what}: {problem or 'ok'}")
            code |= bool(problem)
    return code


@command.command()
@click.argument("name")
@click.option("--source", default="", metavar="ID", help="Only what came from this id on the hub.")
def remove(name: str, source: str) -> int:
    """Remove what was pulled of a model. What came with the package, or lies elsewhere, stays."""
    from mattelike.cli.installed import installed
    from mattelike.models import pulled

    model = installed(name)
    found = [each for each in model.pulled if source in ("", each.source)]
    for each in found:
        freed = pulled.remove(each)
        click.echo(f"removed {each.name}, {freed / 1e6:,.1f} MB", err=True)
    if not found:
        why = "it came with the package" if model.folder is not None else "nothing of it was pulled"
        raise click.ClickException(f"{name}: {why}; there is nothing to remove")
    return 0


@command.command()
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False))
@click.option("--output", "-o", type=click.Path(), help="The file to write.  [default: beside it]")
def convert(checkpoint: str, output: str | None) -> None:
    """Turn the authors' CHECKPOINT, a pickle, into safetensors, for `--set weights=FILE`.

    It is opened so that nothing in it can run, and every weight must be one of the released head.
    """
    from mattelike.models.extras import imported

    files = imported("mattelike.network.head_files", extra="sd", purpose="converting a checkpoint")
    click.echo(files.convert(checkpoint, output))


@command.command()
@click.argument("name")
def path(name: str) -> None:
    """The folder of a model's files, on standard output."""
    from mattelike.cli.installed import installed

    model = installed(name)
    folders = [model.folder] if model.folder is not None else [each.folder for each in model.pulled]
    if not folders:
        raise click.ClickException(f"{name} has no files here: {model.state}")
    for folder in folders:
        click.echo(folder)


def _names() -> list[Any]:
    from mattelike.models import MODELS

    return list(MODELS)
