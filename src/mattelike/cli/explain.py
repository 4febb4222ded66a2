"""``mattelike explain``: what was matched, as a picture."""

from __future__ import annotations

from typing import Any

import click

from mattelike.cli import options


@click.command(
    short_help="Draw what was matched, and where.",
    epilog="""\
\b
mattelike explain target.jpg --like cat.jpg --point 412,310 -o why.png
mattelike explain target.jpg --observe --mask target-mask.png -o observed.png
""",
)
@click.argument("photo", metavar="PHOTO")
@click.option("--context", "-c", "contexts", multiple=True, type=options.FILE, help="Marked references.")
@click.option("--like", type=click.Path(), help="A photo of the kind of thing, with marks.")
@options.marks
@click.option(
    "--output", "-o", default="explained.png", show_default=True, help="The picture; - for standard output."
)
@click.option(
    "--side", type=click.IntRange(32, 2048), default=320, show_default=True, help="Height of each part."
)
@click.option(
    "--observe", is_flag=True, help="Look at PHOTO alone: where does self-similarity take its marked points?"
)
@click.option(
    "--points", type=click.IntRange(1), default=16, show_default=True, help="Points seeded by --observe."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of their places.")
@options.model
def command(**given: Any) -> None:
    """Draw, for PHOTO: the references with their marks, inter-similarity S, intra-similarity S', alpha."""
    import sys

    from mattelike import photos

    picture = _observed(given) if given["observe"] else _explained(given)
    if given["output"] == "-":
        sys.stdout.buffer.write(photos.encode(picture, ".png"))
    else:
        photos.write_rgb(given["output"], picture)
        click.echo(f"explained -> {given['output']}", err=True)


def _explained(given: dict[str, Any]) -> Any:
    from dataclasses import replace

    from mattelike import explain, photos
    from mattelike.cli.sought import reference, sought

    photo = photos.read(given["photo"])
    marked = None
    if given["like"] or (options.prompt(given) is not None and not given["contexts"]):
        marked = reference(given["like"] or given["photo"], None, given)
        marked = replace(marked, itself=not given["like"] and not given["contexts"])
    looked_for = sought(given["contexts"], marked, given)
    found = explain.explain(looked_for.predictor, looked_for.seen or photo, looked_for.context)
    return explain.draw(found, looked_for.context, side=given["side"])


def _observed(given: dict[str, Any]) -> Any:
    from mattelike import explain, photos, prompts
    from mattelike.cli.sought import reference

    if given["like"] or given["contexts"]:
        raise click.UsageError("--observe looks at one photo alone; leave --like and --context out")
    marked = reference(given["photo"], None, given)
    inside = prompts.resolve(marked.prompt, marked.photo, photos.read).positive
    predictor = options.load(given["model"], given["options"], given["device"], given["threads"])
    found = explain.observe(predictor, marked.photo, inside, points=given["points"], seed=given["seed"])
    return explain.draw_observed(found, side=given["side"])
