"""``mattelike mark``: marked photos become a small file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mattelike.cli import options


@click.command(
    short_help="Save marked photos as a small context, to be used again.",
    epilog="""\
\b
mattelike mark cat.jpg --grid -o grid.png
mattelike mark cat.jpg --mask cat.png -o cat.context
mattelike mark cat2.jpg --point 90,120 --add cat.context -o cat.context
mattelike mark dog.jpg --box 10%,5%,60%,80% --negative --add cat.context -o cat.context
""",
)
@click.argument("photo", metavar="REF")
@options.marks
@click.option("--add", "-a", multiple=True, type=options.FILE, help="A context to add this reference to.")
@click.option("--negative", is_flag=True, help="What is marked is not meant, though it looks alike.")
@click.option("--output", "-o", help="The context; with --grid, the picture.")
@click.option("--grid", is_flag=True, help="Write the photo with labelled coordinates instead.")
@options.model
@click.option("--json", "as_json", is_flag=True, help="Say what was done as JSON on standard output.")
def command(**given: Any) -> None:
    """Look once at the thing marked on REF, and save what to look for.

    Coordinates are x,y in pixels of the upright photo, or percent: 41%,30%.
    """
    if given["grid"]:
        _write_grid(given["photo"], given["output"])
    else:
        _write_context(given)


def _write_grid(source: str, output: str | None) -> None:
    import sys

    from mattelike import figures, photos
    from mattelike.cli.sought import standard_input

    data = standard_input() if source == "-" else source
    target = output or f"{Path(source).stem}.grid.png"
    picture = figures.with_grid(photos.read(data))
    if target == "-":
        sys.stdout.buffer.write(photos.encode(picture, ".png"))
        return
    photos.write_rgb(target, picture)
    click.echo(f"coordinates of {source} -> {target}", err=True)


def _write_context(given: dict[str, Any]) -> None:
    import json

    from mattelike.cli.progress import tell_notes
    from mattelike.cli.sought import reference, standard_input
    from mattelike.contexts import Context, joined

    if not given["output"]:
        raise click.UsageError("where to? name the context with -o, such as -o cat.context")
    source = given["photo"]
    marked = reference(source, standard_input() if source == "-" else None, given)
    earlier = [Context.load(path) for path in given["add"]]
    name = given["model"] or (earlier[0].model if earlier else None)
    predictor = options.load(name, given["options"], given["device"], given["threads"])
    for context in earlier:
        context.check(predictor.card)
    found = predictor.encode(marked.photo, marked.prompt)
    tell_notes(found.notes)
    whole = joined([*earlier, found.negated() if given["negative"] else found])
    whole.save(given["output"])
    negatives = sum(thumbnail.negative for thumbnail in whole.thumbnails)
    if given["as_json"]:
        about = {"context": given["output"], "model": whole.model, "references": whole.references}
        click.echo(json.dumps({**about, "negative": negatives, "notes": found.notes}))
    counts = f"{whole.references - negatives} like it" + (f", {negatives} not like it" if negatives else "")
    click.echo(f"references: {counts}; model {whole.model} -> {given['output']}", err=True)
